"""Put a run on the Hub with a Space in which it can be tried: the app of ``hf-attn demo``, as a few files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..interface.foreign_files import read_json
from ..tasks.predict import trained_task
from .hub import check_access, check_folder, hub_errors, push
from .usage import config_of, is_of_timm

if TYPE_CHECKING:
    from huggingface_hub import HfApi

GRADIO = "6.31.0"
"""Version of gradio that the app was tested with."""
PYTHON = "3.11"
"""Version of Python that this package was tested with; a Space has an older one by default."""
APP = '''\
"""Try {model}: what it answers, which parts that comes from, and whether to believe it."""

from hf_attn.explain.demo import build
from hf_attn.tasks.predict import load

model, processor = load("{model}")
demo = build(model, processor, method="{method}", pairs={pairs})

if __name__ == "__main__":
    demo.launch()
'''
ABOUT = """\

Give [{model}](https://huggingface.co/{model}) {noun}: see what it answers, which parts of the {one} that comes
from, and whether that explanation can be believed. The app is that of `hf-attn demo`.
"""


def push_with_space(
    folder: str | Path,
    repo_id: str,
    space_id: str | None = None,
    *,
    method: str = "integrated_gradients",
    private: bool = False,
    token: str | None = None,
) -> list[str]:
    """Upload a run as :func:`hub.push` does, then its Space in one commit, and return the addresses of both.

    Args:
        folder: A run folder, or another model folder.
        repo_id: ``user/name`` of the model.
        space_id: ``user/name`` of the Space, made if it does not exist; that of the model by default.
        method: of explanation, chosen at first.
        private: Make what is new private. The Space then needs a secret ``HF_TOKEN`` that may read the model.
        token: As of :func:`hub.push`.

    Raises:
        InputError: as :func:`hub.push`; a Space that may not be, before anything is pushed.
    """
    folder, space_id = Path(folder), space_id or repo_id
    check_folder(folder)
    check_access(repo_id, token)
    try:
        api = check_access(space_id, token)
    except InputError as error:
        raise InputError(f"--space: {error}") from None
    files = space_files(folder, repo_id, space_id, method)
    model = push(folder, repo_id, private=private, token=token)
    with hub_errors(f"{repo_id} --space {space_id}", folder, str(api.token)):
        return [model, _commit(api, repo_id, space_id, files, private)]


def _commit(api: HfApi, repo_id: str, space_id: str, files: dict[str, str], private: bool) -> str:
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError

    try:
        url = api.create_repo(space_id, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True)
    except HfHubHTTPError as error:
        if error.response.status_code != 402:
            raise
        raise InputError(f"{repo_id} is pushed, but the Hub makes no Space here unless it is paid for (402)") from None
    if private and not api.repo_info(space_id, repo_type="space").private:
        raise InputError(
            f"{repo_id} is pushed, but the Space {space_id} exists and is public: make it private on the Hub first"
        )
    operations = [CommitOperationAdd(name, text.encode()) for name, text in files.items()]
    message = f"Try {repo_id} in the app of hf_attn"
    api.create_commit(space_id, operations, repo_type="space", commit_message=message)
    return str(url)


def space_files(folder: Path, repo_id: str, space_id: str, method: str) -> dict[str, str]:
    """Return the files of a Space that shows a model: the app, what it needs, and what the Hub is to know.

    Raises:
        InputError: a model that no task takes, or whose attention is the user's own, which a Space does not have.
    """
    import yaml

    task, known = trained_task(folder)
    if task is None:
        raise InputError(f"--space: {str(folder)!r} has no trained classification head ({known}) to be tried")
    refuse_own_variant(folder)
    facts = {
        "title": space_id.split("/")[1],
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "python_version": PYTHON,
        "app_file": "app.py",
        "models": [repo_id],
    }
    one = task.input.NOUN
    noun = f"{'an' if one[0] in 'aeiou' else 'a'} {one}"
    about = ABOUT.format(model=repo_id, noun=noun, one=one)
    needs = [*requirements(), *(["timm"] if is_of_timm(config_of(folder)) else [])]
    pairs = task.input.trained_on_pairs(str(folder))
    return {
        "app.py": APP.format(model=repo_id, method=method, pairs=pairs),
        "requirements.txt": "\n".join(needs) + "\n",
        "README.md": f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n{about}",
        **package_files(),
    }


def requirements() -> list[str]:
    """Return what this package needs, as a requirements file has it."""
    from importlib.metadata import requires

    return [one for one in requires("hf_attn") or [] if "extra ==" not in one]


def package_files() -> dict[str, str]:
    """Return the files of this package: a Space runs the code that is here, by no name in a registry."""
    root = Path(__file__).parents[1]
    found = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".js", ".css", ".json"))
    return {f"hf_attn/{path.relative_to(root).as_posix()}": path.read_text("utf-8") for path in found}


def refuse_own_variant(folder: Path) -> None:
    """Refuse a model that loads only with code of the user.

    Raises:
        InputError: it is one.
    """
    from ..attention.own_variant import is_own
    from ..attention.registry import VARIANTS

    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    name = config.get("attn_variant") if isinstance(config, dict) else None
    if name is not None and (name not in VARIANTS or is_own(VARIANTS[name])):
        raise InputError(
            f"--space: the attention of this run is {json.dumps(name)}, a variant of your own, which a Space does not "
            "have: push the run without --space"
        )
