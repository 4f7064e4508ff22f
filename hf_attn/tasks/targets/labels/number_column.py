"""A number a row: regression."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from ....data.columns import listing, refuse
from ....data.origin import where

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def encode(splits: DatasetDict, column: str) -> dict[str, list[float]]:
    """The numbers of ``column`` by split, as floats; where classes are named, the numbers that their names are."""
    mistakes, encoded = [], {}
    for name, split in splits.items():
        values = _values(split, column)
        odd = [repr(value) for value in values if not isinstance(value, int | float | None)]
        bad = [row for row, value in enumerate(values) if not odd and (value is None or not math.isfinite(value))]
        if odd:
            comma = any(re.fullmatch(r"'\s*-?\d+,\d+\s*'", value) for value in odd)
            grouped = all(re.fullmatch(r"'\s*-?\d{1,3}(,\d{3})+(\.\d+)?\s*'", value) for value in odd)
            cure = "; write thousands without commas" if grouped else "; write a point, not a comma" if comma else ""
            rows = [row for row, value in enumerate(values) if not isinstance(value, int | float | None)]
            mistakes.append(
                f"{name} has labels in '{column}' that are no numbers: {listing(odd)} ({where(split, rows)}){cure}"
            )
        if bad:
            mistakes.append(
                f"{name} has {len(bad)} labels in '{column}' that are null, NaN or infinite ({where(split, bad)})"
            )
        if not odd and not bad:
            encoded[name] = [float(value) for value in values]
    if "train" in encoded and len(set(encoded["train"])) < 2:
        mistakes.append(f"'{column}' has the same value in every row of train: there is nothing to learn")
    refuse(mistakes)
    return encoded


def _values(split: Dataset, column: str) -> list[Any]:
    """What a column holds; a class by its name, which is a number or is refused: its place among them means nothing."""
    values, names = split[column][:], getattr(split.features[column], "names", None)
    if names is None:
        return values
    try:
        named: list[Any] = [float(name) for name in names]
    except ValueError:
        named = list(names)
    return [None if value is None or value < 0 else named[value] for value in values]
