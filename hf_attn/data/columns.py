"""Columns and rows by name, for messages that say what exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import InputError, nearest

SHOWN = 5


def listing(items: Sequence[Any], shown: int = SHOWN) -> str:
    """The first few items: ``1, 2, 3, … (12 in all)``."""
    text = ", ".join(str(item) for item in items[:shown])
    return text if len(items) <= shown else f"{text}, … ({len(items)} in all)"


def without_nan(values: Iterable[Any]) -> list[Any]:
    """The values with None for NaN, which is not equal to itself."""
    return [None if value != value else value for value in values]


def missing(splits: Any, columns: Sequence[str | None]) -> list[str]:
    """One complaint for each column that a split lacks, with the columns that it has."""
    complaints = []
    for column in filter(None, columns):
        lacking = [name for name, split in splits.items() if column not in split.column_names]
        if lacking:
            known = splits[lacking[0]].column_names
            complaints.append(
                f"no column '{column}' in {', '.join(lacking)} (columns: {', '.join(known)}){nearest(column, known)}"
            )
    return complaints


def refuse(mistakes: Iterable[str]) -> None:
    """Raise one :class:`InputError` that holds all mistakes, if there are any."""
    if told := list(dict.fromkeys(mistakes)):
        raise InputError("; ".join(told))
