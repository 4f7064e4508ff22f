"""How good an order of recommendations is, beside how good each prediction is, and how far that can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ....errors import InputError
from ..labels.metrics import METRICS
from . import intervals
from .within_users import Ranked, mean_of

if TYPE_CHECKING:
    from ....training.evaluation import Predictions

log = logging.getLogger(__name__)

WITHIN: dict[str, Callable[[Ranked], np.ndarray]] = {
    "gauc": lambda ranked: ranked.auc_of_users,
    "ndcg_at_10": lambda ranked: ranked.ndcg_of_users,
}
"""Scores that are means over users, as values of each user."""
NO_ORDER = "no user has rows of the validation split that differ, as where each has one alone"


class OrderedWithinUsers:
    """Scores within the rows of each user; mixed into a kind of label."""

    METRICS: ClassVar[Mapping[str, tuple[str, str]]] = {
        **METRICS,
        "gauc": ("gauc", "AUC within users"),
        "ndcg_at_10": ("ndcg_at_10", "NDCG@10 within users"),
    }
    DEFAULT_METRIC: ClassVar[str] = "gauc"

    users: np.ndarray | None
    others: Mapping[str, np.ndarray]

    def among(self, users: Sequence[Any] | np.ndarray, others: Mapping[str, np.ndarray] | None = None) -> Self:
        """Return the same for one split.

        Args:
            users: (rows,) of the split, whose rows they are.
            others: scores of its rows, (rows,), by other ways; printed and drawn beside the model's.
        """
        codes = np.unique(np.asarray(users), return_inverse=True)[1]
        return replace(self, users=codes, others=dict(others or {}))  # type: ignore[type-var]

    def score_of(self, outputs: np.ndarray) -> np.ndarray:
        """Return one number a row by which rows are ordered, (rows,), of (rows, outputs)."""
        raise NotImplementedError

    def ranked(self, predictions: Predictions, score: np.ndarray | None = None) -> Ranked:
        """Return the order of the rows of a split by their predictions, or by other scores of these.

        Raises:
            InputError: it is not known whose rows they are.
        """
        if self.users is None:
            raise InputError("scores within users need to know whose rows they are: use among(users)")
        users = np.unique(self.users[predictions.ids], return_inverse=True)[1]
        score = self.score_of(predictions.outputs) if score is None else score[predictions.ids]
        return Ranked(users, np.asarray(score, float), np.asarray(predictions.labels, float).reshape(-1))

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Return the scores of each row's prediction, and those within users."""
        found = super().scores(predictions, [name for name in metrics if name.removeprefix("-") not in WITHIN])  # type: ignore[misc]
        ranked = self.ranked(predictions)
        within = {name: mean_of(values(ranked)) for name, values in WITHIN.items()}
        return {**found, **{name: value for name, value in within.items() if value == value}}

    def interval(self, predictions: Predictions, metric: str, **how: Any) -> tuple[float, float] | None:
        """Return where a score lies for other users like these, at 95 %: users are drawn, with all their rows."""
        name = metric.removeprefix("-")
        ranked = self.ranked(predictions)
        if name in WITHIN:
            return intervals.of_means(WITHIN[name](ranked))
        rows = self.compared(predictions)  # type: ignore[attr-defined]
        if name not in self.SCORES:  # type: ignore[attr-defined]
            return super().interval(predictions, metric, **how)  # type: ignore[misc, no-any-return]
        return intervals.by_user(lambda some: self.SCORES[name](rows.take(some)), ranked.users)  # type: ignore[attr-defined]

    def choose_metric(self, asked: str | None, validation: Sequence[Any]) -> str:
        """Return the score that chooses the best model: the one asked for, or the usual one.

        Where no user has rows that differ, as where each has one row, there is no order to score: it is the loss.
        """
        if asked is None and len(np.unique(validation)) > 1 and not self._has_order(validation):
            log.warning("%s: the loss chooses the best model, and no order is scored there", NO_ORDER)
            return "loss"
        return super().choose_metric(asked, validation)  # type: ignore[misc, no-any-return]

    def check_metric(self, name: str, validation: Sequence[Any] | None = None) -> None:
        """Refuse a score that cannot be had; those within users need one whose rows differ."""
        if name.removeprefix("-") not in WITHIN:
            super().check_metric(name, validation)  # type: ignore[misc]
            return
        if validation is None:
            return
        values = np.unique(np.asarray(validation))
        if len(values) == 1:
            raise InputError(f"metric {name!r} has no value on the validation split: all its labels are {values[0]:g}")
        if not self._has_order(validation):
            raise InputError(f"metric {name!r} has no value: {NO_ORDER}; give more rows of each user, or --metric loss")

    def _has_order(self, truth: Sequence[Any]) -> bool:
        """Whether the rows of any user differ in truth; so it is taken where users are not known."""
        values = np.asarray(truth, float)
        return self.users is None or bool(Ranked(self.users, values, values).told_apart.any())
