"""One type for a column, over all files that have it: whole numbers, numbers, truth values or text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .reading import Rows

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
PADDED = re.compile(r"[+-]?0\d")
TRUTH = {"true": True, "false": False}
PLAIN = ("int", "float", "bool", "text", "null")


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
    goals = goals_of([seen_in(rows, texts) for rows in files])
    for rows in files:
        convert(rows, goals)


@dataclass(frozen=True)
class Seen:
    """What one file, or a piece of it, says of the type of a column.

    Attributes:
        kind: the type that the file gives it; None where the file gives none, as csv.
        could: what all its texts could be, where the file gives no type: ``whole``, ``int``, ``float``, ``bool``.
        given: whether there is any value in such a column.
    """

    kind: str | None
    could: frozenset[str] = frozenset()
    given: bool = True


def seen_in(rows: Rows, texts: Collection[str | None] = ()) -> dict[str, Seen]:
    """Return what the rows say of the type of each column but those in ``texts``."""
    found = {}
    for name in rows.table.column_names:
        if name in texts:
            continue
        if name not in rows.untyped:
            found[name] = Seen(_kind(rows, name))
            continue
        values = [value for text in rows.table[name].to_pylist() if (value := text.strip())]
        could = frozenset(kind for kind, holds in COULD.items() if all(map(holds, values)))
        found[name] = Seen(None, could, bool(values))
    return found


def goals_of(files: Sequence[dict[str, Seen]]) -> dict[str, str]:
    """Return the type of each column that is to be converted, of what each file says."""
    goals = {}
    for name in dict.fromkeys(name for seen in files for name in seen):
        seen = [one[name] for one in files if name in one]
        fields = [one for one in seen if one.kind is None]
        kinds = {one.kind for one in seen if one.kind is not None} - {"null"}
        if fields:
            kinds.add(_kind_of_texts(fields, kinds))
        if kinds <= {"int", "float", "bool", "text"} and (len(kinds) > 1 or fields):
            goal = "text" if "text" in kinds else "float" if kinds == {"int", "float"} else next(iter(kinds))
            if len(kinds) == 1 or goal in ("text", "float"):
                goals[name] = goal
        elif fields:
            goals[name] = _kind_of_texts(fields, set())
    return goals


def convert(rows: Rows, goals: Mapping[str, str]) -> None:
    """Give the columns of a file their types, in place; a column that the file has typed otherwise keeps its type."""
    for name in set(goals).intersection(rows.table.column_names):
        if name in rows.untyped or _kind(rows, name) in PLAIN:
            _convert(rows, name, goals[name])
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


def _kind_of_texts(fields: Sequence[Seen], beside: set[str]) -> str:
    """Type of the texts of several files, beside columns of a type of their own."""
    given = any(one.given for one in fields)
    could = frozenset.intersection(*(one.could for one in fields))
    if beside == {"bool"} and given and "bool" in could:
        return "bool"
    if given and "whole" in could:
        return "int" if "int" in could else "text"
    if given and "float" in could:
        return "float"
    return "text" if given or not beside else next(iter(beside))


def _is_held(number: str) -> bool:
    """Whether float64 has this number, if it is a whole one."""
    return not INTEGER.fullmatch(number) or (len(number) < 309 and int(float(number)) == int(number))


COULD: dict[str, Callable[[str], bool]] = {
    "whole": lambda value: bool(INTEGER.fullmatch(value)),
    "int": lambda value: bool(INTEGER.fullmatch(value)) and len(value) < 21 and -(2**63) <= int(value) < 2**63,
    "float": lambda value: bool(NUMBER.fullmatch(value)) and not PADDED.match(value) and _is_held(value),
    "bool": lambda value: value.lower() in TRUTH,
}
"""What a text could be."""


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
    place = rows.table.column_names.index(name)
    rows.table = rows.table.set_column(place, name, pyarrow.array(made, arrow_type(goal)))


def arrow_type(kind: str) -> Any:
    """Return pyarrow's type of a column: ``int``, ``float``, ``bool`` or ``text``."""
    import pyarrow

    return {"int": pyarrow.int64, "float": pyarrow.float64, "bool": pyarrow.bool_, "text": pyarrow.string}[kind]()


def _truth(value: str) -> bool:
    return TRUTH[value.strip().lower()]


def _spelled(value: Any) -> str:
    """A number as one writes it: 10 for 10.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
