"""One class a row."""

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


class OneClass(Labels):
    """One class a row: softmax and cross-entropy; labels are int64, (rows,)."""

    kind = "single"
    problem_type = "single_label_classification"
    SCORES: ClassVar = by_name(
        metrics.loss,
        metrics.accuracy,
        metrics.f1_macro,
        metrics.f1_weighted,
        metrics.mcc,
        metrics.auroc,
        metrics.ece,
    )
    DEFAULT_METRIC = "accuracy"

    @classmethod
    def read(cls, splits: DatasetDict, columns: list[str], label_names: str | None, *, asked: bool) -> Any:
        from . import classes

        return classes.encode(splits, columns[0], label_names, literal=asked)

    @staticmethod
    def feature() -> Any:
        from datasets import Value

        return Value("int64")

    @property
    def num_classes(self) -> int | None:
        return self.num_labels

    @property
    def sentence(self) -> str:
        return f"one of {len(self.names)} classes"

    def count_labels(self, values: np.ndarray) -> tuple[int, ...]:
        return tuple(np.bincount(values, minlength=self.num_labels).tolist())

    def balanced(self, counts: Tensor) -> Tensor:
        """Rows / (classes · rows of the class), as scikit-learn has it."""
        return counts.sum() / (len(counts) * counts)

    @cached_property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        from .. import losses

        smoothing, gamma = self.options.label_smoothing, self.options.focal_gamma
        return partial(losses.cross_entropy, weight=self.weight, label_smoothing=smoothing, focal_gamma=gamma)

    def items(self, labels: Tensor) -> Tensor:
        """Rows, or the sum of their classes' weights."""
        from .. import losses

        return losses.item_count(labels, self.weight)

    def outcome(self, logits: np.ndarray, truth: np.ndarray | None = None) -> Outcome:
        logits = np.asarray(logits, dtype=np.float64)
        truth = np.zeros(len(logits), np.int64) if truth is None else np.asarray(truth).astype(np.int64)
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        loss = -log_probability[np.arange(len(truth)), truth]
        return Outcome(truth, logits.argmax(axis=1), np.exp(log_probability), loss)

    def asked(self, outputs: np.ndarray, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """The class that is predicted, by its probability; or another, or a difference of two by that of logits."""
        return of_names(self.names, int(np.argmax(outputs)), wanted, against, lambda logits: logits.softmax(-1))

    def right(self, predictions: Predictions) -> np.ndarray:
        return self.probabilities(predictions).argmax(1) == np.asarray(predictions.labels)

    def why_undefined(self, rows: Outcome) -> str:
        counts = np.bincount(rows.truth, minlength=self.num_labels)
        absent = [name for name, count in zip(self.names, counts, strict=True) if not count]
        return f"no row is {' or '.join(map(repr, absent[:3]))}" + (f", and {len(absent) - 3} more" * (len(absent) > 3))

    def say(self, outputs: np.ndarray, top_k: int | None = None) -> list[dict[str, Any]]:
        """``label``, ``score`` (its probability) and ``probabilities`` (``top_k`` by label, greatest first)."""
        said = []
        for ranked in ranked_by_name(self.outcome(outputs).probability, self.names):
            label = next(iter(ranked))
            said.append({"label": label, "score": ranked[label], "probabilities": dict(list(ranked.items())[:top_k])})
        return said

    def named(self, value: Any) -> str:
        return self.names[int(value)]

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Confusions, and how far confidence can be trusted."""
        from ....interface.plotting import Picture
        from .figures import RELIABILITY, confusion, reliability

        truth, shares = np.asarray(predictions.labels), self.probabilities(predictions)
        return [
            Picture(
                "confusion.png",
                "Confusion matrix of the test split",
                partial(confusion, truth, shares.argmax(-1), self.names),
            ),
            Picture("reliability.png", RELIABILITY, partial(reliability, truth, shares)),
        ]

    def summary(self, predictions: Predictions) -> str:
        """The confusions."""
        from .confusions import confusion_table

        if predictions.labels is None:
            return ""
        return confusion_table(predictions.labels, predictions.outputs.argmax(-1), self.names)
