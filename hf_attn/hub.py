"""Put a run on the Hub: model, tokenizer, card, figures and the code of its attention, and nothing else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .card import with_model_id
from .errors import InputError
from .hub_connection import ask_again
from .models.checkpoint_files import check_model_folder

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUSHED = (
    "README.md",
    "LICENSE*",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
    "preprocessor_config.json",
    "processor_config.json",
    "*.py",
    "figures/*.png",
)
"""Patterns of what is pushed, relative to the run folder. Arguments, logs and predictions stay: they may hold paths
of this machine and texts of the data; checkpoints and optimizer states are of no use to others."""
TEXT_FILES = (".json", ".md", ".txt", ".py", ".jinja")
NO_TOKEN = (
    "no Hub token: run `hf auth login`, or set HF_TOKEN to a token with write access "
    "(https://huggingface.co/settings/tokens)"
)


def push(folder: str | Path, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Upload a run, in one commit, and return its address.

    Args:
        folder: A run folder, or another model folder.
        repo_id: ``user/name``; made if it does not exist.
        private: Make a new repository private; one that exists stays as it is.
        token: A Hub token with write access; by default the one of ``hf auth login`` or ``HF_TOKEN``.

    Raises:
        InputError: No token or one that may not write there, no model in the folder, a token inside one of the files,
            or the Hub cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd

    folder = Path(folder)
    check_folder(folder)
    api = check_access(repo_id, token)
    files = files_to_push(folder)
    refuse_tokens(folder, files, str(api.token))
    content = {name: folder / name for name in files}
    operations = [CommitOperationAdd(name, path) for name, path in content.items() if name != "README.md"]
    if "README.md" in content:
        card = with_model_id(content["README.md"].read_text("utf-8"), repo_id)
        operations.append(CommitOperationAdd("README.md", card.encode()))
    with hub_errors(repo_id, folder):
        url = api.create_repo(repo_id, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo_id).private:
            raise InputError(
                f"{repo_id} exists and is public: make it private on the Hub first, or push to another name"
            )
        api.create_commit(repo_id, operations, commit_message="Upload a model trained with hf_attn")
    return str(url)


def check_folder(folder: Path) -> None:
    """Raise InputError unless a model can be loaded from this folder, which must exist on this machine."""
    if not folder.is_dir():
        raise InputError(f"run folder {str(folder)!r} does not exist: give the output_dir of a recipe that has ended")
    check_model_folder(folder)


def check_access(repo_id: str, token: str | None = None) -> "HfApi":
    """Return a client of the Hub that may write to ``repo_id``; for a recipe to call before it trains.

    Raises:
        InputError: ``repo_id`` is not ``user/name``; no token, or the Hub refuses it; the Hub cannot be reached.
    """
    from huggingface_hub import HfApi, get_token

    if not re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", repo_id) or re.search(r"--|\.\.|\.git$", repo_id):
        raise InputError(f"{repo_id!r} is no repository of the Hub: expected user/name, such as ada/banking-intents")
    token = token or get_token()
    if not token:
        raise InputError(NO_TOKEN)
    api = HfApi(token=token)
    ask_again()
    with hub_errors(repo_id):
        account = api.whoami()
    role = account.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise InputError(
            "the Hub token may only read: make one with write access (https://huggingface.co/settings/tokens)"
        )
    owner, owners = repo_id.split("/")[0], [account["name"], *(item["name"] for item in account.get("orgs", []))]
    if owner not in owners:
        raise InputError(
            f"the Hub token may not write to {owner!r}: expected one of {', '.join(owners)} before the slash"
        )
    return api


def files_to_push(folder: Path) -> list[str]:
    """Return the files of a run that go to the Hub, as paths relative to it, in order."""
    found = {path for pattern in PUSHED for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def refuse_tokens(folder: Path, files: list[str], token: str) -> None:
    """Raise InputError where a text file holds the token in use, or what looks like one."""
    secret = re.compile(rf"{re.escape(token)}|hf_[A-Za-z0-9]{{30,}}")
    texts = [name for name in files if name.endswith(TEXT_FILES)]
    found = [name for name in texts if secret.search((folder / name).read_text("utf-8", errors="replace"))]
    if found:
        raise InputError(f"nothing was pushed: {', '.join(found)} holds a Hub token; take it out, and revoke the token")


@contextmanager
def hub_errors(repo_id: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what the Hub's client raises into one line that never holds the token."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        explain(error, repo_id, folder)


def explain(error: Exception, repo_id: str, folder: Path | None) -> NoReturn:
    """Raise the InputError that says what an exception of the Hub's client means; others are raised as they are."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        raise InputError("the Hub does not know this token: run `hf auth login` again, or set HF_TOKEN") from None
    if status == 403:
        raise InputError(f"the Hub token may not write to {repo_id}: use one with write access to it") from None
    if status is None and isinstance(error, ValueError) and "README.md" in str(error):
        raise InputError(f"the Hub refuses the metadata of README.md: {' '.join(str(error).split())}") from None
    if status is not None and status < 500:
        raise InputError(f"the Hub refused {repo_id} (HTTP status {status})") from None
    transport = type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "requests")
    if status is not None or transport or isinstance(error, OfflineModeIsEnabled | ConnectionError | TimeoutError):
        offline = isinstance(error, OfflineModeIsEnabled)
        reason = f"HTTP status {status}" if status else "HF_HUB_OFFLINE is set" if offline else "no connection"
        kept = (
            f"{folder} is complete and loads from there; push it later with"
            if folder
            else "train without it, and later"
        )
        raise InputError(
            f"the Hub cannot be reached ({reason}): {kept} `hf-attn push {folder or 'RUN'} {repo_id}`"
        ) from None
    raise error
