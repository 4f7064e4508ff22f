"""The folder a run writes to: what is refused before anything is trained, and how a new run takes it."""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.arguments import to_yaml
from ..interface.whole_files import remove_stage, write_text
from . import resuming, run_lock
from .config import TrainConfig
from .run_files import CHECKPOINTS, CONFIG, LOG, STEP, arguments, delete, is_run, leftovers, listed, owned, record

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.state import PartialState

__all__ = ["CHECKPOINTS", "CONFIG", "LOG", "check", "claim", "describe", "hold", "release", "take"]

log = logging.getLogger(__name__)


def take(config: TrainConfig, state: PartialState) -> object:
    """Refuse a folder that a run must not write to, or take it for this run alone; all processes call it.

    The main process looks and takes. What an overwrite will delete is named.

    Returns:
        What :func:`hold` needs.

    Raises:
        InputError: what :func:`check` refuses, or another run is writing there; on every process.
    """
    from accelerate.utils import broadcast_object_list

    owner, problem = None, [""]
    if state.is_main_process:
        folder = Path(config.output_dir)
        try:
            check(config)
            owner = run_lock.take(folder)
            check(config)  # once more: until now another run may have written
            if config.overwrite and (doomed := list(listed(folder, owned(folder)[0]))):
                log.warning("%s%s is replaced: --overwrite deletes %s", folder, _state(folder), ", ".join(doomed))
        except InputError as error:
            problem = [str(error)]
            if owner is not None:
                run_lock.release(folder, owner)
        except OSError as error:
            problem = [f"output_dir {folder} cannot be locked ({error.strerror}): choose another --output_dir"]
    broadcast_object_list(problem)
    if problem[0]:
        raise InputError(problem[0])
    return owner


def hold(config: TrainConfig, accelerator: Accelerator, owner: object) -> None:
    """Keep the folder until :func:`release`, or until nothing knows the accelerator any more."""
    accelerator.release_output = weakref.finalize(  # type: ignore[attr-defined]
        accelerator, run_lock.release, Path(config.output_dir), owner
    )


def release(accelerator: Accelerator) -> None:
    """Give the folder back at the end of a run."""
    if end := getattr(accelerator, "release_output", None):
        end()


def check(config: TrainConfig) -> None:
    """Make the folder and refuse it where a run cannot or must not write.

    Raises:
        InputError: it cannot be written to; it is the user's home or the root of the file system; it holds a run and
            neither ``resume`` nor ``overwrite`` is set; it holds something else, or something else stands where the
            run would write; it holds a run that was started with other arguments, or what this one reads.
    """
    folder = Path(config.output_dir)
    if config.resume and config.overwrite:
        raise InputError("--resume and --overwrite exclude each other: go on with the run, or replace it")
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"output_dir {folder} is a file: choose another --output_dir")
        whole = folder.resolve()
        if whole in (Path(os.path.expanduser("~")).resolve(), Path(whole.anchor)):
            raise InputError(f"output_dir {folder} is {whole}, where no run is written: name a folder in it")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        files = {path.name for path in folder.iterdir()}
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"output_dir {folder} cannot be written to ({reason}): choose another --output_dir") from None
    if _is_new(folder, files):
        return
    if not is_run(folder):
        shown = ", ".join(sorted(files)[:3])
        hint = f"; its {CONFIG} is not, or not alone, what a run leaves" if CONFIG in files else ""
        raise InputError(
            f"output_dir {folder} holds files of something else ({shown}{hint}): choose another --output_dir"
        )
    if not (config.resume or config.overwrite):
        raise InputError(
            f"output_dir {folder} holds a run{_state(folder)}: --resume goes on with it, --overwrite replaces it, "
            "or choose another --output_dir"
        )
    if config.resume:
        _same_arguments(config, folder)
    else:
        _keep_what_is_read(config, folder)
    if others := owned(folder)[1]:
        raise InputError(
            f"output_dir {folder} holds, where the run writes, what is not the run's: {', '.join(others[:5])}"
            f"{f' and {len(others) - 5} more' if len(others) > 5 else ''}; move it, or choose another --output_dir"
        )


def claim(config: TrainConfig) -> None:
    """Take the folder for this run: config.yaml written, an overwritten run's files deleted; for one process.

    Killed at any moment, it leaves a folder that is still known as a run's, or as empty.

    Raises:
        InputError: what :func:`check` refuses.
        OSError: the disk is full, or a file cannot be deleted.
    """
    folder = Path(config.output_dir)
    if is_run(folder) or not run_lock.is_held(folder):
        check(config)
    if config.resume and is_run(folder):
        return
    remove_stage(folder)
    delete(path for path in owned(folder)[0] if path.name not in (LOG, CONFIG))
    write_text(folder / LOG, "")
    describe(config)


def describe(config: TrainConfig) -> None:
    """Write config.yaml, with which the same run starts again: how an existing folder was met is no part of it.

    Raises:
        OSError: the disk is full.
    """
    import yaml

    values = yaml.safe_load(to_yaml(config, config.recipe)) | {"resume": False, "overwrite": False}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)
    write_text(Path(config.output_dir) / CONFIG, text)


def _is_new(folder: Path, files: set[str]) -> bool:
    """Whether there is nothing yet but what a run that was killed at its very start left."""
    left = files - leftovers(files)
    return not left or (left == {LOG} and not (folder / LOG).is_symlink() and not (folder / LOG).stat().st_size)


def _state(folder: Path) -> str:
    """Say how far the run of a folder came."""
    if ended := record(folder):
        return f" that ended {ended.get('finished', 'some time ago')}"
    checkpoints = folder / CHECKPOINTS
    steps = [path.name for path in checkpoints.iterdir()] if checkpoints.is_dir() else []
    steps = sorted(name for name in steps if STEP.fullmatch(name) and name.isdigit())
    return f" that did not end (its last checkpoint: step {int(steps[-1])})" if steps else " that did not end"


def _keep_what_is_read(config: TrainConfig, folder: Path) -> None:
    """Refuse to replace the run that holds the model, the data or whatever else this one is made of."""
    whole = folder.resolve()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == "output_dir" or not isinstance(value, str) or not value:
            continue
        read = Path(os.path.expanduser(value)).resolve()
        if read.exists() and read.is_relative_to(whole):
            raise InputError(
                f"--overwrite would delete the run in {folder}, of which {field.name} {value} is a part: "
                "choose another --output_dir"
            )


def _same_arguments(config: TrainConfig, folder: Path) -> None:
    import yaml

    before = arguments(folder) or {}
    now: dict[str, Any] = yaml.safe_load(to_yaml(config, config.recipe))
    if not (before.get("recipe") and now["recipe"]):
        before["recipe"] = now["recipe"]
    if found := resuming.changes(config, before, now):
        raise InputError(
            f"--resume with changed arguments: {found}; "
            f"resume with --config {folder / CONFIG} --resume, or choose another --output_dir"
        )
