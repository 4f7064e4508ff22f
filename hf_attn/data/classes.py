"""One class a row: numbers, names, and what may be wrong with them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .columns import listing, refuse, without_nan

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)


def encode(
    splits: DatasetDict, column: str, label_names: str | None = None
) -> tuple[dict[str, list[int]], tuple[str, ...], tuple[int, ...]]:
    """Number the classes of ``column``: the numbers by split, the names, and train's rows of each class.

    A class of train that a later split lacks is logged; a class that train lacks is an error.
    """
    found = {name: _values(split, column) for name, split in splits.items()}
    refuse(_unusable(found, column))
    found = {name: [_whole(value) for value in values] for name, values in found.items()}
    trained = Counter(found["train"])
    refuse(_not_classes(trained, found, column))
    order = list(getattr(splits["train"].features[column], "names", None) or sorted(trained))
    for name, values in found.items():
        if absent := sorted(trained.keys() - set(values)):
            log.warning("%s has no row of %d of train's classes: %s", name, len(absent), listing(absent))
    ids = {value: index for index, value in enumerate(order)}
    encoded = {name: [ids[value] for value in values] for name, values in found.items()}
    names = _names(splits, encoded, label_names or f"{column}_name", order, required=label_names is not None)
    return encoded, names, tuple(trained[value] for value in order)


def _values(split: Dataset, column: str) -> list[Any]:
    """Class names of a ``ClassLabel``, else the values; None where there is no label."""
    names = getattr(split.features[column], "names", None)
    values = without_nan(split[column])
    return [None if v is None or v < 0 else names[v] for v in values] if names else values


def _whole(value: Any) -> Any:
    """1.0 and True are the classes that 1 and "True" name."""
    return str(value) if isinstance(value, bool) else int(value) if isinstance(value, float) else value


def _unusable(found: dict[str, list[Any]], column: str) -> list[str]:
    mistakes = []
    for name, values in found.items():
        if rows := [row for row, value in enumerate(values) if value is None or value == ""]:
            mistakes.append(f"{name} has {len(rows)} rows without a label in '{column}' (rows {listing(rows)}, from 0)")
        odd = [value for value in values if not isinstance(value, str | int | type(None)) and not _is_whole(value)]
        if odd:
            mistakes.append(
                f"{name} has labels in '{column}' that are neither names nor whole numbers: {listing(odd)}; "
                "numbers to predict are a regression (--problem regression)"
            )
    kinds = {name: {type(_whole(v)).__name__ for v in values if v is not None} for name, values in found.items()}
    if not mistakes and any(kinds[name] != kinds["train"] for name in kinds):
        said = ", ".join(f"{' and '.join(sorted(kind))} in {name}" for name, kind in kinds.items())
        mistakes.append(f"labels in '{column}' are {said}: write them alike")
    return mistakes


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _not_classes(trained: Counter[Any], found: dict[str, list[Any]], column: str) -> list[str]:
    mistakes = too_many(column, len(trained), trained.total())
    if mistakes:
        return mistakes
    if len(trained) < 2:
        mistakes.append(f"'{column}' has one class only in train ({listing(list(trained))}): at least two are needed")
    for name, values in found.items():
        if unknown := sorted(set(values) - trained.keys()):
            mistakes.append(f"{name} has labels in '{column}' that train has not: {listing(unknown)}")
    return mistakes


def too_many(column: str, distinct: int, rows: int) -> list[str]:
    """A complaint, if a column has so many values that they can be no classes."""
    if distinct <= max(10, rows // 2):
        return []
    return [
        f"'{column}' has {distinct} different values in {rows} rows, so they are no classes: name the column of the "
        "labels, or say --problem regression for numbers to predict"
    ]


def _names(
    splits: DatasetDict, encoded: dict[str, list[int]], source: str, order: list[Any], required: bool
) -> tuple[str, ...]:
    """Names of the classes: from the column of names, if each class has one of its own there, else the values."""
    if all(source in split.column_names for split in splits.values()):
        pairs = {pair for name in splits for pair in zip(encoded[name], splits[name][source], strict=True)}
        names = {index: str(text) for index, text in pairs}
        if len(pairs) == len(names) == len(set(names.values())):
            return tuple(names.get(index, str(value)) for index, value in enumerate(order))
        if required:
            raise InputError(f"'{source}' does not give each class one name of its own")
    return tuple(map(str, order))
