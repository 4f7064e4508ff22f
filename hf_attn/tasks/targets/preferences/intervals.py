"""Bootstrap over users: each is drawn with all rows, which are no rows of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWS = 1000


def of_means(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean over users, of values (users,); NaN are left out. None without any."""
    there = values[np.isfinite(values)]
    if not len(there):
        return None
    random = np.random.default_rng(seed)
    means = there[random.integers(0, len(there), (draws, len(there)))].mean(1)
    return _ends(means)


def by_user(
    score: Callable[[np.ndarray], float], users: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % interval of a score of rows, drawn user by user.

    Args:
        score: of the rows whose numbers it is given.
        users: (rows,) number of the user of each row.
        draws: of as many users as there are, with replacement.
        seed: of them.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(users, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(users[order])) + 1)
    drawn = (random.integers(0, len(rows), len(rows)) for _ in range(draws))
    values = np.array([score(np.concatenate([rows[user] for user in some])) for some in drawn])
    return None if np.isnan(values).all() else _ends(values)


def auc_by_user(
    score: np.ndarray, liked: np.ndarray, users: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of AUC over all rows, as :func:`by_user` has it, by weights in place of drawn rows."""
    order = np.argsort(score, kind="stable")
    same = np.cumsum(np.diff(score[order], prepend=-np.inf) != 0) - 1
    positive, users = liked[order] > 0, users[order]
    random, count = np.random.default_rng(seed), int(users.max()) + 1
    values = np.empty(draws)
    for draw in range(draws):
        weight = np.bincount(random.integers(0, count, count), minlength=count)[users].astype(float)
        of_score = np.bincount(same, weight * ~positive)
        below = np.cumsum(of_score) - of_score / 2
        with np.errstate(invalid="ignore"):
            values[draw] = (weight * positive) @ below[same] / ((weight @ positive) * (weight @ ~positive))
    return _ends(values)


def of_rows(values: np.ndarray, users: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean over rows, (rows,), as :func:`by_user` has it."""
    random, count = np.random.default_rng(seed), int(users.max()) + 1
    total, rows = np.bincount(users, values, count), np.bincount(users, minlength=count)
    drawn = random.integers(0, count, (draws, count))
    return _ends(total[drawn].sum(1) / rows[drawn].sum(1))


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
