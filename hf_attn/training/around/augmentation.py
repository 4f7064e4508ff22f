"""The loss of batches with augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..step import Batch, LossFn


def augmented(loss_fn: LossFn, augment: Callable[[Batch], Batch]) -> LossFn:
    """The loss of batches that ``augment`` has changed; it is called on the device, once for each batch."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return loss_fn(model, augment(batch))

    return loss
