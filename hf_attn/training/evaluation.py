"""The one loop that runs a model over rows: of a split, on any number of processes, or of what a user gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..attention.modes import evaluation_mode
from .step import Batch, model_inputs, to_device

if TYPE_CHECKING:
    from accelerate import Accelerator

Outputs = Callable[[nn.Module, Batch], "Tensor | Sequence[Any]"]
"""What is kept of a model for a batch without labels and ids: one item a row."""
Part = tuple[np.ndarray, "np.ndarray | list[Any]", "np.ndarray | list[Any] | None"]


@dataclass(frozen=True)
class Predictions:
    """Outputs of a model for the rows of a split.

    Attributes:
        ids: (rows,) int64 row numbers, in order.
        outputs: one item a row: an array (rows, …) where they are of one shape, such as logits in float32; else a list.
        labels: one item a row likewise, or None if the split has none.
    """

    ids: np.ndarray
    outputs: Any
    labels: Any = None

    def __len__(self) -> int:
        return len(self.ids)


def logits(model: nn.Module, inputs: Batch) -> Tensor:
    """Return the logits of a batch, (batch, outputs)."""
    return model(**inputs).logits


def predict(
    model: nn.Module, loader: Iterable[Batch], accelerator: Accelerator, outputs: Outputs = logits
) -> Predictions:
    """Predict every row once, and give all of them, in order, to every process.

    The loader gives each process rows of its own (``data.eval_loader``), any number of them, with their ``ids``.
    Nothing is padded or dropped, no random number is drawn, and each module is left in the mode it was in.
    """
    from accelerate.utils import gather_object

    plain = accelerator.unwrap_model(model)  # the wrapper of several processes waits for batches that not all have
    mine = run(plain, loader, accelerator.device, outputs, accelerator.autocast())
    return in_order(gather_object(mine) if accelerator.num_processes > 1 else mine)


def run(
    model: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    outputs: Outputs = logits,
    context: AbstractContextManager[Any] | None = None,
) -> list[Part]:
    """Run a model over batches: the ids of each, what ``outputs`` keeps, and the labels where there are any.

    Args:
        model: in any mode, in which it is left.
        batches: with ``ids``.
        device: of the model.
        outputs: what is kept of the model.
        context: around all of it, such as autocast.
    """
    parts = []
    with evaluation_mode(model), torch.inference_mode(), context or nullcontext():
        for batch in batches:
            batch = to_device(batch, device)
            parts.append((batch["ids"], outputs(model, model_inputs(batch)), batch.get("labels")))
    # a copy from a GPU waits for it: once, at the end
    return [(ids.cpu().numpy(), _on_cpu(found), None if true is None else _on_cpu(true)) for ids, found, true in parts]


def in_order(parts: Sequence[Part]) -> Predictions:
    """Put parts of :func:`run` together, rows by their ids."""
    ids = np.concatenate([part[0] for part in parts])
    order = np.argsort(ids)
    labelled = parts[0][2] is not None
    truth = _joined([part[2] for part in parts], order) if labelled else None
    return Predictions(ids[order], _joined([part[1] for part in parts], order), truth)


def _on_cpu(items: Tensor | Sequence[Any]) -> np.ndarray | list[Any]:
    if not isinstance(items, Tensor):
        return list(items)
    return (items.float() if items.is_floating_point() else items).cpu().numpy()


def _joined(parts: Sequence[Any], order: np.ndarray) -> Any:
    """The items of all parts in an order: an array where they are of one shape, else a list."""
    if all(isinstance(part, np.ndarray) and part.shape[1:] == parts[0].shape[1:] for part in parts):
        return np.concatenate(parts)[order]
    items = [item for part in parts for item in part]
    return [items[at] for at in order]
