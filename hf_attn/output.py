"""The folder a run writes to: what is refused before anything is trained, and how a new run takes it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from .arguments import to_yaml
from .config import TrainConfig
from .errors import InputError

CONFIG, LOG, CHECKPOINTS = "config.yaml", "log.jsonl", "checkpoints"
UNFINISHED = f"{CONFIG}.tmp"

OF_A_RUN = (CHECKPOINTS, "figures", LOG, "run.json", "predictions.parquet", "README.md", "model.safetensors", CONFIG)
"""What ``--overwrite`` deletes; other files are written over or left."""


def check(config: TrainConfig) -> None:
    """Make the folder and refuse it where a run cannot or must not write.

    Raises:
        InputError: it cannot be written to; it holds a run and neither ``resume`` nor ``overwrite`` is set; it holds
            something else; it holds a run that was started with other arguments.
    """
    folder = Path(config.output_dir)
    if config.resume and config.overwrite:
        raise InputError("--resume and --overwrite exclude each other: go on with the run, or replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        files = sorted(path.name for path in folder.iterdir() if path.name != UNFINISHED)
    except OSError as error:
        raise InputError(
            f"output_dir {folder} cannot be written to ({error.strerror}): choose another --output_dir"
        ) from None
    if not files:
        return
    if CONFIG not in files:
        raise InputError(
            f"output_dir {folder} holds files of something else ({', '.join(files[:3])}): choose another --output_dir"
        )
    if config.resume:
        _same_arguments(config, folder / CONFIG)
    elif not config.overwrite:
        raise InputError(
            f"output_dir {folder} holds a run: --resume goes on with it, --overwrite replaces it, "
            "or choose another --output_dir"
        )


def claim(config: TrainConfig) -> None:
    """Take the folder for this run: config.yaml written, an overwritten run's files deleted; for one process."""
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if config.resume and (folder / CONFIG).exists():
        return
    for name in OF_A_RUN:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    beside = folder / UNFINISHED
    beside.write_text(_described(config), encoding="utf-8")
    beside.rename(folder / CONFIG)


def _described(config: TrainConfig) -> str:
    """config.yaml, with which the same run starts again: how an existing folder was met is no part of it."""
    import yaml

    values = yaml.safe_load(to_yaml(config, config.recipe)) | {"resume": False, "overwrite": False}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def _same_arguments(config: TrainConfig, path: Path) -> None:
    import yaml

    try:
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        before = None
    if not isinstance(before, dict):
        raise InputError(f"{path} cannot be read, so the run cannot be resumed: choose another --output_dir")
    now: dict[str, Any] = yaml.safe_load(to_yaml(config, config.recipe))
    if not (before.get("recipe") and now["recipe"]):
        before["recipe"] = now["recipe"]
    changed = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in now | before
        if name not in config.may_change and before.get(name) != now.get(name)
    ]
    if changed:
        raise InputError(
            f"--resume with changed arguments: {', '.join(changed)}; "
            f"resume with --config {path} --resume, or choose another --output_dir"
        )
