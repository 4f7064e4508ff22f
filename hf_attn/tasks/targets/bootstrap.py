"""How far a score of some rows can be trusted for others like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def interval(
    score: Callable[[np.ndarray], float], rows: int, *, samples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap over rows (Efron & Tibshirani 1993, ch. 13): where a score lies for other rows like these.

    Args:
        score: of the rows whose numbers it is given, some of them more than once.
        rows: how many there are.
        samples: draws of so many rows, with replacement.
        seed: of the draws.
        level: share of the draws between the ends.

    Returns:
        The ends of the interval, or None for a score that has no value on these rows.
    """
    random = np.random.default_rng(seed)
    values = np.array([score(random.integers(0, rows, rows)) for _ in range(samples)])
    if np.isnan(values).all():
        return None
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
