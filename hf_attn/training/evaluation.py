"""What a model predicts for a split, on any number of processes: the one loop that runs a model over rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ..attention.modes import evaluation_mode

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Predictions:
    """Outputs of a model for the rows of a split.

    Attributes:
        ids: (rows,) int64 row numbers, in order.
        logits: (rows, outputs) float32.
        labels: (rows,) or (rows, outputs), or None if the split has none.
    """

    ids: np.ndarray
    logits: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


def predict(model: nn.Module, loader: Iterable[dict[str, torch.Tensor]], accelerator: Accelerator) -> Predictions:
    """Predict every row once, and give all of them, in order, to every process.

    The loader gives each process rows of its own (``data.eval_loader``), any number of them, with their ``ids``.
    Nothing is padded or dropped, no random number is drawn, and each module is left in the mode it was in.
    """
    from accelerate.utils import gather_object

    plain = accelerator.unwrap_model(model)  # the wrapper of several processes waits for batches that not all have
    parts = []
    with evaluation_mode(plain), torch.inference_mode(), accelerator.autocast():
        for batch in loader:
            inputs = {name: tensor.to(accelerator.device, non_blocking=True) for name, tensor in batch.items()}
            ids, truth = inputs.pop("ids"), inputs.pop("labels", None)
            parts.append((ids, plain(**inputs).logits.float(), truth))
    mine = [tuple(None if tensor is None else tensor.cpu().numpy() for tensor in part) for part in parts]
    gathered = gather_object(mine) if accelerator.num_processes > 1 else mine
    rows, outputs = (np.concatenate([part[index] for part in gathered]) for index in (0, 1))
    order = np.argsort(rows)
    labelled = gathered[0][2] is not None
    values = np.concatenate([part[2] for part in gathered])[order] if labelled else None
    return Predictions(rows[order], outputs[order], values)
