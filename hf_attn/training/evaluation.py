"""The one loop that runs a model over rows: of a split, on any number of processes, or of what a user gives."""

from __future__ import annotations

import itertools
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
"""What is kept of a model for a batch without labels and ids: one item a row. Where a row may come in several windows,
which have its id, it is an item a window, and these have ``joined``, which makes them that of the row."""
TOLD = "window"
"""What of a batch is told ``outputs`` though it is no input of a model."""
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
    model: nn.Module,
    loader: Iterable[Batch],
    accelerator: Accelerator,
    outputs: Outputs = logits,
    *,
    whole: bool = False,
) -> Predictions:
    """Predict every row once, and give all of them, in order, to every process.

    The loader gives each process rows of its own (``data.eval_loader``), any number of them, with their ``ids``.
    Nothing is padded or dropped, no random number is drawn, and each module is left in the mode it was in.
    ``outputs`` is given a batch without labels and ids, or the ``whole`` of it.
    """
    from accelerate.utils import gather_object

    plain = accelerator.unwrap_model(model)  # the wrapper of several processes waits for batches that not all have
    mine = run(plain, loader, accelerator.device, outputs, accelerator.autocast(), whole=whole)
    return in_order(gather_object(mine) if accelerator.num_processes > 1 else mine)


def run(
    model: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    outputs: Outputs = logits,
    context: AbstractContextManager[Any] | None = None,
    *,
    whole: bool = False,
) -> list[Part]:
    """Run a model over batches: the ids of each, what ``outputs`` keeps, and the labels where there are any.

    Args:
        model: in any mode, in which it is left.
        batches: with ``ids``.
        device: of the model.
        outputs: what is kept of the model.
        context: around all of it, such as autocast.
        whole: whether ``outputs`` sees labels and ids too.
    """
    parts = []
    with evaluation_mode(model), torch.inference_mode(), context or nullcontext():
        for batch in batches:
            batch = to_device(batch, device)
            told = {name: batch[name] for name in (TOLD,) if name in batch}
            inputs = batch if whole else model_inputs(batch) | told
            parts.append((batch["ids"], outputs(model, inputs), batch.get("truth", batch.get("labels"))))
    # a copy from a GPU waits for it: once, at the end
    return [(ids.cpu().numpy(), _on_cpu(found), None if true is None else _on_cpu(true)) for ids, found, true in parts]


def in_order(parts: Sequence[Part]) -> Predictions:
    """Put parts of :func:`run` together, rows by their ids, and the windows of a row to one item."""
    ids = np.concatenate([part[0] for part in parts])
    order = np.argsort(ids, kind="stable")
    labelled = parts[0][2] is not None
    truth = _joined([part[2] for part in parts], order) if labelled else None
    found = Predictions(ids[order], _joined([part[1] for part in parts], order), truth)
    return _rows_whole(found) if len(np.unique(ids)) < len(ids) else found


def _rows_whole(windows: Predictions) -> Predictions:
    """One item a row, of items of windows; the truth of a row is with one of them."""
    ids, starts = np.unique(windows.ids, return_index=True)
    groups = [slice(start, end) for start, end in itertools.pairwise([*starts.tolist(), len(windows)])]
    outputs = [windows.outputs[some] for some in groups]
    truth = windows.labels
    labels = None if truth is None else [next(one for one in truth[some] if one is not None) for some in groups]
    return Predictions(ids, [items[0].joined(items) if len(items) > 1 else items[0] for items in outputs], labels)


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
