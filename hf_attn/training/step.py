"""One optimizer step: gradients of a group of batches, divided by the items of all of them, and the update."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .history import History
from .randomness import random_state, set_random_state

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)

Batch = dict[str, Tensor]
ASIDE = ("ids", "labels", "rationale", "window", "truth")
"""What a batch holds that is no input of a model: ``window`` says where its tokens stand, ``truth`` what its rows are
where ``labels`` are those of tokens."""
LossFn = Callable[[nn.Module, Batch], Tensor]
"""Loss SUMMED over the items of a batch, ()."""
CountFn = Callable[[Batch], Tensor]
"""How many items that is: examples, target tokens, boxes; ()."""


def backward(
    model: nn.Module, group: list[Batch], accelerator: Accelerator, loss_fn: LossFn, count: CountFn
) -> tuple[Tensor, Tensor]:
    """Add to the gradients those of Σ loss ÷ Σ items over the batches of ``group`` and all processes.

    Returns:
        The summed loss of each batch on this process, (batches,), and the items over all processes, ().
    """
    items = torch.stack([torch.as_tensor(count(batch), device=accelerator.device).float() for batch in group]).sum()
    items = accelerator.reduce(items, "sum")
    # A group may hold no item, such as no labelled token: its loss is 0 and must stay so.
    scale = accelerator.num_processes / items.clamp(min=torch.finfo(items.dtype).tiny)
    losses = []
    for number, batch in enumerate(group, start=1):
        with nullcontext() if number == len(group) else accelerator.no_sync(model):
            with accelerator.autocast():
                loss = loss_fn(model, batch)
            accelerator.backward(loss * scale)
        losses.append(loss.detach())
    return torch.stack(losses), items


def backward_in_pieces(
    model: nn.Module,
    group: list[Batch],
    accelerator: Accelerator,
    loss_fn: LossFn,
    count: CountFn,
    history: History,
    least: int = 1,
) -> tuple[Tensor, Tensor]:
    """:func:`backward`, with each batch in ``history.pieces`` parts; out of memory doubles them and starts again.

    The items and, but for dropout and batch normalisation, the gradients are those of the whole batches. For one
    process. No part has fewer than ``least`` rows.

    Raises:
        torch.OutOfMemoryError: ``least`` rows do not fit.
    """
    while True:
        state = random_state()
        pieces = [piece for batch in group for piece in split(batch, history.pieces, least)]
        try:
            return backward(model, pieces, accelerator, loss_fn, count)
        except RuntimeError as error:
            if not _out_of_memory(error) or history.pieces >= max(_rows(batch) // least for batch in group):
                raise
        # Outside the handler, whose traceback would keep the tensors of the failed step alive.
        model.zero_grad(set_to_none=True)
        history.pieces *= 2
        learns = any(isinstance(module, _BatchNorm) and module.training for module in model.modules())
        but = "; batch normalisation sees the parts, not the whole batch" if learns else ""
        log.info("out of memory: batches are split in %d parts%s", history.pieces, but)
        if accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
        set_random_state(state)


def update(
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    accelerator: Accelerator,
    max_grad_norm: float,
) -> Tensor | None:
    """Clip the gradients of ``parameters``, step optimizer and schedule, and clear the gradients.

    Returns:
        The L2 norm of the gradients before clipping, (), or None if ``max_grad_norm`` is 0.
    """
    norm = clip(parameters, accelerator, max_grad_norm) if max_grad_norm else None
    optimizer.step()
    if not accelerator.optimizer_step_was_skipped:
        schedule.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def clip(parameters: list[nn.Parameter], accelerator: Accelerator, max_norm: float) -> Tensor:
    """Scale the gradients down to an L2 norm of at most ``max_norm``; on a CPU they are only touched if they exceed it.

    Returns:
        The norm before, ().
    """
    if "MULTI" not in accelerator.distributed_type.value and accelerator.distributed_type.value != "NO":
        return accelerator.clip_grad_norm_(parameters, max_norm)
    accelerator.unscale_gradients()
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    if norm.device.type != "cpu" or not norm <= max_norm:
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def split(batch: Batch, pieces: int, least: int = 1) -> list[Batch]:
    """``batch`` by rows in at most ``pieces`` parts of like size, of at least ``least`` rows if it has so many.

    What has no row for each example goes with all parts.
    """
    rows = _rows(batch)
    pieces = max(1, min(pieces, rows // least))
    ends = [rows * number // pieces for number in range(pieces + 1)]
    parts = itertools.pairwise(ends)
    return [{name: _part(value, rows, start, end) for name, value in batch.items()} for start, end in parts]


@torch.no_grad()
def share_statistics(model: nn.Module, accelerator: Accelerator) -> None:
    """Give every process the statistics of batch normalisation of the first, which are those that are saved."""
    if accelerator.num_processes == 1:
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, 0)


def model_inputs(batch: Batch) -> Batch:
    """``batch`` without what is no input of a model."""
    return {name: value for name, value in batch.items() if name not in ASIDE}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """``batch`` with its tensors on ``device``."""
    if device.type == "cpu":
        return batch
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def _rows(batch: Batch) -> int:
    return next(len(value) for value in batch.values() if not isinstance(value, Tensor) or value.ndim)


def _part(value: Any, rows: int, start: int, end: int) -> Any:
    whole = isinstance(value, Tensor) and not value.ndim or len(value) != rows
    return value if whole else value[start:end]


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
