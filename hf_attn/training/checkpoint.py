"""Checkpoints: all that a run needs to go on as if it had never stopped, written whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import InputError
from ..interface.printable import one_line
from ..interface.whole_files import as_os_error, flush
from . import resuming
from .ema import EMA
from .history import History
from .randomness import random_state, set_random_state

if TYPE_CHECKING:
    from accelerate import Accelerator

NAME = re.compile(r"\d{8}")
"""A checkpoint is a folder named after its optimizer step; anything else beside it is none."""

WEIGHTS, AVERAGES, OPTIMIZER, RANDOM, PROGRESS = (
    "model.safetensors",
    "ema.safetensors",
    "optimizer.pt",
    "random.pt",
    "progress.json",
)


@dataclass
class Checkpoints:
    """The checkpoints of one run, and what they hold.

    Args:
        folder: where they are.
        accelerator: of the run.
        model: the plain model, not wrapped; compiled or not.
        optimizer: with its state.
        schedule: of the learning rate.
        ema: averages of the weights, if there are any.
    """

    folder: Path
    accelerator: Accelerator
    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    ema: EMA | None = None

    def save(self, history: History, keep: int) -> Path:
        """Write the checkpoint ``folder/STEP`` and delete old ones; returns on every process once it is there.

        It is written under another name, flushed to the disk and then renamed, so that a process killed at any moment
        leaves the earlier checkpoints and no half of this one. The newest ``keep`` and the best one stay.

        Raises:
            OSError: it could not be written, for instance on a full disk; the earlier ones are as they were.
        """
        from accelerate.utils import broadcast_object_list, gather_object

        randoms = gather_object([random_state()])
        final = self.folder / f"{history.step:08d}"
        failure: list[OSError | None] = [None]
        if self.accelerator.is_main_process:
            beside = final.with_suffix(".tmp")
            try:
                shutil.rmtree(beside, ignore_errors=True)
                beside.mkdir(parents=True)
                self._write(beside, history, randoms)
                for path in (*beside.iterdir(), beside):
                    flush(path)
                beside.rename(final)
                flush(self.folder)
                rotate(self.folder, keep, history.best_step)
            except (OSError, SafetensorError, RuntimeError) as error:
                shutil.rmtree(beside, ignore_errors=True)
                failure = [_not_written(final, error)]
        # Every process waits here for the first, and stops with it.
        broadcast_object_list(failure)
        if failure[0] is not None:
            raise failure[0]
        return final

    def _write(self, folder: Path, history: History, randoms: list[dict[str, Any]]) -> None:
        save_file(_weights(self.model), folder / WEIGHTS, metadata={"format": "pt"})
        if self.ema is not None:
            averages = {name: average.contiguous() for name, average in self.ema.averages.items()}
            save_file(averages, folder / AVERAGES, metadata={"format": "pt"})
        scaler = self.accelerator.scaler
        states = {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
        }
        for name, content in ((OPTIMIZER, states), (RANDOM, randoms)):
            with (folder / name).open("wb") as file:
                torch.save(content, file)
        (folder / PROGRESS).write_text(json.dumps(history.progress(), indent=1))

    def restore(self, planned: History) -> History:
        """Go back to the newest checkpoint, the random generators included; without one nothing changes.

        Args:
            planned: of the run that starts, to be returned if there is no checkpoint.

        Raises:
            InputError: the checkpoint is damaged, belongs to another model, or to a run that is not the planned one.
        """
        path = latest(self.folder)
        if path is None:
            return planned
        try:
            history = History(**json.loads((path / PROGRESS).read_text()))
            resuming.check(history, planned, path)
            load_weights(path, self.model, averaged=False)
            if self.ema is not None:
                self.ema.load_state_dict(load_file(path / AVERAGES))
            states = torch.load(path / OPTIMIZER, map_location="cpu", weights_only=True)
            randoms = torch.load(path / RANDOM, map_location="cpu", weights_only=True)
            self.optimizer.load_state_dict(states["optimizer"])
            self.schedule.load_state_dict(states["schedule"])
            if self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(states["scaler"])
        except InputError:
            raise
        except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError, UnpicklingError) as error:
            raise _damaged(path, error) from error
        set_random_state(randoms[self.accelerator.process_index])
        return history

    def load_best(self, history: History) -> None:
        """Put the weights of the best step (the last one, if none was judged) into the model, averages before all."""
        step = history.step if history.best_step is None else history.best_step
        load_weights(self.folder / f"{step:08d}", self.model)


def load_weights(path: Path, model: nn.Module, averaged: bool = True) -> None:
    """Put a checkpoint's weights into ``model``, their averages over them where it has some and ``averaged`` is true.

    Raises:
        InputError: it is damaged, or belongs to another model: names or shapes differ.
    """
    try:
        with safe_open(path / WEIGHTS, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        _same_model(path, shapes, model)
        model.load_state_dict(load_file(path / WEIGHTS), strict=False)
        if averaged and (path / AVERAGES).exists():
            model.load_state_dict(load_file(path / AVERAGES), strict=False)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def all_in(folder: Path) -> list[Path]:
    """Whole checkpoints in ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir())


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in ``folder``, if there is one."""
    return next(reversed(all_in(folder)), None)


def rotate(folder: Path, keep: int, best: int | None = None) -> None:
    """Delete all but the newest ``keep`` checkpoints and the one of step ``best``, and what killed saves left."""
    for path in all_in(folder)[:-keep]:
        if best is None or int(path.name) != best:
            doomed = path.with_suffix(".old")
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
    for path in folder.iterdir():
        if path.suffix in (".tmp", ".old") and NAME.fullmatch(path.stem):
            shutil.rmtree(path, ignore_errors=True)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of ``model``, tied weights once, under their first name."""
    seen: dict[tuple[Any, ...], str] = {}
    kept = {}
    for name, value in model.state_dict().items():
        place = (value.data_ptr(), value.shape, value.stride(), value.device)
        if value.numel() and seen.setdefault(place, name) != name:
            continue
        kept[name] = value.contiguous()
    return kept


def _same_model(path: Path, shapes: dict[str, tuple[int, ...]], model: nn.Module) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    kinds = (
        [f"{name} is missing" for name in _weights(model) if name not in shapes],
        [f"{name} is not the model's" for name in shapes if name not in expected],
        [
            f"{name} is {shape} and the model's {expected[name]}"
            for name, shape in shapes.items()
            if shape != expected.get(name, shape)
        ],
    )
    if found := sum(map(len, kinds)):
        shown = [difference for kind in kinds for difference in kind[:2]]
        more = f" and {found - len(shown)} more" if found > len(shown) else ""
        raise InputError(
            f"checkpoint {path} belongs to another model: {', '.join(shown)}{more}; "
            "resume with the model it was written by, or choose another output_dir"
        )


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"checkpoint {path} cannot be read ({one_line(error)}); delete it to resume from the one before it"
    )


def _not_written(path: Path, error: Exception) -> OSError:
    earlier = latest(path.parent)
    rest = f"{earlier} is intact: make room, then go on with --resume" if earlier else "there is no earlier one"
    return as_os_error(error, f"checkpoint {path} could not be written ({{reason}}); {rest}")
