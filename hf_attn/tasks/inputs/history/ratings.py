"""Ratings and clicks as numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....data.origin import where
from ....errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

CODES = (-1.0, 0.0, 99.0, 999.0)
"""What stands for "not rated" in published sets of ratings."""


def ratings_of(split: Dataset, column: str, scale: Sequence[float] | None) -> np.ndarray:
    """Return the rating of each row, (rows,) float64; a click is 1, none is 0.

    Raises:
        InputError: what is no number, or out of the scale; with the rows as they are in the file.
    """
    names = getattr(split.features[column], "names", None)
    values = split[column][:]
    found = np.full(len(values), np.nan)
    bad = []
    for row, value in enumerate(values):
        try:
            found[row] = float(names[value] if names else value)
        except (TypeError, ValueError):
            bad.append(row)
    bad = sorted({*bad, *np.flatnonzero(~np.isfinite(found)).tolist()})
    if bad:
        shown = values[bad[0]] if not names else names[values[bad[0]]]
        raise InputError(
            f"'{column}' of {len(bad)} rows is no number ({where(split, bad)}, such as {shown!r}): expected ratings, "
            "or clicks as 0 and 1; --skip_bad_rows leaves out rows without any"
        )
    check_scale(split, column, found, scale)
    return found


def check_scale(split: Dataset, column: str, found: np.ndarray, scale: Sequence[float] | None) -> None:
    """Refuse ratings out of a scale; without one, warn of those that look like codes."""
    if scale is None:
        kinds, counts = np.unique(found, return_counts=True)
        odd = [value for value in CODES if value in kinds and len(kinds) > 3 and _stands_apart(value, kinds)]
        for value in odd:
            log.warning(
                "%d rows have %g in '%s', apart from all others (%g to %g): where it means not rated, --rating_scale "
                "refuses it",
                counts[kinds == value][0],
                value,
                column,
                *np.delete(kinds, kinds == value)[[0, -1]],
            )
        return
    out = np.flatnonzero((found < scale[0]) | (found > scale[1])).tolist()
    if out:
        raise InputError(
            f"'{column}' of {len(out)} rows is out of the scale from {scale[0]:g} to {scale[1]:g} "
            f"({where(split, out)}, such as {found[out[0]]:g}): mend them, or give another --rating_scale"
        )


def _stands_apart(value: float, kinds: np.ndarray) -> bool:
    """Whether a value lies farther from the others than they lie from each other."""
    others = np.delete(kinds, kinds == value)
    return bool(np.abs(others - value).min() > np.diff(others).max(initial=0)) or value == 0 and others.min() >= 1
