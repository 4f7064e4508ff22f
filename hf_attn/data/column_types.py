"""One type for a column, over all files that have it: whole numbers, numbers, truth values or text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from .reading import Rows

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
PADDED = re.compile(r"[+-]?0\d")
TRUTH = {"true": True, "false": False}


def settle(files: Sequence[Rows], texts: Collection[str | None] = ()) -> None:
    """Give each column one type in all files, in place.

    Texts of a csv file are whole numbers if all of them are in every file, numbers if all of them are, else texts; an
    empty field of a column of numbers is null. Where the files disagree, whole numbers become numbers beside numbers,
    and everything becomes text beside text (10 and 10a are two texts). Whole numbers that int64 or float64 cannot hold,
    such as long ids, are texts.

    Args:
        files: whose columns are changed.
        texts: columns of which the fields of a csv file stay as they are written.
    """
    for name in dict.fromkeys(name for rows in files for name in rows.table.column_names):
        having = [rows for rows in files if name in rows.table.column_names]
        if name in texts:
            continue
        fields = [rows.table[name].to_pylist() for rows in having if name in rows.untyped]
        kinds = {_kind(rows, name) for rows in having if name not in rows.untyped} - {"null"}
        if fields:
            kinds.add(_kind_of_texts(fields, kinds))
        if kinds <= {"int", "float", "bool", "text"} and (len(kinds) > 1 or fields):
            goal = "text" if "text" in kinds else "float" if kinds == {"int", "float"} else next(iter(kinds))
            if len(kinds) == 1 or goal in ("text", "float"):
                for rows in having:
                    _convert(rows, name, goal)
        elif fields:
            goal = _kind_of_texts(fields, set())
            for rows in having:
                if name in rows.untyped:
                    _convert(rows, name, goal)
    for rows in files:
        rows.untyped = frozenset()


def _kind(rows: Rows, name: str) -> str:
    import pyarrow.types as types

    field = rows.table.schema.field(name)
    if types.is_integer(field.type) and _has_names(rows.table.schema.metadata, name):
        return "class"
    checks: dict[str, Callable[[Any], bool]] = {
        "null": types.is_null,
        "int": types.is_integer,
        "float": types.is_floating,
        "bool": types.is_boolean,
        "text": lambda kind: types.is_string(kind) or types.is_large_string(kind),
    }
    return next((kind for kind, holds in checks.items() if holds(field.type)), "other")


def _has_names(metadata: dict[bytes, bytes] | None, name: str) -> bool:
    """Whether ``datasets`` wrote that a column is a ``ClassLabel``."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return bool(features[name]["_type"] == "ClassLabel")
    except (KeyError, TypeError, ValueError):
        return False


def _kind_of_texts(columns: list[list[str]], beside: set[str]) -> str:
    given = [value for values in columns for text in values if (value := text.strip())]
    if beside == {"bool"} and given and all(value.lower() in TRUTH for value in given):
        return "bool"
    if given and all(map(INTEGER.fullmatch, given)):
        return "int" if all(-(2**63) <= int(value) < 2**63 for value in given) else "text"
    if given and all(NUMBER.fullmatch(value) and not PADDED.match(value) and _is_held(value) for value in given):
        return "float"
    return "text" if given or not beside else next(iter(beside))


def _is_held(number: str) -> bool:
    """Whether float64 has this number, if it is a whole one."""
    return not INTEGER.fullmatch(number) or (len(number) < 309 and int(float(number)) == int(number))


def _convert(rows: Rows, name: str, goal: str) -> None:
    import pyarrow

    is_text = name in rows.untyped
    if goal == "text" if is_text else _kind(rows, name) in (goal, "null"):
        return
    values = rows.table[name].to_pylist()
    if is_text:
        readers: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": _truth}
        made = [readers[goal](value) if value.strip() else None for value in values]
    else:
        made = [None if value is None else float(value) if goal == "float" else _spelled(value) for value in values]
    kind = {"int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_(), "text": pyarrow.string()}
    place = rows.table.column_names.index(name)
    rows.table = rows.table.set_column(place, name, pyarrow.array(made, kind[goal]))


def _truth(value: str) -> bool:
    return TRUTH[value.strip().lower()]


def _spelled(value: Any) -> str:
    """A number as one writes it: 10 for 10.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
