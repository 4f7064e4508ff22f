"""Whether an attribution names the parts that the model's answer hangs on: measured, beside random ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from .case import Case
    from .weighed import Weighed

Explained = TypeVar("Explained", bound="Weighed")
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
"""Shares of the parts that are taken away or kept alone (DeYoung et al. 2020, section 5.2)."""
STEPS = 10
"""Steps of a curve of deletion or insertion, at most."""
GROUPS = 10
"""Groups of parts that SaCo compares, at most."""
DRAWS = 10
"""Random attributions of an input."""

MEASURES = {
    "comprehensiveness": +1,
    "sufficiency": -1,
    "deletion": -1,
    "insertion": +1,
    "area": +1,
    "saco": +1,
}
"""Scores, and whether a higher or a lower one is better."""


def measured(case: Case, attribution: Weighed, draws: int = DRAWS, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the scores of one attribution, each with the mean, the least and the greatest of random ones.

    Args:
        case: what was explained.
        attribution: of it.
        draws: random attributions.
        seed: of them.
    """
    own = scores_of(case, attribution.order(seed), attribution.weights)
    control = random_scores(case, draws, seed)
    return {
        name: {
            "value": value,
            "random": float(np.mean(control[name])),
            "random_low": float(np.min(control[name])),
            "random_high": float(np.max(control[name])),
        }
        for name, value in own.items()
    }


def with_scores(case: Case, attribution: Explained) -> Explained:
    """Return an attribution with its scores, as of :func:`measured`."""
    return replace(attribution, faithfulness=measured(case, attribution))


def random_scores(case: Case, draws: int = DRAWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the scores of random attributions of a case, (draws,) by name."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        weights = random.standard_normal(len(case))
        found.append(scores_of(case, np.argsort(-weights), weights))
    return {name: np.array([scores[name] for scores in found]) for name in MEASURES}


def scores_of(case: Case, order: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Return all scores of an attribution of one case.

    ``comprehensiveness`` is the mean over shares k of f(x) - f(x without the k parts that count most), ``sufficiency``
    that of f(x) - f(these parts alone) (DeYoung et al. 2020, eq. 1 and 2, AOPC). ``deletion`` is the area below f as
    the parts go, those that count most first; ``insertion`` as they come back (Petsiuk et al. 2018); ``area`` is
    insertion - deletion, about 0 for random. ``saco`` is SaCo (Wu et al. 2024, algorithm 1).

    Args:
        case: the example, n parts.
        order: (n,) the parts from the one that counts most to the least.
        weights: (n,) of the parts.
    """
    parts = len(case)
    takes = [taken_of(share, parts) for share in SHARES]
    steps = np.unique(np.rint(np.linspace(0, parts, min(STEPS, parts) + 1)).astype(int))
    groups = np.array_split(order, min(GROUPS, parts))
    rank = np.empty(parts, int)
    rank[order] = np.arange(parts)
    without_top = np.array([rank >= take for take in [*takes, *steps]])
    top_alone = np.array([rank < take for take in [*takes, *steps]])
    without_group = np.array([~np.isin(np.arange(parts), group) for group in groups])
    scores = case.scores(np.concatenate([without_top, top_alone, without_group]))
    gone, alone, group_gone = np.split(scores, [len(without_top), len(without_top) + len(top_alone)])
    whole, count = case.score, len(takes)
    deletion, insertion = (_area(steps / parts, curve[count:]) for curve in (gone, alone))
    return {
        "comprehensiveness": float(np.mean(whole - gone[:count])),
        "sufficiency": float(np.mean(whole - alone[:count])),
        "deletion": deletion,
        "insertion": insertion,
        "area": insertion - deletion,
        "saco": saco(np.array([weights[group].sum() for group in groups]), whole - group_gone),
    }


def taken_of(share: float, parts: int) -> int:
    """Return how many parts a share of them is, at least one."""
    return max(1, round(share * parts))


def _area(shares: np.ndarray, scores: np.ndarray) -> float:
    return float(np.trapezoid(scores, shares))


def saco(salience: np.ndarray, drops: np.ndarray) -> float:
    """Return SaCo, from -1 to 1: how far greater weight goes with a greater loss of the score (Wu et al. 2024).

    Args:
        salience: (groups,) sum of the weights of each group, the greatest first.
        drops: (groups,) what the score loses without the group.
    """
    first, second = np.triu_indices(len(salience), 1)
    weight = np.where(drops[first] >= drops[second], 1, -1) * (salience[first] - salience[second])
    total = np.abs(weight).sum()
    return float(weight.sum() / total) if total else 0.0
