"""The training loop: :func:`start` a run, :func:`fit` a model.

A recipe gives three plain functions: a loss summed over the items of a batch, the number of those items, and the
validation scores. The loop divides by the items of all batches of an optimizer step on all processes, so the same step
comes out however it is cut into batches, accumulation and processes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from ..errors import InputError
from ..interface import progress
from ..models.trainable import train_mode
from . import launcher, master_weights, optim, output, resuming, step, trial
from .checkpoint import Checkpoints
from .config import TrainConfig
from .ema import EMA
from .history import History, Log
from .launcher import choose_precision
from .meter import Meter
from .randomness import random_state_kept
from .step import Batch, CountFn, LossFn

if TYPE_CHECKING:
    from accelerate import Accelerator

EvalFn = Callable[[nn.Module], dict[str, float]]
"""Validation scores of a model, the same on every process."""
AfterStep = Callable[[nn.Module, int], None]
"""Called with the plain model and the number of the optimizer step just done."""

__all__ = [
    "AfterStep",
    "Batch",
    "CountFn",
    "EvalFn",
    "History",
    "LossFn",
    "TrainConfig",
    "choose_precision",
    "fit",
    "start",
]


def start(config: TrainConfig) -> Accelerator:
    """Check that the run can write its folder, seed every random generator and set up devices, precision, trackers.

    Raises:
        InputError: what :func:`.output.take` refuses; a precision that the device has not; what the launcher asks for
            and the loop cannot do; an unknown or missing tracker; ``auto_batch_size`` on several processes.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import GradientAccumulationPlugin, parse_flag_from_env, set_seed

    # Without a word of cpu, torchrun on a machine without GPUs would start as many single runs in one folder.
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu)
    problems = launcher.problems(config, state)
    if config.auto_batch_size and state.num_processes > 1:
        problems.append(f"auto_batch_size works with one process, not {state.num_processes}: set --batch_size instead")
    available = [str(name) for name in get_available_trackers()]
    for tracker in config.trackers:
        if tracker not in LOGGER_TYPE_TO_CLASS:
            problems.append(f"unknown tracker {tracker!r}: choose from {', '.join(LOGGER_TYPE_TO_CLASS)}")
        elif tracker not in available:
            problems.append(f"tracker {tracker!r} is not installed: pip install {tracker}")
    if problems:
        raise InputError("; ".join(problems))
    folder = output.take(config, state)
    AcceleratorState._reset_state()
    launcher.say(config, state.device)
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=launcher.precision(config, state.device),
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # the loop divides, whatever is launched
        log_with=config.trackers or None,
        project_dir=config.output_dir,
    )
    output.hold(config, accelerator, folder)
    set_seed(config.seed)
    return accelerator


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    config: TrainConfig,
    accelerator: Accelerator,
    *,
    loss_fn: LossFn,
    count: CountFn,
    evaluate: EvalFn,
    after_step: Sequence[AfterStep] = (),
    default_metric: str | None = None,
    data: str = "",
) -> tuple[nn.Module, History]:
    """Train ``model``, or go on training it, and return the best of it.

    Interrupted at any moment and started again with ``config.resume``, it ends with the same weights to the bit.

    Args:
        model: a plain module; its trainable parameters are trained in place.
        train_loader: its ``batch_sampler`` has ``set_epoch(epoch, start)``, ``set_least(rows)`` if batches of one row
            may be too small, and gives this process's batches; the loader is not to be prepared by the accelerator,
            and drawing from it takes nothing from the global random generators.
        config: the arguments.
        accelerator: what :func:`start` returned.
        loss_fn: summed loss of a batch, (); it leaves out what is not the model's, such as ``ids``.
        count: items of a batch that the loss was summed over, ().
        evaluate: validation scores, at least the one that chooses the best model.
        after_step: called after each optimizer step.
        default_metric: score that chooses the best model if ``config.metric`` is None; a leading "-": less is better.
        data: fingerprint of the training data, which a resumed run must have again; "" is not known.

    Returns:
        The plain model with the weights (or averages) that scored best, in ``config.dtype``, and the history.

    Raises:
        FloatingPointError: loss or gradients are not finite; it names the step and the batch's ``ids``.
        InputError: a checkpoint of another model or number of processes, a metric that ``evaluate`` does not give, or
            batches too small for batch normalisation.
        OSError: a checkpoint could not be written.
    """
    from accelerate.utils import DistributedDataParallelKwargs

    plain, forward = model, vars(model).get("forward")
    master_weights.prepare(plain, config.dtype)
    train_mode(plain.to(accelerator.device))
    least = trial.least_rows(plain, train_loader, config.batch_size, accelerator, loss_fn)
    if accelerator.is_main_process:
        output.claim(config)
    launcher.wait(accelerator)
    batches = len(train_loader.batch_sampler)  # type: ignore[arg-type]
    epoch_steps = math.ceil(batches / config.accumulation_steps)
    history = History(
        steps=config.max_steps or math.ceil(config.epochs * epoch_steps),
        metric=config.metric or default_metric or "-loss",
        processes=accelerator.num_processes,
        precision=accelerator.mixed_precision,
        schedule=config.schedule,
        warmup=config.warmup,
        epoch_batches=batches,
        data=data,
    )
    optimizer = optim.create(plain, config)
    schedule = optim.schedule(optimizer, config, history.steps)
    if accelerator.num_processes > 1:
        skips = trial.leaves_out(plain, train_loader, accelerator, loss_fn, least)
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=skips)
    if config.compile:
        plain.compile(dynamic=True)
    model, optimizer = accelerator.prepare(plain, optimizer)
    ema = EMA(plain, config.ema) if config.ema else None
    folder = Path(config.output_dir)
    checkpoints = Checkpoints(folder / output.CHECKPOINTS, accelerator, plain, optimizer, schedule, ema)
    _seed_process(config)
    if config.resume:
        planned, history = history, checkpoints.restore(history)
        resuming.go_on(history, planned, optimizer, schedule)
        if accelerator.is_main_process:
            output.describe(config)
    backward = (
        partial(step.backward_in_pieces, history=history, least=least) if config.auto_batch_size else step.backward
    )
    hooks = [*([ema.update] if ema else []), *after_step]
    trained = [parameter for parameter in plain.parameters() if parameter.requires_grad]
    meter = Meter(accelerator, history)
    train_mode(plain)
    with Log(folder / output.LOG, accelerator, history, config) as log, _bar(history, accelerator) as bar:
        for group in _groups(train_loader, config.accumulation_steps, history):
            on_device = [step.to_device(batch, accelerator.device) for batch in group]
            losses, items = backward(model, on_device, accelerator, loss_fn, count)
            rate = _rate(optimizer, config)
            norm = step.update(trained, optimizer, schedule, accelerator, config.max_grad_norm)
            history.advance(len(group), batches)
            for hook in hooks:
                hook(plain, history.step)
            meter.add(group, losses, items, norm)
            bar.update()

            evaluating = history.done or _passes(history.step, config.eval_every * epoch_steps)
            saving = history.done or (history.step % config.save_every == 0 if config.save_every else evaluating)
            if evaluating or saving or history.step % config.log_every == 0:
                position = {"step": history.step, "epoch": history.epoch + history.batches / batches}
                record = meter.read()
                log.write({**position, **record, "lr": rate})
                bar.set_postfix(loss=f"{record['loss']:.4g}", refresh=False)
            if evaluating:
                step.share_statistics(plain, accelerator)
                with random_state_kept(), ema.applied(plain) if ema else nullcontext():
                    scores = evaluate(plain)
                log.write({**position, **{f"validation/{name}": value for name, value in scores.items()}})
                saving |= history.judge(scores, config.patience) or history.stopped_early
                train_mode(plain)
            if saving:
                checkpoints.save(history, config.keep)
            if evaluating or saving:
                meter.clear()
    checkpoints.load_best(history)
    accelerator.free_memory()
    master_weights.finish(trained, config.dtype)
    _undress(plain, forward)
    return plain, history


