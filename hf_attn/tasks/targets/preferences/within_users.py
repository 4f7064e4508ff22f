"""Scores of an order: over all rows, and within the rows of each user, who sees one list and never two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

CUT = 10
"""Places of a list that NDCG looks at."""


@dataclass(frozen=True)
class Ranked:
    """Scores and truth of rows, and whose rows they are.

    Attributes:
        users: (rows,) number of the user of each row.
        score: (rows,) the higher the better.
        gain: (rows,) what a row is worth: 1 or 0, or a rating.
    """

    users: np.ndarray
    score: np.ndarray
    gain: np.ndarray

    @cached_property
    def _order(self) -> np.ndarray:
        """Rows by user, the best score first; equal scores as they stand."""
        return np.lexsort((-self.score, self.users))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.users[self._order], prepend=-1))

    @cached_property
    def told_apart(self) -> np.ndarray:
        """(users,) bool: whose rows differ in truth, so that an order of them is right or wrong."""
        gain = self.gain[self._order]
        return np.maximum.reduceat(gain, self._starts) > np.minimum.reduceat(gain, self._starts)

    @cached_property
    def auc_of_users(self) -> np.ndarray:
        """(users,) share of the pairs of a user's rows of different truth that are in order; ties count half.

        NaN where no two rows differ.
        """
        return self._by_user(pairs_in_order)

    @cached_property
    def ndcg_of_users(self) -> np.ndarray:
        """(users,) ``Σ_{k≤10} g_k / log2(k + 1)`` over that of the best order; NaN where no two rows differ.

        Järvelin & Kekäläinen 2002, with gains as they are and no less than 0. Rows of equal score share their gain, so
        that the order of the file earns nothing.
        """
        return self._by_user(ndcg)

    def _by_user(self, of: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
        score, gain = (np.split(values[self._order], self._starts[1:]) for values in (self.score, self.gain))
        found = np.full(len(self.told_apart), np.nan)
        for user in np.flatnonzero(self.told_apart):
            found[user] = of(score[user], gain[user])
        return found


def pairs_in_order(score: np.ndarray, gain: np.ndarray) -> float:
    """Return the share of pairs of rows of different gain whose scores are in their order; ties count half."""
    higher = gain[:, None] > gain[None]
    return float(((score[:, None] > score[None]) + 0.5 * (score[:, None] == score[None]))[higher].mean())


def ndcg(score: np.ndarray, gain: np.ndarray, cut: int = CUT) -> float:
    """Return NDCG at ``cut`` of one list, ordered by falling score."""
    discount = 1 / np.log2(np.arange(2, len(gain) + 2))
    discount[cut:] = 0
    gain = gain - min(0.0, float(gain.min()))
    same = np.cumsum(np.diff(score, prepend=np.inf) != 0) - 1
    shared = (np.bincount(same, gain) / np.bincount(same))[same]
    return float(shared @ discount / (np.sort(gain)[::-1] @ discount))


def auc(score: np.ndarray, liked: np.ndarray) -> float:
    """Return the share of pairs of a liked and another row, of any users, that are in order; NaN without either."""
    from scipy.stats import rankdata

    positive = liked > 0
    count, rest = int(positive.sum()), int((~positive).sum())
    if not count or not rest:
        return float("nan")
    return float((rankdata(score)[positive].sum() - count * (count + 1) / 2) / (count * rest))


def mean_of(values: np.ndarray) -> float:
    """Return the mean over users that have a value; NaN where none has."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
