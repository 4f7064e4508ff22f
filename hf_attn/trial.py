"""What one forward pass says of a model before it is trained: how many rows its batches need.

Nothing stays changed: neither random generators nor the statistics of batch normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from .errors import InputError
from .randomness import random_state_kept
from .step import LossFn, to_device

if TYPE_CHECKING:
    from accelerate import Accelerator


def least_rows(model: nn.Module, loader: DataLoader, batch_size: int, accelerator: Accelerator, loss_fn: LossFn) -> int:
    """Rows that a training batch must have, and from now on has: 2 for batch normalisation of one value a row, else 1.

    Raises:
        InputError: ``batch_size`` is smaller, or there are too few rows.
    """
    if not any(isinstance(module, _BatchNorm) and module.training for module in model.modules()):
        return 1
    try:
        with torch.no_grad():
            _loss(model, loader, accelerator, loss_fn, rows=1)
        return 1
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
    if batch_size < 2:
        raise InputError(
            f"batch_size is {batch_size}: batch normalisation in {type(model).__name__} needs 2 rows a batch at "
            "this size of input; give --batch_size 2 or more"
        )
    loader.batch_sampler.set_least(2)  # type: ignore[union-attr]
    return 2


def _loss(model: nn.Module, loader: DataLoader, accelerator: Accelerator, loss_fn: LossFn, rows: int) -> Tensor:
    """The loss of the first rows."""
    numbers = next(iter(loader.batch_sampler))[:rows]  # type: ignore[arg-type]
    batch = loader.collate_fn([loader.dataset[number] for number in numbers])
    with random_state_kept(), _buffers_kept(model), accelerator.autocast():
        return loss_fn(model, to_device(batch, accelerator.device))


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            if not buffer.equal(value):
                buffer.copy_(value)
