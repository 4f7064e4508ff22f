"""Read JSON and JSON lines: rows, columns, pandas' orientations, splits of rows, one object after another."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from .columns import listing
from .reading import HALF, SURROGATE, Rows, no_rows, refuse_duplicates, rows_of, without_surrogates

log = logging.getLogger(__name__)

EXPECTED = 'expected a list of objects such as [{"text": "…", "label": 1}, …]'
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
BLANK = re.compile(r"\s*,?\s*")
Objects = tuple[list[dict[str, Any]], list[int]]


def read_json(text: str, path: Path, splits: frozenset[str]) -> dict[str, Rows]:
    """The rows of a JSON file by the name of their split, ``""`` where it has none.

    Args:
        text: of the file.
        path: for messages.
        splits: names by which an object of lists is one of splits.

    Raises:
        InputError: no JSON, no rows in it, a key given twice.
    """
    try:
        content = _cleaned(json.loads(text, object_pairs_hook=_object), text, path, "row")
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # objects one after the other, whatever the name says
            return {"": _from_objects(text, path)}
        place = f"line {error.lineno} is not JSON: {error.msg} at column {error.colno}"
        rest = "" if text[error.pos :].strip() else ", where the file ends: it is cut short"
        raise InputError(f"{path}: {place}{rest}") from None
    except (InputError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    if isinstance(content, dict) and content and set(content) <= splits and all(map(_are_rows, content.values())):
        return {name: _of_rows(rows, path) for name, rows in content.items() if rows}
    return {"": _rows(content, path)}


def read_jsonl(text: str, path: Path, first: int = 1) -> Rows:
    """The rows of a file of one JSON object a line; see :func:`read_json`. ``first`` numbers the first line."""
    rows, numbers = [], []
    for number, line in enumerate(text.split("\n"), start=first):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number} is not JSON: {error.msg} at column {error.colno}") from None
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f'{path}: line {number} is not an object such as {{"text": "…", "label": 1}}')
        rows.append(row)
        numbers.append(number)
    return _of_rows(_cleaned(rows, text, path, "line", numbers), path, numbers, "line")


def _rows(content: Any, path: Path) -> Rows:
    if _are_rows(content):
        return _of_rows(content, path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: {EXPECTED}")
    if isinstance(content.get("columns"), list) and _are_lists(content.get("data"), len(content["columns"])):
        names = [str(name) for name in content["columns"]]  # pandas' orient="split"
        refuse_duplicates(names, str(path))
        return _of_rows([dict(zip(names, row, strict=True)) for row in content["data"]], path)
    lists = {name: value for name, value in content.items() if isinstance(value, list)}
    within = [name for name, value in lists.items() if value and _are_rows(value)]
    if len(within) == 1 and (len(lists) < len(content) or len(lists) == 1):
        return _of_rows(content[within[0]], path)
    if len(lists) == len(content):
        lengths = {name: len(column) for name, column in lists.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: columns of unequal length: {lengths}")
        return rows_of(lists, range(len(lists[next(iter(lists))])), "row")
    if all(isinstance(value, dict) and value for value in content.values()):
        return _of_rows(_by_index(content), path)
    raise InputError(f"{path}: {EXPECTED}; this is one object with {listing([repr(name) for name in content])}")


def _by_index(content: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of pandas' orient="columns", {column: {row: value}}, or "index", {row: {column: value}}."""
    rows = list(dict.fromkeys(row for column in content.values() for row in column))
    numbered = all(row.isdigit() for row in rows), all(name.isdigit() for name in content)
    of_columns = numbered[0] if numbered[0] != numbered[1] else len(rows) >= len(content)
    if not of_columns:
        return list(content.values())
    return [{name: column[row] for name, column in content.items() if row in column} for row in rows]


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_lists(value: Any, width: int) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and len(row) == width for row in value)


def _from_objects(text: str, path: Path) -> Rows:
    """Objects one after another, on a line each or over several, between commas or not."""
    found: list[dict[str, Any]] = []
    lines: list[int] = []
    for value, line in _values(text, path):
        if not isinstance(value, dict):
            raise InputError(f'{path}: line {line} is not an object such as {{"text": "…", "label": 1}}')
        found.append(value)
        lines.append(line)
    return _of_rows(_cleaned(found, text, path, "line", lines), path, lines, "line")


def _values(text: str, path: Path) -> Iterator[tuple[Any, int]]:
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    at, line, counted = 0, 1, 0
    while (at := BLANK.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {error.lineno} is not JSON: {error.msg} at column {error.colno}") from None
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: line {line}: {error}") from None
        yield value, line


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    refuse_duplicates([key for key, _ in pairs], "the object")
    return dict(pairs)


def _of_rows(rows: list[dict[str, Any]], path: Path, numbers: Any = None, unit: str = "row") -> Rows:
    if not rows:
        raise no_rows(path)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return rows_of(columns, range(len(rows)) if numbers is None else numbers, unit)


def _cleaned(content: Any, text: str, path: Path, unit: str, numbers: list[int] | None = None) -> Any:
    """The content with U+FFFD for halves of surrogate pairs, and a line in the log that says so."""
    if not ESCAPED.search(text):
        return content
    parts = content if isinstance(content, list) else [content]
    bad = [at for at, part in enumerate(parts) if SURROGATE.search(json.dumps(part, ensure_ascii=False))]
    if not bad:
        return content
    first = numbers[bad[0]] if numbers else bad[0]
    place = f", the first in {unit} {first}" if isinstance(content, list) else ""
    log.warning("%s: %s, stands in %d rows%s: U+FFFD takes its place", path, HALF, len(bad), place)
    return without_surrogates(content)
