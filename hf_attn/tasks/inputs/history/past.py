"""What users met, in its order, and which part of it each row may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import Options

CANDIDATE, START, END = "__candidate__", "__start__", "__end__"
"""Columns of a split: number of the candidate's text, and which of the events are before it, [start, end)."""


@dataclass(frozen=True)
class Past:
    """Events of all users, those of one user together and in their order.

    Attributes:
        texts: of the items; no two are the same.
        item: (events,) int32, the text of each event.
        rating: (events,) float32; NaN where it is not known.
    """

    texts: Sequence[str]
    item: np.ndarray
    rating: np.ndarray

    def before(self, start: int, end: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return items and ratings of the last ``length`` events of [start, end), the oldest first."""
        start = max(start, end - length)
        return self.item[start:end], self.rating[start:end]

    @cached_property
    def _sums(self) -> np.ndarray:
        """(2, events + 1) how many ratings there are before each event, and their sum."""
        known = np.isfinite(self.rating)
        columns = known.astype(np.float64), np.nan_to_num(self.rating.astype(np.float64))
        return np.stack([np.append(0.0, np.cumsum(column)) for column in columns])

    def older(self, start: int, end: int, length: int) -> tuple[float, float]:
        """Return :func:`older_of` the ratings of [start, end) before the last ``length`` events."""
        count, total = self._sums[:, max(start, end - length)] - self._sums[:, start]
        return float(count), float(total)


def older_of(ratings: np.ndarray) -> tuple[float, float]:
    """Return how many ratings there are and their sum: what is kept of a history before the items that are read."""
    known = ratings[np.isfinite(ratings)]
    return float(len(known)), float(known.sum(dtype=np.float64))


def seen_by(split: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return candidate, start and end of each row of a split, (rows,) int64."""
    candidate, start, end = (np.asarray(split[name][:], np.int64) for name in (CANDIDATE, START, END))
    return candidate, start, end


def users_of(split: Dataset, args: Options) -> np.ndarray:
    """Return the user of each row, (rows,) of strings."""
    return np.array([key(value) for value in split[args.user][:]])


def key(value: Any) -> str:
    """Return an id as it is compared: 7, 7.0 and "7" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def names(split: Dataset | None, args: Options) -> dict[str, list[Any]]:
    """Return what tells the rows of a split apart: user, item, and other columns named like an id."""
    if split is None:
        return {}
    told = {name: split[name][:] for name in (args.user, args.item) if name in split.column_names}
    return told | data.id_columns(split, [args.history, args.candidate, *told])


def fingerprint(splits: DatasetDict, past: Past) -> str:
    """Return the sha256 of the rows, of which of the past each may see, and of the items' texts."""
    from datasets import Dataset, DatasetDict

    texts = Dataset.from_dict({"text": list(past.texts)})
    return data.fingerprint(DatasetDict({**splits, "__items__": texts}))
