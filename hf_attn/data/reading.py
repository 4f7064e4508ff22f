"""What the readers of all kinds of files give: a table, and where its rows stand in the file."""

from __future__ import annotations

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.printable import one_line

log = logging.getLogger(__name__)

SURROGATE = re.compile("[\ud800-\udfff]")
HALF = "half a surrogate pair, which is no character"
Columns = dict[str, list[Any]]


@dataclass
class Rows:
    """The rows of a file.

    Attributes:
        table: of pyarrow.
        numbers: of each row, counted in ``unit``: ``line`` (from 1) or ``row`` (from 0).
        unit: see there.
        untyped: columns of texts that may be numbers: a csv file does not say.
        unusable: why a column can be neither text nor label, by name.
    """

    table: Any
    numbers: Sequence[int]
    unit: str = "row"
    untyped: frozenset[str] = frozenset()
    unusable: dict[str, str] = field(default_factory=dict)


def rows_of(columns: Columns, numbers: Sequence[int], unit: str) -> Rows:
    """A table of Python values; a column of several types becomes text, fit for nothing but to be kept."""
    import pyarrow

    arrays, unusable = {}, {}
    for name, values in columns.items():
        values = _spans_as_objects(_without_nan_beside_others(values))
        try:
            arrays[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError) as error:
            unusable[name] = _mixed(name, values, numbers, unit, error)
            arrays[name] = pyarrow.array([_as_text(value) for value in values], pyarrow.string())
    return Rows(pyarrow.table(arrays), numbers, unit, frozenset(), unusable)


def _without_nan_beside_others(values: list[Any]) -> list[Any]:
    """NaN, which pandas writes where a text or a list is missing, as None; numbers as they are."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return values
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


def _spans_as_objects(values: list[Any]) -> list[Any]:
    """Lists of ``[start, end, label]``, as annotation tools write them, as objects with these keys."""
    if not any(map(_is_spans, values)) or not all(value is None or value == [] or _is_spans(value) for value in values):
        return values
    keys = ("start", "end", "label")
    return [value and [dict(zip(keys, span, strict=True)) for span in value] for value in values]


def _is_spans(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_span, value))


def _is_span(value: Any) -> bool:
    return isinstance(value, list) and [type(item) for item in value] == [int, int, str]


def _mixed(name: str, values: list[Any], numbers: Sequence[int], unit: str, error: Exception) -> str:
    first: dict[str, int] = {}
    for number, value in zip(numbers, values, strict=True):
        if value is not None:
            first.setdefault(type(value).__name__, number)
    if isinstance(error, OverflowError):
        long = next((value for value in values if isinstance(value, int) and not -(2**63) <= value < 2**63), "such")
        return f"column '{name}' holds whole numbers of more than 64 bits ({long}): write them as text"
    if len(first) == 1:
        return f"column '{name}' cannot be used: {one_line(error)}"
    found = " and ".join(f"{kind} ({unit} {number})" for kind, number in first.items())
    return f"column '{name}' mixes {found}: give each column values of one type"


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def without_surrogates(value: Any) -> Any:
    """A value of JSON with each surrogate pair as the character that it means, and U+FFFD for half of one."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def characters(texts: Sequence[str], what: str = "texts") -> list[str]:
    """Return the texts with U+FFFD for each half of a surrogate pair, and a line in the log if there was one.

    Such halves come from JSON, or from an argument whose bytes are not UTF-8; no tokenizer takes them.
    """
    bad = [row for row, text in enumerate(texts) if SURROGATE.search(text)]
    if bad:
        log.warning("%d %s hold %s, the first at %d: U+FFFD takes its place", len(bad), what, HALF, bad[0])
    return [without_surrogates(text) for text in texts] if bad else list(texts)


def refuse_duplicates(names: Sequence[str], where: str) -> None:
    """Refuse names that are given twice."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where} has {', '.join(map(repr, twice))} more than once: rename or remove the duplicates")


def no_rows(path: Path) -> InputError:
    """The error for a file that has a header at most."""
    return InputError(f"{path} has no rows: expected examples")
