"""Rows drawn from a split: a held-out part that keeps each class's share, or a few for a trial."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .columns import refuse
from .origin import select

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Cut = Callable[["Dataset", dict[str, float]], "dict[str, Dataset]"]
"""Takes splits of these shares from train: what is left of that, and the others."""
LEAST = 2
"""Rows that a split must have."""


def limit(splits: DatasetDict, rows: int | None, seed: int = 0) -> DatasetDict:
    """At most ``rows`` rows of each split, drawn by ``seed``: for trials."""
    from datasets import DatasetDict

    if rows is None:
        return splits
    if rows < LEAST:
        raise InputError(f"limit {rows}: at least {LEAST} rows are needed")
    drawn = {name: np.random.default_rng(seed).permutation(len(split))[:rows] for name, split in splits.items()}
    return DatasetDict({name: select(split, drawn[name]) for name, split in splits.items()})


def cut(
    train: Dataset, shares: dict[str, float], seed: int, strata: Callable[[Dataset], np.ndarray] | None = None
) -> dict[str, Dataset]:
    """Take splits from train.

    Args:
        train: all rows.
        shares: of train's rows, by the name of the split they become.
        seed: all that the choice depends on.
        strata: gives the class of each row, (rows,) int64; each keeps its share in each split, and at least one row
            in train.

    Returns:
        What is left of train, and the other splits; rows in their order in train.

    Raises:
        InputError: too few rows, a share that is none, or a class of one row.
    """
    wrong = [f"a share of {share} for {name}" for name, share in shares.items() if not 0 < share < 1]
    refuse(f"{told}: expected one between 0 and 1, such as 0.1" for told in wrong)
    rows = len(train)
    sizes = {name: max(LEAST, round(share * rows)) for name, share in shares.items()}
    if rows - sum(sizes.values()) < LEAST:
        raise InputError(f"train has {rows} rows: too few to cut {' and '.join(sizes)} from; give files for them")
    order = np.random.default_rng(seed).permutation(rows)
    classes = (strata(train) if strata else np.zeros(rows, dtype=np.int64))[order]
    left = np.ones(rows, dtype=bool)
    taken_out = {}
    for name, size in sizes.items():
        taken = _share_out(classes, left, size)
        taken_out[name] = select(train, np.sort(order[taken]))
        left[taken] = False
    return {"train": select(train, np.sort(order[left])), **taken_out}


def cut_groups(train: Dataset, shares: dict[str, float], seed: int, groups: Sequence[Hashable]) -> dict[str, Dataset]:
    """Take splits from train, of which no group comes apart; see :func:`cut`.

    Args:
        train: all rows.
        shares: of train's rows, by the name of the split they become, which gets so many or, by a group, more.
        seed: all that the choice depends on.
        groups: of each row, such as its document.

    Raises:
        InputError: too few rows or groups, or a share that is none.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < LEAST * (1 + len(shares)):
        return cut(train, shares, seed)
    of_row = np.array([numbers[group] for group in groups])
    order = np.random.default_rng(seed).permutation(len(numbers)).tolist()
    sizes, rows = np.bincount(of_row), len(train)
    goes = np.full(len(numbers), "train", dtype=object)
    for name, share in shares.items():
        taken = 0
        while order and taken < max(LEAST, round(share * rows)):
            goes[(one := order.pop())] = name
            taken += sizes[one]
    left = {name: np.flatnonzero(goes[of_row] == name) for name in ("train", *shares)}
    if not 0 < sum(shares.values()) < 1 or len(left["train"]) < LEAST:
        return cut(train, shares, seed)
    return {name: select(train, chosen) for name, chosen in left.items()}


def _share_out(classes: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
    """Positions of ``size`` rows that are left, by largest remainder over the classes."""
    counts = np.bincount(classes[left])
    quota = counts * size / counts.sum()
    take = np.minimum(np.floor(quota).astype(int), np.maximum(counts - 1, 0))
    for index in np.argsort(-(quota - take), kind="stable").tolist() * 2:
        if take.sum() < size and take[index] < counts[index] - 1:
            take[index] += 1
    positions = np.flatnonzero(left)
    return np.concatenate([positions[classes[positions] == index][:n] for index, n in enumerate(take)])
