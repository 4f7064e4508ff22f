"""Scores that the library ``evaluate`` computes, and which of ours have a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ....errors import InputError, nearest
from ....interface.printable import one_line
from .metrics import Metric, Outcome


def sound_scores(scores: Mapping[str, Metric], rows: Outcome) -> str:
    """Return the names of the scores that have a value on these rows."""
    return ", ".join(name for name, metric in scores.items() if not math.isnan(metric(rows)))


def evaluate_metric(
    name: str, prediction: np.ndarray, truth: np.ndarray, *, kind: str, config: str | None, known: tuple[str, ...]
) -> dict[str, float]:
    """The numbers that the library ``evaluate`` gives under ``name``, by their names.

    Args:
        name: of a metric.
        prediction: of each row.
        truth: likewise.
        kind: of the labels, for messages.
        config: configuration of the metric.
        known: names of our own scores of these labels.

    Raises:
        InputError: it is not installed, has no such metric, or one that does not take such predictions.
    """
    metric = _load(name, kind, config, known)
    values = {"predictions": prediction.tolist(), "references": truth.tolist()}
    try:
        try:
            found = metric.compute(**values)
        except ValueError as error:
            if "average" not in str(error):
                raise
            found = metric.compute(**values, average="macro")
    except Exception as error:
        raise InputError(f"metric '{name}' of evaluate does not take {kind} predictions: {one_line(error)}") from None
    return {key: float(value) for key, value in found.items() if np.ndim(value) == 0 and not isinstance(value, str)}


@lru_cache
def _load(name: str, kind: str, config: str | None, known: tuple[str, ...]) -> Any:
    own = f"'{name}' is no score for {kind} labels ({', '.join(known)}{nearest(name, known)})"
    try:
        import evaluate
    except ImportError:
        raise InputError(f"{own}; for others `pip install evaluate`") from None
    try:
        # in memory: a file of its own costs half a second of waiting for its lock at each computation
        return evaluate.load(name, config_name=config, keep_in_memory=True)
    except Exception as error:
        reason = one_line(error, most=150)
        raise InputError(f"{own}, and evaluate does not load it, from a folder or the Hub: {reason}") from None
