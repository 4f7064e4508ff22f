"""Whether a user likes something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...explained import Asked
from ..asked import of_names
from ..labels import metrics
from ..labels.metrics import by_name
from ..labels.one_class import OneClass
from .paired import with_pairs
from .scoring import OrderedWithinUsers
from .table import comparison, left_out, printed_table

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions
    from ....training.step import Batch

NAMES = ("not liked", "liked")


@dataclass(frozen=True)
class Liked(OrderedWithinUsers, OneClass):
    """One of two classes, of which the second is liked.

    Attributes:
        users: number of the user of each row of a split; None where no split is scored.
        others: scores of its rows by other ways.
        compared_last: the predictions that were last compared with these, and how they compare.
        pair_weight: of the loss of pairs.
    """

    SCORES: ClassVar = by_name(metrics.loss, metrics.auroc, metrics.accuracy, metrics.ece)

    users: np.ndarray | None = field(default=None, compare=False, repr=False)
    others: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    compared_last: list[Any] = field(init=False, default_factory=list, compare=False, repr=False)
    pair_weight: float = 0.0

    @property
    def sentence(self) -> str:
        """What the model gives each example, in words."""
        return "and a candidate the probability of being liked"

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of each row, and of the order of its two candidates."""
        return with_pairs(self.criterion, self.pair_weight, model, batch)

    def offset(self, labels: np.ndarray) -> float:
        """Log-odds of the labels in train."""
        return float(np.log(labels.mean() / (1 - labels.mean())))

    def score_of(self, outputs: np.ndarray) -> np.ndarray:
        """Log-odds of being liked."""
        return np.asarray(outputs[:, 1], float) - outputs[:, 0]

    def asked(self, outputs: np.ndarray, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """That it is liked, whatever is predicted; or another class, or their difference."""
        return of_names(self.names, len(self.names) - 1, wanted, against, lambda logits: logits.softmax(-1))

    def report(self, predictions: Predictions) -> str:
        """The model beside other ways, on the same rows."""
        return printed_table(comparison(self, predictions), left_out(self.ranked(predictions)))

    def summary(self, predictions: Predictions) -> str:
        """The same, for a terminal."""
        return "" if predictions.labels is None else self.report(predictions)

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Scores beside those of other ways, and how far confidence can be trusted."""
        from ....interface.plotting import Picture
        from ..labels.figures import RELIABILITY, reliability
        from .figures import COMPARISON, bars

        truth, shares = np.asarray(predictions.labels), self.probabilities(predictions)
        return [
            Picture("comparison.png", COMPARISON, partial(bars, comparison(self, predictions))),
            Picture("reliability.png", RELIABILITY, partial(reliability, truth, shares)),
        ]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Label, prediction, probabilities, and the scores of other ways."""
        known = {} if predictions.labels is None else self.others
        others = {f"by {name}": scores[predictions.ids] for name, scores in known.items()}
        return {**super().columns(predictions), **others}
