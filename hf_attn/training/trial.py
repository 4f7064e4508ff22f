"""What one forward pass over a row or two says of a model before it is trained: what its loss needs, and how many rows.

Nothing stays changed: neither random generators nor the statistics of batch normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from ..errors import InputError
from .randomness import random_state_kept
from .step import LossFn, to_device

if TYPE_CHECKING:
    from accelerate import Accelerator

CHANGING = ("layerdrop", "layer_drop", "num_experts", "num_local_experts", "mask_time_prob", "mask_feature_prob")
"""Settings, if not 0, by which a step may leave parameters out that the step before had."""


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


def leaves_out(model: nn.Module, loader: DataLoader, accelerator: Accelerator, loss_fn: LossFn, rows: int) -> bool:
    """Whether some step's loss may not depend on some trainable parameter: DDP has to look for it then, at each step.

    A module without a configuration may do anything, and one that has a setting of ``CHANGING`` other things each time;
    of the rest, the first rows tell, on all processes.
    """
    config = getattr(model, "config", None)
    if config is None or any(_settings(config, name) for name in CHANGING):
        return True
    needed = _leaves(_loss(model, loader, accelerator, loss_fn, rows))
    missing = any(p.requires_grad and id(p) not in needed for p in model.parameters())
    flag = torch.tensor(float(missing), device=accelerator.device)
    return bool(accelerator.reduce(flag, "sum"))


def _settings(config: Any, name: str) -> list[Any]:
    """The values that are not 0 of a configuration's settings of this name, such as ``encoder_layerdrop``."""
    found = []
    for key, value in vars(config).items():
        if key.endswith(name) and isinstance(value, int | float) and value:
            found.append(value)
        elif hasattr(value, "model_type"):
            found += _settings(value, name)
    return found


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


def _leaves(loss: Tensor) -> set[int]:
    """Ids of the parameters that a gradient of ``loss`` would reach."""
    found: set[int] = set()
    seen, left = set(), [loss.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (variable := getattr(node, "variable", None)) is not None:
            found.add(id(variable))
        left += [parent for parent, _ in node.next_functions]
    return found