def _bar(history: History, accelerator: Accelerator) -> Any:
    """A progress bar on the first process, which an error leaves on a line of its own."""
    return progress.bar(total=history.steps, initial=history.step, disable=not accelerator.is_main_process, unit="step")


def _groups(loader: DataLoader, size: int, history: History) -> Iterator[list[Batch]]:
    """The batches of each optimizer step, from where ``history`` stands until it is done."""
    while not history.done:
        loader.batch_sampler.set_epoch(history.epoch, history.batches)  # type: ignore[union-attr]
        batches = iter(loader)
        while not history.done and (group := list(itertools.islice(batches, size))):
            yield group


def _passes(step: int, every: float) -> bool:
    """Whether a multiple of ``every`` lies in the step that just ended."""
    return math.floor(step / every) > math.floor((step - 1) / every)


def _rate(optimizer: torch.optim.Optimizer, config: TrainConfig) -> float:
    """``config.lr`` as the schedule has it now."""
    group = optimizer.param_groups[0]
    return config.lr * group["lr"] / group["initial_lr"]


def _seed_process(config: TrainConfig) -> None:
    """Give each process its own dropout, the same however much randomness loading the model took."""
    from accelerate.utils import set_seed

    set_seed(config.seed, device_specific=True)


def _undress(model: nn.Module, forward: Any) -> None:
    """Take back what preparing and compiling put on ``model``."""
    vars(model).pop("_original_forward", None)
    vars(model).pop("forward", None)
    if forward is not None:
        model.forward = forward
    model._compiled_call_impl = None
