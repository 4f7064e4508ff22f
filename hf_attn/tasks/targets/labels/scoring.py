"""How good predictions of labels are: scores, their interval, scikit-learn's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....training.evaluation import Predictions
from .metric_check import evaluate_metric
from .metrics import METRICS, Outcome, outcome

if TYPE_CHECKING:
    from .labels import Labels


def probabilities(predictions: Predictions, labels: Labels) -> np.ndarray:
    """(rows, classes): softmax, or sigmoid for multi-label; for regression the values, (rows, 1)."""
    truth = np.zeros(predictions.logits.shape if labels.kind == "multi" else len(predictions))
    return outcome(predictions.logits, truth, labels.kind).probability.reshape(len(predictions), -1)


def right(predictions: Predictions, labels: Labels) -> np.ndarray:
    """(rows,) bool: the class, or all labels, as they are; a number is right if its error is at most the median."""
    truth = np.asarray(predictions.labels)
    shares = probabilities(predictions, labels)
    if labels.kind == "single":
        return shares.argmax(1) == truth
    if labels.kind == "multi":
        return ((shares >= 0.5) == (truth >= 0.5)).all(1)
    errors = np.abs(shares[:, 0] - truth.reshape(-1))
    return errors <= np.median(errors)


def scores(predictions: Predictions, labels: Labels, metrics: Sequence[str] = ()) -> dict[str, float]:
    """All scores of this kind of labels, and those of ``metrics`` that ``evaluate`` has.

    A score that has no value on these rows (AUROC without a row of some class) is left out.

    Raises:
        InputError: no labels, or a metric that does not exist.
        FloatingPointError: logits that are not finite: the model has diverged.
    """
    rows = _outcome(predictions, labels)
    found = {name: metric(rows) for name, metric in METRICS[labels.kind].items()}
    for name in (name.removeprefix("-") for name in metrics):
        if name not in found:
            values = evaluate_metric(name, labels.kind, rows.prediction, rows.truth)
            found |= {name if key == name or len(values) == 1 else f"{name}_{key}": v for key, v in values.items()}
    return {name: value for name, value in found.items() if value == value}


def report(predictions: Predictions, labels: Labels) -> str:
    """scikit-learn's table of precision, recall and F1 by class; for regression the scores, one a line."""
    rows = _outcome(predictions, labels)
    if labels.kind == "regression":
        return "\n".join(f"{name:>12}  {value:.4f}" for name, value in scores(predictions, labels).items())
    from sklearn.metrics import classification_report

    numbers = list(range(labels.num_labels))
    table: Any = classification_report(
        rows.truth, rows.prediction, labels=numbers, target_names=labels.names, digits=4, zero_division=0
    )
    return str(table)


def interval(
    predictions: Predictions,
    labels: Labels,
    metric: str,
    *,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Percentile bootstrap over rows (Efron & Tibshirani 1993, ch. 13): where a score lies for other rows like these.

    Returns:
        The ends of the interval, or None for a metric that has no value on these rows.
    """
    rows, name, kind = _outcome(predictions, labels), metric.removeprefix("-"), labels.kind

    def score(some: Outcome) -> float:
        if name in METRICS[kind]:
            return METRICS[kind][name](some)
        return next(iter(evaluate_metric(name, kind, some.prediction, some.truth).values()))

    random = np.random.default_rng(seed)
    count = len(predictions)
    values = np.array([score(rows.take(random.integers(0, count, count))) for _ in range(samples)])
    if np.isnan(values).all():
        return None
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _outcome(predictions: Predictions, labels: Labels) -> Outcome:
    if predictions.labels is None:
        raise InputError("these rows have no labels: there is nothing to compare the predictions with")
    odd = predictions.ids[~np.isfinite(predictions.logits).all(axis=1)]
    if len(odd):
        raise FloatingPointError(
            f"the logits of {len(odd)} of {len(predictions)} rows are not finite (first: row {odd[0]}): the model has "
            "diverged; train with a smaller lr"
        )
    return outcome(predictions.logits, predictions.labels, labels.kind)
