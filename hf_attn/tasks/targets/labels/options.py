"""Arguments of the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ....errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import Tensor, nn

    from ....data.options import DataOptions
    from ....training.step import Batch
    from . import Labels


@dataclass(kw_only=True)
class LossOptions:
    """Loss"""

    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes, 0 to below 1."""
    focal_gamma: float = 0.0
    """Focal loss: examples that are right with probability p count (1-p)^gamma; 0 is off, 2 is usual."""
    class_weights: str | None = None
    """balanced (by the counts in train) or numbers with commas, in the labels' order; null weighs all alike."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if not 0 <= self.label_smoothing < 1:
            found.append(f"label_smoothing is {self.label_smoothing}: it must be at least 0 and below 1, such as 0.1")
        if not 0 <= self.focal_gamma < float("inf"):
            found.append(f"focal_gamma is {self.focal_gamma}: it must be at least 0, such as 2")
        if self.class_weights not in (None, "balanced") and not _numbers(self.class_weights):
            found.append(f"class_weights is {self.class_weights!r}: expected balanced, or numbers above 0 with commas")
        return found

    def losses(self, labels: Labels) -> tuple[Callable[[nn.Module, Batch], Tensor], Callable[[Batch], Tensor]]:
        """Return the loss summed over a batch, and the count of its items, as ``training.fit`` takes them.

        Raises:
            InputError: options that this kind of labels does not have, or weights that are not one a class.
        """
        from .. import losses

        if labels.kind == "regression":
            if self.label_smoothing or self.focal_gamma or self.class_weights:
                raise InputError(
                    "label_smoothing, focal_gamma and class_weights need classes; these labels are numbers"
                )
            return partial(_loss, criterion=losses.mse), partial(_count, weight=None)
        weight = self._weight(labels)
        function = losses.binary_cross_entropy if labels.kind == "multi" else losses.cross_entropy
        criterion = partial(function, weight=weight, label_smoothing=self.label_smoothing, focal_gamma=self.focal_gamma)
        return partial(_loss, criterion=criterion), partial(_count, weight=weight if labels.kind == "single" else None)

    def _weight(self, labels: Labels) -> Tensor | None:
        import torch

        if self.class_weights is None:
            return None
        counts = torch.tensor(labels.counts, dtype=torch.float32)
        if self.class_weights == "balanced":
            rows = counts.sum()
            return rows / (len(counts) * counts) if labels.kind == "single" else (counts.max() / counts.clamp_min(1))
        weight = torch.tensor(_numbers(self.class_weights))
        if len(weight) != labels.num_labels:
            raise InputError(
                f"class_weights {self.class_weights!r}: expected 'balanced', or {labels.num_labels} numbers above 0 "
                f"with commas, in the order {', '.join(labels.names[:5])}, …"
            )
        return weight


def encode(splits: DatasetDict, args: DataOptions, limit: int | None, seed: int) -> tuple[DatasetDict, Labels]:
    """Encode the labels, and keep ``limit`` rows of each split.

    Raises:
        InputError: all that is wrong with the labels.
    """
    from ....data import limit as limited
    from .labels import encode_labels

    splits, labels = encode_labels(splits, args.label, kind=args.problem, label_names=args.label_names)
    return limited(splits, limit, seed), labels


def _numbers(text: str | None) -> list[float]:
    """Finite numbers above 0 between commas; none where anything else is there."""
    try:
        found = [float(number) for number in str(text).split(",")]
    except ValueError:
        return []
    return found if all(0 < number < float("inf") for number in found) else []


def _loss(model: nn.Module, batch: Batch, criterion: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Loss of ``logits`` (batch, outputs), summed over the batch."""
    inputs = {name: tensor for name, tensor in batch.items() if name not in ("labels", "ids")}
    return criterion(model(**inputs).logits, batch["labels"])


def _count(batch: Batch, weight: Tensor | None) -> Tensor:
    from .. import losses

    return losses.item_count(batch["labels"], weight)
