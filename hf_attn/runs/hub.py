"""Put a run on the Hub: model, tokenizer, card, figures and the code of its attention, and nothing else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..errors import InputError
from ..interface.foreign_files import read_json
from ..interface.hub_connection import ask_again
from ..interface.printable import one_line, without_tokens
from ..models.checkpoint_files import check_model_folder
from ..models.decoder_tokenizer import FOLDER as DECODER
from ..training.run_files import PICTURES
from .card import with_model_id

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "spm.model",
    "source.spm",
    "target.spm",
)
PUSHED = (
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    *TOKENIZER,
    *(f"{DECODER}/{name}" for name in TOKENIZER),
    "preprocessor_config.json",
    "processor_config.json",
)
"""Patterns of what is pushed, relative to the run folder, beside the code that config.json names and the figures that a
run draws or the card shows. Arguments, logs and predictions stay: they may hold paths of this machine and texts of the
data; checkpoints and optimizer states are of no use to others; and a file that happens to lie there is not for all."""
KEYS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}|\bsk-[A-Za-z0-9_-]{32,}"
)
"""Private keys, and keys of AWS, GitHub and OpenAI."""
VOCABULARIES = {"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "added_tokens.json"}
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
        InputError: No token or one that may not write there, no model in the folder, a token, key or path of this
            machine inside one of the files, a link out of the folder, or the Hub cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd

    folder = Path(folder)
    check_folder(folder)
    api = check_access(repo_id, token)
    files = files_to_push(folder)
    refuse_secrets(folder, files, str(api.token))
    content = {name: folder / name for name in files}
    operations = [CommitOperationAdd(name, path) for name, path in content.items() if name != "README.md"]
    if "README.md" in content:
        card = with_model_id(content["README.md"].read_text("utf-8"), repo_id)
        operations.append(CommitOperationAdd("README.md", card.encode()))
    with hub_errors(repo_id, folder, str(api.token)):
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
    with hub_errors(repo_id, token=token):
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
    """Return the files of a run that go to the Hub, as paths relative to it, in order.

    Raises:
        InputError: one of them is a link to a file outside of the folder that is no download of the Hub.
    """
    found = {path for pattern in PUSHED for path in folder.glob(pattern) if path.is_file()}
    found |= {folder / name for name in code_files(folder)}
    found |= _shown_figures(folder)
    root = folder.resolve()
    away = [path.relative_to(folder).as_posix() for path in sorted(found) if not _lies_in(path.resolve(), root)]
    if away:
        raise InputError(f"nothing was pushed: {', '.join(away)} is a link out of the folder; put the file there")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def code_files(folder: Path) -> list[str]:
    """Return the Python files that the configurations name, and those that these import from beside them."""
    left: list[str] = []
    found: set[str] = set()
    for file in ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        config = read_json(folder / file) if (folder / file).is_file() else {}
        named = config.get("auto_map") if isinstance(config, dict) else None
        for value in named.values() if isinstance(named, dict) else []:
            left += [f"{name.split('.')[0]}.py" for name in (value if isinstance(value, list) else [value]) if name]
    while left:
        name = left.pop()
        if name in found or not re.fullmatch(r"\w+\.py", name) or not (folder / name).is_file():
            continue
        found.add(name)
        code = (folder / name).read_text("utf-8", errors="replace")
        left += [f"{module}.py" for module in re.findall(r"(?m)^\s*(?:from|import)\s+\.(\w+)", code)]
    return sorted(found)


def _shown_figures(folder: Path) -> set[Path]:
    """Figures that a run draws, and those that the card shows."""
    card = folder / "README.md"
    shown = card.read_text("utf-8", errors="replace") if card.is_file() else ""
    figures = (path for path in folder.glob("figures/*.png") if path.is_file())
    return {path for path in figures if path.stem in PICTURES or f"figures/{path.name}" in shown}


def _lies_in(path: Path, root: Path) -> bool:
    """Whether a file is in the folder, or is a blob of the Hub's cache, to which the folders of its snapshots link."""
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    return path.is_relative_to(root) or path.is_relative_to(blobs)


def refuse_secrets(folder: Path, files: list[str], token: str) -> None:
    """Raise InputError where a text file holds the token in use, what looks like a key, or a path of this machine."""
    texts = {name: (folder / name).read_text("utf-8", errors="replace") for name in files if name.endswith(TEXT_FILES)}
    secret = re.compile(rf"{re.escape(token)}|hf_[A-Za-z0-9]{{30,}}")
    if found := [name for name, text in texts.items() if secret.search(text)]:
        raise InputError(f"nothing was pushed: {', '.join(found)} holds a Hub token; take it out, and revoke the token")
    if found := [name for name, text in texts.items() if KEYS.search(text)]:
        raise InputError(f"nothing was pushed: {', '.join(found)} holds what looks like a secret key; take it out")
    homes = re.compile("|".join(re.escape(f"{place}/") for place in _places(folder)))
    described = [name for name in texts if Path(name).name not in VOCABULARIES]
    if found := [name for name in described if homes.search(texts[name])]:
        raise InputError(
            f"nothing was pushed: {', '.join(found)} names a folder of this machine "
            f"({homes.search(texts[found[0]])[0]}…); take it out"  # type: ignore[index]
        )


def _places(folder: Path) -> set[str]:
    return {str(place) for place in (Path.home(), folder.resolve().parent) if len(place.parts) > 1}


@contextmanager
def hub_errors(repo_id: str, folder: Path | None = None, token: str | None = None) -> Iterator[None]:
    """Turn what the Hub's client raises into one line that never holds the token."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        explain(error, repo_id, folder, token)


def explain(error: Exception, repo_id: str, folder: Path | None, token: str | None = None) -> NoReturn:
    """Raise the InputError that says what an exception of the Hub's client means; another as it is, but for tokens."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        raise InputError("the Hub does not know this token: run `hf auth login` again, or set HF_TOKEN") from None
    if status == 403:
        raise InputError(f"the Hub token may not write to {repo_id}: use one with write access to it") from None
    if status is None and isinstance(error, ValueError) and "README.md" in str(error):
        raise InputError(f"the Hub refuses the metadata of README.md: {one_line(error, token)}") from None
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
    if without_tokens(error, token) != str(error):
        raise RuntimeError(f"{type(error).__name__}: {one_line(error, token)}") from None
    raise error
