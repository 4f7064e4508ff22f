"""Where the rows of a split stand in what the user gave: files and their lines, however the rows were cut or drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from .columns import listing

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Origin:
    """Where each row of a split was read.

    Attributes:
        places: names of files, or of the split as its source calls it.
        units: what is counted in each place: ``line`` (from 1), ``row`` or such as ``question`` (from 0), or ``file``
            where a place is a row.
        place: (rows,) of each row, an index into ``places``.
        number: (rows,) of each row.
        unusable: why a column can be neither text nor label, by name.
    """

    places: tuple[str, ...]
    units: tuple[str, ...]
    place: np.ndarray
    number: np.ndarray
    unusable: dict[str, str] = field(default_factory=dict)


_origins: WeakKeyDictionary[Any, Origin] = WeakKeyDictionary()


def mark(split: Dataset, place: str, unit: str, numbers: Iterable[int], unusable: dict[str, str]) -> Dataset:
    """Note that the rows of a split are these of one place."""
    number = np.fromiter(numbers, np.int64, len(split))
    _origins[split] = Origin((place,), (unit,), np.zeros(len(split), np.int32), number, unusable)
    return split


def mark_files(split: Dataset, files: Sequence[str]) -> Dataset:
    """Note that each row of a split is a file of its own."""
    units = ("file",) * len(files)
    _origins[split] = Origin(tuple(files), units, np.arange(len(files), dtype=np.int32), np.zeros(len(files), np.int64))
    return split


def named(split: Dataset, name: str) -> Dataset:
    """Note the name that its source has for a split of which no more is known."""
    return split if split in _origins else mark(split, name, "row", range(len(split)), {})


def carry(changed: Dataset, split: Dataset) -> Dataset:
    """Note that a changed split has the same rows as before."""
    if split in _origins:
        _origins[changed] = _origins[split]
    return changed


def select(split: Dataset, rows: Any) -> Dataset:
    """Some rows of a split, by index."""
    chosen = split.select(rows)
    if origin := _origins.get(split):
        rows = np.asarray(rows, np.int64)
        _origins[chosen] = replace(origin, place=origin.place[rows], number=origin.number[rows])
    return chosen


def made_of(made: Dataset, split: Dataset, rows: np.ndarray, unit: str) -> Dataset:
    """Note that the rows of a split were made of rows of another, some of several, and are counted in its places."""
    if origin := _origins.get(split):
        place = origin.place[rows]
        number = np.zeros(len(rows), np.int64)
        for one in np.unique(place):
            number[place == one] = np.arange((place == one).sum())
        _origins[made] = Origin(origin.places, (unit,) * len(origin.places), place, number)
    return made


def joined(whole: Dataset, parts: Sequence[Dataset]) -> Dataset:
    """Note that the rows of a split are those of its parts, one after the other."""
    found = [_origins[part] for part in parts]
    starts = np.cumsum([0, *(len(origin.places) for origin in found)])
    _origins[whole] = Origin(
        tuple(place for origin in found for place in origin.places),
        tuple(unit for origin in found for unit in origin.units),
        np.concatenate([origin.place + start for origin, start in zip(found, starts, strict=False)]),
        np.concatenate([origin.number for origin in found]),
        {name: why for origin in found for name, why in origin.unusable.items()},
    )
    return whole


def unusable(split: Dataset, column: str) -> str | None:
    """Why a column can be neither text nor label, if the file says so."""
    origin = _origins.get(split)
    return origin.unusable.get(column) if origin else None


def place_of(split: Dataset, row: int) -> str | None:
    """One row as the user knows it: ``line 9 of a.csv``, ``row 3 of d.parquet``; None where it is a file of its own."""
    origin = _origins.get(split)
    if origin is None or origin.units[origin.place[row]] == "file":
        return None
    return f"{origin.units[origin.place[row]]} {origin.number[row]} of {origin.places[origin.place[row]]}"


def where(split: Dataset, rows: Sequence[int]) -> str:
    """Rows as the user knows them: ``lines 9, 12 of a.csv``; without a known place ``rows 8, 11, from 0``."""
    origin = _origins.get(split)
    if origin is None:
        return f"rows {listing(rows)}, from 0"
    by_place: dict[int, list[int]] = {}
    for row in rows:
        by_place.setdefault(int(origin.place[row]), []).append(int(origin.number[row]))
    told = []
    for place, numbers in by_place.items():
        name, unit = origin.places[place], origin.units[place]
        if unit == "file":
            told.append(name)
        elif unit == "line":
            told.append(f"line{'s' * (len(numbers) > 1)} {listing(numbers)} of {name}")
        else:
            told.append(f"{unit}{'s' * (len(numbers) > 1)} {listing(numbers)} of {name}, from 0")
    return listing(told)
