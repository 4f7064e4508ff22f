"""How good predictions of labels are: scores, their interval, scikit-learn's report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....errors import InputError
from .. import bootstrap
from .metric_check import evaluate_metric, sound_scores
from .metrics import METRICS, Metric, Outcome

if TYPE_CHECKING:
    from ....training.evaluation import Predictions


class Scored(ABC):
    """Scores of labels; the kind of labels says what logits mean."""

    METRICS: ClassVar[Mapping[str, tuple[str, str]]] = METRICS
    """Score -> its identifier on the Hub, and its name to read."""
    SCORES: ClassVar[Mapping[str, Metric]]
    DEFAULT_METRIC: ClassVar[str]
    """The score that chooses the best model if the user names none."""
    EVALUATE_CONFIG: ClassVar[str | None] = None
    """Configuration of the metrics of ``evaluate``."""

    kind: ClassVar[str]
    names: tuple[str, ...]
    num_labels: Any

    @abstractmethod
    def outcome(self, logits: np.ndarray, truth: np.ndarray | None = None) -> Outcome:
        """What logits (rows, outputs) say, in float64, and of the true values where there are any."""

    def probabilities(self, predictions: Predictions) -> np.ndarray:
        """(rows, classes): softmax, or sigmoid for several labels; for a number the values, (rows, 1)."""
        return self.outcome(predictions.outputs).probability.reshape(len(predictions), -1)

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """(rows,) loss of each row: cross-entropy, its mean over labels, or the squared error."""
        return self.compared(predictions).loss

    @abstractmethod
    def right(self, predictions: Predictions) -> np.ndarray:
        """(rows,) bool: the class, or all labels, as they are; a number is right if its error is at most the median."""

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """All scores of these labels, and those of ``metrics`` that ``evaluate`` has.

        A score that has no value on these rows (AUROC without a row of some class) is left out.

        Raises:
            InputError: no labels, or a metric that does not exist.
            FloatingPointError: logits that are not finite: the model has diverged.
        """
        rows = self.compared(predictions)
        found = {name: metric(rows) for name, metric in self.SCORES.items()}
        for name in (name.removeprefix("-") for name in metrics):
            if name not in found:
                values = self._evaluated(name, rows.prediction, rows.truth)
                found |= {name if key == name or len(values) == 1 else f"{name}_{key}": v for key, v in values.items()}
        return {name: value for name, value in found.items() if value == value}

    def report(self, predictions: Predictions) -> str:
        """scikit-learn's table of precision, recall and F1 by class; for a number the scores, one a line."""
        from sklearn.metrics import classification_report

        rows, every = self.compared(predictions), list(range(self.num_labels))
        table: Any = classification_report(
            rows.truth, rows.prediction, labels=every, target_names=self.names, digits=4, zero_division=0
        )
        return str(table)

    def interval(self, predictions: Predictions, metric: str, **how: Any) -> tuple[float, float] | None:
        """Where a score lies for other rows like these, by :func:`.bootstrap.interval`; None if it has no value."""
        rows, name = self.compared(predictions), metric.removeprefix("-")

        def score(some: np.ndarray) -> float:
            taken = rows.take(some)
            if name in self.SCORES:
                return self.SCORES[name](taken)
            return next(iter(self._evaluated(name, taken.prediction, taken.truth).values()))

        return bootstrap.interval(score, len(predictions), **how)

    def compared(self, predictions: Predictions) -> Outcome:
        """Predictions beside the truth.

        Raises:
            InputError: no labels.
            FloatingPointError: logits that are not finite.
        """
        if predictions.labels is None:
            raise InputError("these rows have no labels: there is nothing to compare the predictions with")
        odd = predictions.ids[~np.isfinite(predictions.outputs).all(axis=1)]
        if len(odd):
            raise FloatingPointError(
                f"the logits of {len(odd)} of {len(predictions)} rows are not finite (first: row {odd[0]}): the model "
                "has diverged; train with a smaller lr"
            )
        return self.outcome(predictions.outputs, predictions.labels)

    def choose_metric(self, asked: str | None, validation: Sequence[Any]) -> str:
        """Return the score that chooses the best model: the one asked for, or the usual one of these labels.

        Raises:
            InputError: as :meth:`check_metric`.
        """
        name = asked or self.DEFAULT_METRIC
        self.check_metric(name, validation)
        return name

    def check_metric(self, name: str, validation: Sequence[Any] | None = None) -> None:
        """Refuse a score that cannot be had for these labels, before anything is trained.

        Args:
            name: of the score.
            validation: the labels of the rows that it is computed on, where they are known.

        Raises:
            InputError: not one of ours, and not loaded or not computed by ``evaluate``; or one that has no value on
                these rows, whatever is predicted.
        """
        name = name.removeprefix("-")
        if name not in self.SCORES:
            trial = self.trial()
            self._evaluated(name, trial, trial)
        elif validation is not None:
            truth = np.asarray(validation)
            rows = self.outcome(np.arange(float(len(truth) * self.num_labels)).reshape(len(truth), -1), truth)
            if np.isnan(self.SCORES[name](rows)):
                raise InputError(
                    f"metric {name!r} has no value on the validation split: {self.why_undefined(rows)}; add rows, or "
                    f"choose another by --metric ({sound_scores(self.SCORES, rows)})"
                )

    def _evaluated(self, name: str, prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """The numbers of a metric of ``evaluate``."""
        own = {"kind": self.kind, "config": self.EVALUATE_CONFIG, "known": tuple(self.SCORES)}
        return evaluate_metric(name, prediction, truth, **own)  # type: ignore[arg-type]

    def trial(self) -> np.ndarray:
        """Some predictions that a metric must take."""
        return np.arange(max(2, self.num_labels))

    @abstractmethod
    def why_undefined(self, rows: Outcome) -> str:
        """Say what truth leaves a score without a value."""
