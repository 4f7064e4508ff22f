"""The model's scores beside those of other ways, on the same rows, with intervals over users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import intervals
from .scoring import WITHIN
from .within_users import Ranked, auc, mean_of

if TYPE_CHECKING:
    from ....training.evaluation import Predictions

MODEL = "this model"


@dataclass(frozen=True)
class Score:
    """A score and where it lies for other users like these, at 95 %."""

    value: float
    low: float
    high: float


Comparison = Mapping[str, Mapping[str, Score]]
"""Scores by name, by what gave them; this model first."""


def comparison(target: Any, predictions: Predictions) -> Comparison:
    """Return the scores of a model and of other ways on the rows of a split; the last ones are kept.

    Args:
        target: with what other ways say of these rows.
        predictions: of the model.
    """
    kept: list[tuple[Predictions, Comparison]] = target.compared_last
    if not kept or kept[0][0] is not predictions:
        ways = {MODEL: None, **target.others}
        kept[:] = [(predictions, {name: _scores(target.ranked(predictions, score)) for name, score in ways.items()})]
    return kept[0][1]


def _scores(ranked: Ranked) -> dict[str, Score]:
    found = {}
    truth = ranked.gain
    if set(np.unique(truth)) == {0.0, 1.0}:
        found["auroc"] = _score(auc(ranked.score, truth), intervals.auc_by_user(ranked.score, truth, ranked.users))
    for name, values in WITHIN.items() if ranked.told_apart.any() else ():
        of_users = values(ranked)
        found[name] = _score(mean_of(of_users), intervals.of_means(of_users))
    error, name = _errors(ranked.score, truth)
    found[name] = _score(float(error.mean()), intervals.of_rows(error, ranked.users))
    if name == "rmse":
        found[name] = Score(
            *(float(np.sqrt(value)) for value in (found[name].value, found[name].low, found[name].high))
        )
    return found


def _errors(score: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the loss of each row, of log-odds where the truth is 0 and 1, else of ratings; and its name."""
    if set(np.unique(truth)) <= {0.0, 1.0}:
        return np.logaddexp(0, -score * (2 * truth - 1)), "loss"
    return (score - truth) ** 2, "rmse"


def _score(value: float, ends: tuple[float, float] | None) -> Score:
    return Score(value, *(ends or (float("nan"), float("nan"))))


def left_out(ranked: Ranked) -> str:
    """Say how many users the scores within users are of."""
    apart = ranked.told_apart
    return (
        f"Within users: {int(apart.sum()):,} of {len(apart):,} users; the other {int((~apart).sum()):,} have rows of "
        "one kind alone, whose order cannot be wrong. Intervals: 95 %, users drawn with all their rows."
    )


def printed_table(found: Comparison, note: str) -> str:
    """Return the comparison as text."""
    names = list(next(iter(found.values())))
    rows = [["", *names]]
    rows += [
        [way, *(f"{scores[name].value:.4f} ({scores[name].low:.3f} to {scores[name].high:.3f})" for name in names)]
        for way, scores in found.items()
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", note])


def plain(found: Comparison) -> dict[str, dict[str, Any]]:
    """Return the comparison as ``run.json`` holds it."""
    return {
        way: {name: {"value": one.value, "interval": [one.low, one.high]} for name, one in scores.items()}
        for way, scores in found.items()
    }
