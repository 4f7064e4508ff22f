"""Any number of labels a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...explained import Asked
from ..asked import of_names
from . import metrics
from .answers import ranked_by_name
from .labels import Labels
from .metrics import Outcome, by_name

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import Tensor

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions

THRESHOLD = 0.5
"""Probability from which on a row has a label."""


class SeveralLabels(Labels):
    """Any number of labels a row: a sigmoid and a binary cross-entropy each; labels are float32, (rows, labels)."""

    kind = "multi"
    problem_type = "multi_label_classification"
    SCORES: ClassVar = by_name(
        metrics.loss, metrics.f1_micro, metrics.f1_macro, metrics.average_precision, metrics.accuracy
    )
    EVALUATE_CONFIG = "multilabel"
    DEFAULT_METRIC = "f1_micro"

    @classmethod
    def read(cls, splits: DatasetDict, columns: list[str], label_names: str | None, *, asked: bool) -> Any:
        from . import lists

        return lists.encode_columns(splits, columns) if len(columns) > 1 else lists.encode_lists(splits, columns[0])

    @staticmethod
    def feature() -> Any:
        from datasets import List, Value

        return List(Value("float32"))

    @property
    def sentence(self) -> str:
        return f"any number of {len(self.names)} labels"

    def count_labels(self, values: np.ndarray) -> tuple[int, ...]:
        return tuple(values.sum(0).astype(int).tolist())

    def balanced(self, counts: Tensor) -> Tensor:
        """Rows of the most frequent label / rows of the label."""
        return counts.max() / counts.clamp_min(1)

    @cached_property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        from .. import losses

        smoothing, gamma = self.options.label_smoothing, self.options.focal_gamma
        return partial(losses.binary_cross_entropy, weight=self.weight, label_smoothing=smoothing, focal_gamma=gamma)

    def outcome(self, logits: np.ndarray, truth: np.ndarray | None = None) -> Outcome:
        logits = np.asarray(logits, dtype=np.float64)
        truth = np.zeros(logits.shape, np.int64) if truth is None else np.asarray(truth).astype(np.int64)
        loss = np.maximum(logits, 0) - logits * truth + np.log1p(np.exp(-np.abs(logits)))
        return Outcome(truth, (logits >= 0).astype(np.int64), _sigmoid(logits), loss.mean(axis=1))

    def asked(self, outputs: np.ndarray, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """The most probable label, by its probability; or another, or a difference of two by that of logits."""
        return of_names(self.names, int(np.argmax(outputs)), wanted, against, lambda logits: logits.sigmoid())

    def right(self, predictions: Predictions) -> np.ndarray:
        said = self.probabilities(predictions) >= THRESHOLD
        return (said == (np.asarray(predictions.labels) >= 0.5)).all(1)

    def trial(self) -> np.ndarray:
        return np.eye(max(2, self.num_labels), dtype=np.int64)

    def why_undefined(self, rows: Outcome) -> str:
        return "no row has a label"

    def say(self, outputs: np.ndarray, top_k: int | None = None) -> list[dict[str, Any]]:
        """``label`` and ``score``, lists of all with a probability of at least 0.5, and ``probabilities``."""
        said = []
        for ranked in ranked_by_name(self.outcome(outputs).probability, self.names):
            label = [name for name, share in ranked.items() if share >= THRESHOLD]
            score = [ranked[name] for name in label]
            said.append({"label": label, "score": score, "probabilities": dict(list(ranked.items())[:top_k])})
        return said

    def named(self, value: Any) -> list[str]:
        return [name for name, on in zip(self.names, value, strict=True) if on]

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Precision and recall of each label, and how far confidence can be trusted."""
        from ....interface.plotting import Picture
        from .figures import RELIABILITY, classes, reliability

        truth, shares = np.asarray(predictions.labels), self.probabilities(predictions)
        return [
            Picture(
                "classes.png",
                "Precision and recall of each label on the test split",
                partial(classes, truth, shares >= THRESHOLD, self.names),
            ),
            Picture("reliability.png", RELIABILITY, partial(reliability, truth, shares)),
        ]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1 + small)
