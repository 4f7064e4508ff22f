"""A linear probe whose backbone runs once: what the head sees of each example is computed before training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from ..interface import progress
from ..models.probe import Probe
from .evaluation import predict

if TYPE_CHECKING:
    from accelerate import Accelerator


class FeatureRows:
    """Rows of features in memory, with their labels: a dataset that the head is trained on.

    Args:
        features: (rows, …).
        labels: (rows,) or (rows, labels).
        ids: (rows,), the row numbers.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> None:
        self.columns = {"features": features, "labels": labels, "ids": ids}

    def __len__(self) -> int:
        return len(self.columns["ids"])

    def __getitem__(self, draw: int) -> dict[str, Any]:
        """Row ``draw % len``, the same at each draw."""
        return {name: column[int(draw) % len(self)] for name, column in self.columns.items()}


def collate_features(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Make a batch of ``features``, ``labels`` and ``ids``."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


class BelowHead(nn.Module):
    """A model that gives what its head sees, (batch, …), in place of logits."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model, self.head = model, Probe(model).head

    def forward(self, **inputs: Tensor) -> ModelOutput:
        """Return the input of the head as ``logits``."""
        seen: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            self.model(**inputs)
        finally:
            hook.remove()
        return ModelOutput(logits=seen[0])


def features(
    model: PreTrainedModel, loader: Iterable[dict[str, Tensor]], accelerator: Accelerator, title: str = ""
) -> FeatureRows:
    """Run a model over every row once and keep what its head sees; every process gets all rows, in order.

    Args:
        model: whose head is one module.
        loader: each process's rows, as for ``evaluation.predict``.
        accelerator: of the run.
        title: of the progress bar.
    """
    bar = progress.bar(loader, desc=title, disable=not accelerator.is_main_process, leave=False)
    found = predict(BelowHead(model).to(accelerator.device), bar, accelerator)
    return FeatureRows(found.logits, np.asarray(found.labels), found.ids)
