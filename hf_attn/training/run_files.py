"""Which files of a folder a run wrote: by these it is known, and no others are ever deleted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.foreign_files import read_json, read_text, read_yaml
from ..interface.whole_files import STAGE, beside
from ..models.decoder_tokenizer import FOLDER as DECODER
from .run_lock import LOCK

CONFIG, LOG, RECORD, CARD, PREDICTIONS = "config.yaml", "log.jsonl", "run.json", "README.md", "predictions.parquet"
UNLABELLED, VALIDATION, WORST = "unlabelled.parquet", "validation.parquet", "worst.jsonl"
CHECKPOINTS, FIGURES = "checkpoints", "figures"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
WRITTEN = (CARD, PREDICTIONS, UNLABELLED, VALIDATION, WORST, *WEIGHTS, RECORD, LOG, CONFIG)
"""In the order in which they go: what tells that it is a run goes last."""
SHARDS = "model-*-of-*.safetensors"
PICTURES = (
    *("alignment", "attention", "classes", "confusion", "curves", "errors", "f1_by_type", "lengths", "patches"),
    *("reliability", "scatter", "tokens"),
)
ARGUMENTS = {"recipe", "output_dir", "resume", "overwrite", "seed"}
"""Every ``config.yaml`` of a run has them."""
STEP = re.compile(r"\d{8}(\.tmp|\.old)?")
IN_CHECKPOINT = {"model.safetensors", "ema.safetensors", "optimizer.pt", "random.pt", "progress.json"}


def is_run(folder: Path) -> bool:
    """Return whether a run wrote this folder: config.yaml holds its arguments, and run.json or log.jsonl is its own."""
    return arguments(folder) is not None and (record(folder) is not None or _is_log(folder / LOG))


def arguments(folder: Path) -> dict[str, Any] | None:
    """Return what the config.yaml of a run holds; None if it is none of a run."""
    try:
        found = read_yaml(folder / CONFIG)
    except InputError:
        return None
    return found if isinstance(found, dict) and found.keys() >= ARGUMENTS else None


def record(folder: Path) -> dict[str, Any] | None:
    """Return what the run.json of a run that ended holds; None if there is none."""
    try:
        found = read_json(folder / RECORD)
    except InputError:
        return None
    return found if isinstance(found, dict) and found.keys() >= {"recipe", "arguments", "versions"} else None


def leftovers(names: Iterable[str]) -> set[str]:
    """Return those of the names that a run which was killed at its very start leaves."""
    return {name for name in names if name in (LOCK, STAGE, *(beside(Path(one)).name for one in (LOG, CONFIG)))}


def digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the sha256 of files by their path in the folder, by which a change of them is seen later."""
    return {file.relative_to(folder).as_posix(): digest(file) for file in sorted(files)}


def digest(file: Path) -> str:
    """Return the sha256 of a file, as hex digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def owned(folder: Path) -> tuple[list[Path], list[str]]:
    """Return what a run wrote into its folder, in the order in which it may go, and what is in its way.

    A file is the run's if it stands under the name of one and is what run.json says that was written; before there is
    a run.json, by its name alone, and a card by its tag. A symbolic link counts as a file: what it points to is
    neither looked at nor touched.

    Returns:
        Files and, after what they hold, the folders of checkpoints; and a line for each file or link that stands
        where a run writes and is none of its own.
    """
    known = (record(folder) or {}).get("files")
    known = {str(name): value for name, value in known.items()} if isinstance(known, dict) else {}
    mine: list[Path] = []
    others = [
        f"{name} is a symbolic link to a folder"
        for name in (CHECKPOINTS, FIGURES, DECODER)
        if (folder / name).is_symlink()
    ]
    figures = [] if (folder / FIGURES).is_symlink() else [f"{FIGURES}/{name}.png" for name in PICTURES]
    shards = [path.name for path in folder.glob(SHARDS)]
    recorded = [name for name in known if _is_inside(name) and name.split("/")[0] not in (CHECKPOINTS, FIGURES)]
    drawn = [name for name in known if figures and re.fullmatch(rf"{FIGURES}/[^/]+\.png", name)]
    for name in dict.fromkeys([*drawn, *figures, *recorded, *shards, *WRITTEN]):
        for path in (beside(folder / name), folder / name):
            if path.is_symlink() or path.exists():
                problem = _foreign(path, known.get(name)) if path.name == Path(name).name else None
                others.append(f"{name} {problem}") if problem else mine.append(path)
    checkpoints, strange = _checkpoints(folder / CHECKPOINTS)
    order = {name: place for place, name in enumerate(WRITTEN)}
    return [*checkpoints, *sorted(mine, key=lambda path: order.get(path.name, -1))], others + strange


def _foreign(path: Path, digest_of_run: Any) -> str | None:
    """Say why what stands under a run's name is not the run's."""
    if path.is_symlink():
        return None
    if not path.is_file():
        return "is no file"
    if isinstance(digest_of_run, str):
        return None if digest(path) == digest_of_run else "was changed since the run wrote it"
    if path.name == CARD:
        try:
            front = read_text(path).split("\n---", 1)[0]
        except InputError:
            front = ""
        return None if re.search(r"(?m)^- hf_attn$", front) else "is no card of a run"
    return None


def _checkpoints(folder: Path) -> tuple[list[Path], list[str]]:
    if folder.is_symlink() or not folder.is_dir():
        return [], []
    mine: list[Path] = []
    others: list[str] = []
    for step in sorted(folder.iterdir()):
        if not STEP.fullmatch(step.name):
            continue
        if step.is_symlink() or not step.is_dir():
            others.append(f"{CHECKPOINTS}/{step.name} is no folder")
            continue
        inside = sorted(step.iterdir())
        others += [f"{CHECKPOINTS}/{step.name}/{file.name}" for file in inside if file.name not in IN_CHECKPOINT]
        mine += [*(file for file in inside if file.name in IN_CHECKPOINT), step]
    return mine, others


def _is_inside(name: str) -> bool:
    path = Path(name)
    inside = len(path.parts) == 1 or path.parts[:1] == (DECODER,) and len(path.parts) == 2
    return inside and not path.is_absolute() and ".." not in path.parts


def _is_log(path: Path) -> bool:
    """Whether a file is a log of training: empty yet, or its first line a record with the step."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(1 << 20)
        return not line or "step" in json.loads(line)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def delete(paths: Iterable[Path]) -> None:
    """Delete files, links (never what they point to) and folders that are empty then.

    Raises:
        OSError: one cannot be deleted.
    """
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def listed(folder: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Name what goes: files by their path in the folder, checkpoints by their folder."""
    for path in paths:
        inside = path.relative_to(folder)
        if inside.parts[0] != CHECKPOINTS or len(inside.parts) == 2:
            yield inside.as_posix() + (" (the link)" if path.is_symlink() else "")
