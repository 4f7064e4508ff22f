"""Scores by name, in plain numpy: quick enough for a bootstrap, and without scikit-learn's seconds of import.

Other names go to the library ``evaluate``: see :mod:`.metric_check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BINS = 15
METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "f1_macro": ("f1", "Macro F1"),
    "f1_weighted": ("f1", "Weighted F1"),
    "f1_micro": ("f1", "Micro F1"),
    "mcc": ("matthews_correlation", "Matthews correlation"),
    "auroc": ("roc_auc", "AUROC"),
    "ece": ("ece", "Calibration error (15 bins)"),
    "average_precision": ("average_precision", "Average precision"),
    "pearson": ("pearsonr", "Pearson correlation"),
    "spearman": ("spearmanr", "Spearman correlation"),
    "mae": ("mae", "Mean absolute error"),
    "rmse": ("rmse", "Root mean squared error"),
    "loss": ("loss", "Loss"),
}
"""Score name -> (identifier on the Hub, name to read)."""


@dataclass(frozen=True)
class Outcome:
    """True and predicted values of rows; for multi-label each is a row of 0 and 1.

    Attributes:
        truth: (rows,) class numbers or numbers, or (rows, labels).
        prediction: of the same shape.
        probability: (rows, classes); for regression the prediction.
        loss: (rows,) loss of each row.
    """

    truth: np.ndarray
    prediction: np.ndarray
    probability: np.ndarray
    loss: np.ndarray

    def take(self, rows: np.ndarray) -> Outcome:
        """These rows alone."""
        return Outcome(self.truth[rows], self.prediction[rows], self.probability[rows], self.loss[rows])


Metric = Callable[[Outcome], float]


def by_name(*metrics: Metric) -> dict[str, Metric]:
    """Metrics by their names."""
    return {metric.__name__: metric for metric in metrics}


def loss(o: Outcome) -> float:
    """Log loss, mean binary cross-entropy over rows and labels, or mean squared error."""
    return float(o.loss.mean())


def accuracy(o: Outcome) -> float:
    """Share of rows that are right; for multi-label, right in every label."""
    right = o.truth == o.prediction
    return float((right.all(axis=1) if right.ndim == 2 else right).mean())


def _f1(o: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F1 (0 where it has no value), rows that are, and rows that are or are said to be, of each class."""
    if o.truth.ndim == 2:
        both, true, said = (o.truth & o.prediction).sum(0), o.truth.sum(0), o.prediction.sum(0)
    else:
        classes = o.probability.shape[1]
        both = np.bincount(o.truth[o.truth == o.prediction], minlength=classes)
        true, said = np.bincount(o.truth, minlength=classes), np.bincount(o.prediction, minlength=classes)
    return 2 * both / np.maximum(true + said, 1), true, true + said


def f1_macro(o: Outcome) -> float:
    """Mean F1 of the labels; of the classes, those that are in the rows or in the predictions."""
    f1, _, seen = _f1(o)
    return float(f1.mean() if o.truth.ndim == 2 else f1[seen > 0].mean())


def f1_weighted(o: Outcome) -> float:
    """Mean F1 of the classes, weighted by their rows."""
    f1, true, _ = _f1(o)
    return float(np.average(f1, weights=true))


def f1_micro(o: Outcome) -> float:
    """F1 over all rows and labels together."""
    return float(2 * (o.truth & o.prediction).sum() / max(1, o.truth.sum() + o.prediction.sum()))


def mcc(o: Outcome) -> float:
    """Matthews correlation for any number of classes (Gorodkin 2004); 0 where one side has one class only."""
    classes, rows = o.probability.shape[1], len(o.truth)
    true, said = (np.bincount(side, minlength=classes).astype(float) for side in (o.truth, o.prediction))
    spread = np.sqrt((rows**2 - true @ true) * (rows**2 - said @ said))
    return float(((o.truth == o.prediction).sum() * rows - true @ said) / spread) if spread else 0.0


def auroc(o: Outcome) -> float:
    """Area under the ROC curve, one class against the rest, mean over classes; NaN if a class has no row."""
    from scipy.stats import rankdata

    classes = o.probability.shape[1]
    counts = np.bincount(o.truth, minlength=classes)
    if not counts.all() or (counts == len(o.truth)).any():
        return float("nan")
    scores = o.probability[:, 1:] if classes == 2 else o.probability
    positive = o.truth[:, None] == np.arange(classes)[None, -scores.shape[1] :]
    count = positive.sum(axis=0)
    ranks = (rankdata(scores, axis=0) * positive).sum(axis=0)
    return float(((ranks - count * (count + 1) / 2) / (count * (len(scores) - count))).mean())


def ece(o: Outcome) -> float:
    """Expected calibration error of the predicted class in 15 equal bins (Guo et al. 2017, eq. 3)."""
    confidence, right = o.probability.max(axis=1), o.truth == o.prediction
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gap = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gap).sum() / len(right))


def average_precision(o: Outcome) -> float:
    """Area under the precision-recall curve, mean over the labels that some row has; NaN if none has."""
    values = []
    for truth, score in zip(o.truth.T, o.probability.T, strict=True):
        if truth.any():
            order = np.argsort(-score, kind="stable")
            last = np.append(np.diff(score[order]) != 0, True)  # rows of equal score are one threshold
            found, taken = np.cumsum(truth[order])[last], np.arange(1, len(truth) + 1)[last]
            values.append(np.diff(found, prepend=0) @ (found / taken) / found[-1])
    return float(np.mean(values)) if values else float("nan")


def pearson(o: Outcome) -> float:
    """Pearson's r; 0 for a constant prediction, NaN for a constant truth."""
    return _correlation(o.truth, o.prediction)


def spearman(o: Outcome) -> float:
    """Spearman's rho: Pearson's r of the ranks; 0 for a constant prediction, NaN for a constant truth."""
    from scipy.stats import rankdata

    return _correlation(rankdata(o.truth), rankdata(o.prediction))


def _correlation(truth: np.ndarray, value: np.ndarray) -> float:
    if np.ptp(truth) == 0:
        return float("nan")
    x, y = truth - truth.mean(), value - value.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y))) if np.ptp(value) else 0.0


def mae(o: Outcome) -> float:
    """Mean absolute error."""
    return float(np.abs(o.truth - o.prediction).mean())


def rmse(o: Outcome) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(o.loss.mean()))
