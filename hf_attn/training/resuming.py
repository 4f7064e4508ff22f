"""A run that goes on: what must be as it was, and when it may become longer or shorter than it was planned."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..errors import InputError
from . import optim
from .config import TrainConfig
from .history import History

log = logging.getLogger(__name__)

ENDS = ("linear", "cosine")
"""Schedules in which every step's learning rate depends on the number of all steps."""


def check(history: History, planned: History, path: Path) -> None:
    """Check that a run planned anew is the one that ``history`` was saved from, in the checkpoint ``path``.

    Raises:
        InputError: it has another number of processes, precision, or training data; or it is to end where
            ``history`` already is, or at other learning rates so far.
    """
    if history.processes != planned.processes:
        raise InputError(
            f"checkpoint {path} was written by {history.processes} processes and this run has {planned.processes}: "
            f"start {history.processes}"
        )
    if not history.schedule:  # a checkpoint of an earlier version
        history.schedule, history.warmup = planned.schedule, planned.warmup
    if history.precision not in ("", planned.precision):
        raise InputError(
            f"checkpoint {path} was trained in precision {history.precision} and this run has {planned.precision}: "
            f"give --precision {history.precision}"
        )
    known = history.data and planned.data
    if history.epoch_batches not in (0, planned.epoch_batches) or (known and history.data != planned.data):
        steps = f"of {history.steps} steps and this one has {planned.steps}: the training data"
        what = steps if history.steps != planned.steps else "on other data: it"
        raise InputError(
            f"checkpoint {path} belongs to a run {what} is not what it was; bring it back, or choose another "
            "--output_dir"
        )
    if (history.steps, history.schedule, history.warmup) != (planned.steps, planned.schedule, planned.warmup):
        _check_length(history, planned, path)


def _check_length(history: History, planned: History, path: Path) -> None:
    """Refuse another length, schedule or warm-up unless every step so far was what it would have been with it.

    Raises:
        InputError: with what to do.
    """
    if planned.steps < history.steps and planned.steps <= history.step:
        raise InputError(
            f"checkpoint {path} is at step {history.step} and this run ends at step {planned.steps}: give more epochs "
            "or max_steps, or choose another --output_dir"
        )
    old = optim.factor(history.schedule, history.warmup, history.steps)
    new = optim.factor(planned.schedule, planned.warmup, planned.steps)
    odd = next((step for step in range(history.step) if old(step) != new(step)), None)
    if odd is not None:
        was, now = (f"{plan.steps} steps ({plan.schedule}, warmup {plan.warmup:g})" for plan in (history, planned))
        raise InputError(
            f"checkpoint {path} is of a run of {was} and this one has {now}: step {odd + 1} had {old(odd):.3g} of the "
            f"learning rate and would have had {new(odd):.3g}; {_cure(history, planned)}"
        )


def go_on(history: History, planned: History, optimizer: Optimizer, schedule: LRScheduler) -> None:
    """Make ``history`` as long as the planned run, whose learning rates follow from here."""
    plan = (planned.steps, planned.schedule, planned.warmup)
    if (history.steps, history.schedule, history.warmup) == plan:
        return
    if history.stopped_early:
        log.info("the run stopped early at step %d (--patience), as one of %d steps does", history.step, planned.steps)
    else:
        note = "; its evaluation there counts too" if history.step == history.steps < planned.steps else ""
        log.info(
            "step %d of %d goes on to step %d: by schedule %s the learning rates so far stay what they were%s",
            *(history.step, history.steps, planned.steps, planned.schedule, note),
        )
    history.steps, history.schedule, history.warmup = plan
    rate = optim.factor(planned.schedule, planned.warmup, planned.steps)(schedule.last_epoch)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * rate
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]


def _cure(history: History, planned: History) -> str:
    """What to do about learning rates that would have been others."""
    was = optim.warmup_steps(history.warmup, history.steps)
    if planned.schedule in ENDS or was == optim.warmup_steps(planned.warmup, planned.steps):
        return "choose another --output_dir"
    return f"give --warmup {was}"


def changes(config: TrainConfig, before: dict[str, Any], now: dict[str, Any]) -> str:
    """The arguments that a resumed run may not have different, each with both values; "" if there are none.

    What ``before`` has not was not an argument yet, and was as its default is.
    """
    ends = now.get("schedule") in ENDS
    free = config.may_change if ends else config.may_change | config.may_change_ahead
    before = {field.name: field.default for field in dataclasses.fields(config) if field.name in now} | before
    found = [name for name in now | before if name not in free and before.get(name) != now.get(name)]
    reason = " (with this schedule the learning rates so far depend on them)"
    why = reason if ends and config.may_change_ahead.intersection(found) else ""
    return ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in found) + why
