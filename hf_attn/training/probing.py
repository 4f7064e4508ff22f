"""A linear probe whose backbone runs once: what the head sees of each example is computed before training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..data.batching import Collate
from ..data.columns import UNLABELLED
from ..models.probe import Probe
from .frozen import run_once

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .config import TrainConfig


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


def below(head: nn.Module, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Return what the head of a model sees of a batch, (batch, …)."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        model(**inputs)
    finally:
        hook.remove()
    return seen[0]


def probe(
    model: PreTrainedModel,
    rows: Mapping[str, Any],
    collate: Collate,
    accelerator: Accelerator,
    config: TrainConfig,
) -> tuple[Probe, dict[str, FeatureRows]]:
    """Run a model over every labelled row once: return its head, and what that sees of the rows of each split.

    Every process gets all rows, in order.

    Args:
        model: whose head is one module.
        rows: by split.
        collate: makes batches of them as the model takes them.
        accelerator: of the run.
        config: of the run, with the size of batches.
    """
    head, keep = Probe(model), {}
    model.to(accelerator.device)  # type: ignore[arg-type]
    for split in (name for name in rows if name != UNLABELLED):
        found = run_once(model, rows[split], collate, accelerator, config, partial(below, head.head), split)
        keep[split] = FeatureRows(found.outputs, np.asarray(found.labels), found.ids)
    return head, keep
