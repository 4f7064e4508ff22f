"""Columns and rows by name, for messages that say what exists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import InputError, nearest

SHOWN = 5
IDS = re.compile(r"((.*[_\W])?(id|ids|idx|index|uid|guid|uuid)|.*[a-z]I[dD]s?|Id|ID)")
"""Names of columns that tell rows apart: ``id``, ``tweet_id``, ``PassengerId``, ``index``."""
UNLABELLED = "unlabelled"
"""Name of a test split without labels, which is predicted and not scored."""


def listing(items: Sequence[Any], shown: int = SHOWN) -> str:
    """The first few items: ``1, 2, 3, … (12 in all)``."""
    text = ", ".join(str(item) for item in items[:shown])
    return text if len(items) <= shown else f"{text}, … ({len(items)} in all)"


def id_columns(split: Any, used: Sequence[str | None] = ()) -> dict[str, list[Any]]:
    """The columns of a split that tell its rows apart by their names, but for those in use."""
    names = [name for name in split.column_names if IDS.fullmatch(name) and name not in used]
    return {name: split[name][:] for name in names}


def quoted(items: Iterable[Any]) -> str:
    """The first few names, as Python writes them: a blank at the end is seen."""
    return listing([repr(item) for item in items])


def labelled(splits: Any) -> Any:
    """The splits that have labels."""
    return type(splits)({name: split for name, split in splits.items() if name != UNLABELLED})


def without_nan(values: Iterable[Any]) -> list[Any]:
    """The values with None for NaN, which is not equal to itself."""
    return [None if value != value else value for value in values]


def missing(splits: Any, columns: Sequence[str | None]) -> list[str]:
    """One complaint for each column that a split lacks, with the columns that it has."""
    complaints = []
    for column in filter(None, columns):
        lacking = [name for name, split in splits.items() if column not in split.column_names]
        if lacking:
            split = splits[lacking[0]]
            known = split.column_names
            hint = nearest(column, known) or _within(split, column) or _no_header(split)
            complaints.append(f"no column '{column}' in {', '.join(lacking)} (columns: {', '.join(known)}){hint}")
    return complaints


def _within(split: Any, column: str) -> str:
    """Where a column of objects has a field of that name."""
    fields = {name: kind for name, kind in split.features.items() if isinstance(kind, dict) and column in kind}
    if fields:
        return f"; '{column}' is inside the objects of '{next(iter(fields))}': make it a column"
    nested = all(not hasattr(kind, "dtype") for kind in split.features.values())
    return "; they hold objects and lists: make a column for the text and one for the label of them" if nested else ""


def _no_header(split: Any) -> str:
    """Whether the names of columns are values: the first line of a file without a header."""
    for name in split.column_names:
        if getattr(split.features[name], "dtype", "") == "string" and name in split[name][:]:
            return f"; {name!r} is a value of its own column: the file has no header, so add a first line with names"
    return ""


def refuse(mistakes: Iterable[str]) -> None:
    """Raise one :class:`InputError` that holds all mistakes, if there are any."""
    if told := list(dict.fromkeys(mistakes)):
        more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
        raise InputError("; ".join([*told[:SHOWN], *more]))
