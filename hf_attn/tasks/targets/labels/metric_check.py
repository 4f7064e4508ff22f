"""Whether a score can be had for the labels at hand, and those that the library ``evaluate`` computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError, nearest
from .metrics import METRICS, Outcome, default_metric, outcome

if TYPE_CHECKING:
    from .labels import Labels


def choose_metric(asked: str | None, labels: Labels, validation: Sequence[Any]) -> str:
    """Return the score that chooses the best model: the one asked for, or the usual one of these labels.

    Raises:
        InputError: as :func:`check_metric`.
    """
    name = asked or default_metric(labels.kind)
    check_metric(name, labels, validation)
    return name


def check_metric(name: str, labels: Labels, validation: Sequence[Any] | None = None) -> None:
    """Refuse a score that cannot be had for these labels, before anything is trained.

    Args:
        name: of the score.
        labels: what is predicted.
        validation: the labels of the rows that it is computed on, where they are known.

    Raises:
        InputError: not one of ours, and not loaded or not computed by ``evaluate``; or one that has no value on these
            rows, whatever is predicted.
    """
    name = name.removeprefix("-")
    if name not in METRICS[labels.kind]:
        classes = np.arange(max(2, labels.num_labels))
        trial = np.eye(len(classes), dtype=np.int64) if labels.kind == "multi" else classes
        evaluate_metric(name, labels.kind, trial, trial)
    elif validation is not None:
        truth = np.asarray(validation)
        logits = np.arange(float(len(truth) * labels.num_labels)).reshape(len(truth), -1)
        rows = outcome(logits, truth, labels.kind)
        if math.isnan(METRICS[labels.kind][name](rows)):
            sound = [other for other, metric in METRICS[labels.kind].items() if not math.isnan(metric(rows))]
            raise InputError(
                f"metric {name!r} has no value on the validation split: {_why_undefined(rows, labels)}; add rows, or "
                f"choose another by --metric ({', '.join(sound)})"
            )


def _why_undefined(rows: Outcome, labels: Labels) -> str:
    """Say what truth leaves a score without a value."""
    if labels.kind == "regression":
        return f"all its labels are {rows.truth[0]:g}"
    if labels.kind == "multi":
        return "no row has a label"
    counts = np.bincount(rows.truth, minlength=labels.num_labels)
    absent = [name for name, count in zip(labels.names, counts, strict=True) if not count]
    return f"no row is {' or '.join(map(repr, absent[:3]))}" + (f", and {len(absent) - 3} more" * (len(absent) > 3))


def evaluate_metric(name: str, kind: str, prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The numbers that the library ``evaluate`` gives under ``name``, by their names."""
    metric = _load(name, kind)
    values = {"predictions": prediction.tolist(), "references": truth.tolist()}
    try:
        try:
            found = metric.compute(**values)
        except ValueError as error:
            if "average" not in str(error):
                raise
            found = metric.compute(**values, average="macro")
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"metric '{name}' of evaluate does not take {kind} predictions: {reason}") from None
    return {key: float(value) for key, value in found.items() if np.ndim(value) == 0 and not isinstance(value, str)}


@lru_cache
def _load(name: str, kind: str) -> Any:
    own = f"'{name}' is no score for {kind} labels ({', '.join(METRICS[kind])}{nearest(name, METRICS[kind])})"
    try:
        import evaluate
    except ImportError:
        raise InputError(f"{own}; for others `pip install evaluate`") from None
    try:
        # in memory: a file of its own costs half a second of waiting for its lock at each computation
        return evaluate.load(name, config_name="multilabel" if kind == "multi" else None, keep_in_memory=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"{own}, and evaluate does not load it, from a folder or the Hub: {reason}") from None
