"""Read one file of examples: csv, tsv, json, jsonl or parquet. What is wrong with it is said with its line."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
Columns = dict[str, list[Any]]


def read(path: Path) -> Dataset:
    """Read the rows of ``path`` into memory.

    A column of a csv or tsv file is integer or float if all its values are, else text; nothing but an empty field of
    a numeric column is null (a text "NA" or "null" stays a text).

    Raises:
        InputError: wrong extension, unreadable, empty, not what its extension says, or a column named twice.
    """
    from datasets import Dataset

    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: extension '{path.suffix}' is not read; expected one of {', '.join(READERS)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty: expected a file with at least two examples")
        table = reader(path)
    except UnicodeDecodeError as error:
        guess = "UTF-16" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else "ISO-8859-1"
        raise InputError(
            f"{path} is not UTF-8 (byte 0x{error.object[error.start]:02x} at position {error.start}): "
            f"convert it, for instance with `iconv -f {guess} -t UTF-8`"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise InputError(f"{path} holds lists or objects nested too deep to be read") from None
    if not table.num_rows:
        raise InputError(f"{path} has no rows: expected at least two examples")
    try:
        return Dataset(table)
    except ValueError as error:  # a type of arrow that datasets does not have
        raise InputError(f"{path} has a column that cannot be read: {' '.join(str(error).split())}") from None


def _read_csv(path: Path) -> Any:
    return _delimited(path, ",")


def _read_tsv(path: Path) -> Any:
    return _delimited(path, "\t")


def _delimited(path: Path, delimiter: str) -> Any:
    text = path.read_text(encoding="utf-8-sig")
    if "\0" in text:
        raise InputError(f"{path} holds NUL bytes: expected a text file in UTF-8")
    csv.field_size_limit(sys.maxsize)
    rows, lines = _parse(text, delimiter, path)
    header = rows[0]
    _refuse_duplicates(header, str(path))
    if len(header) == 1:
        other = next((d for d in ",;\t|" if d != delimiter and d in header[0]), None)
        if other:
            raise InputError(
                f"{path}: the header {header[0]!r} is one column; fields are separated by {delimiter!r} in a "
                f"{path.suffix} file, this one seems to use {other!r}"
            )
    ragged = [(line, len(row)) for row, line in zip(rows, lines, strict=True) if len(row) != len(header)]
    if ragged:
        raise InputError(
            f"{path}: line {ragged[0][0]} has {ragged[0][1]} fields, the header has {len(header)} "
            f"({len(ragged)} such lines); put quotes around a text that holds {delimiter!r}"
        )
    return _table({name: _typed([row[i] for row in rows[1:]]) for i, name in enumerate(header)}, path)


def _parse(text: str, delimiter: str, path: Path) -> tuple[list[list[str]], list[int]]:
    """Rows and the line where each ends; a tsv whose quotes are no quoting is read as it stands."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    plain = [line.split("\t") for line in re.split("\r?\n", text) if line] if delimiter == "\t" else []
    is_plain = len({len(row) for row in plain}) == 1
    try:
        rows = [(row, reader.line_num) for row in reader if row]
    except csv.Error as error:
        if is_plain:
            return plain, list(range(1, len(plain) + 1))
        raise InputError(f"{path}: line {reader.line_num} is not {path.suffix[1:]}: {error}") from None
    if is_plain and len(plain) != len(rows):
        return plain, list(range(1, len(plain) + 1))
    if not rows:
        raise InputError(f"{path} holds only blank lines: expected a header and examples")
    return [row for row, _ in rows], [line for _, line in rows]


def _typed(values: list[str]) -> list[Any]:
    """Integers if all are, else floats if all are (an empty field is null then), else the texts themselves."""
    given = [value.strip() for value in values if value.strip()]
    if given and all(INTEGER.fullmatch(value) for value in given):
        return [int(value) if value.strip() else None for value in values]
    if given and all(NUMBER.fullmatch(value) and not re.match(r"[+-]?0\d", value) for value in given):
        return [float(value) if value.strip() else None for value in values]
    return values


def _read_jsonl(path: Path) -> Any:
    return _from_lines(path.read_text(encoding="utf-8-sig"), path)


def _read_json(path: Path) -> Any:
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # one object a line, whatever the name says
            return _from_lines(text, path)
        raise InputError(f"{path}: line {error.lineno} is not JSON: {error.msg}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, dict) and content and all(isinstance(column, list) for column in content.values()):
        lengths = {name: len(column) for name, column in content.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{path}: columns of unequal length: {lengths}")
        return _table(content, path)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError(f'{path}: expected a list of objects such as [{{"text": "…", "label": 1}}, …]')
    return _table(_columns(content), path)


def _from_lines(text: str, path: Path) -> Any:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number} is not JSON: {error.msg} at column {error.colno}") from None
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f'{path}: line {number} is not an object such as {{"text": "…", "label": 1}}')
        rows.append(row)
    return _table(_columns(rows), path)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_duplicates([key for key, _ in pairs], "the object")
    return dict(pairs)


def _columns(rows: list[dict[str, Any]]) -> Columns:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        _refuse_duplicates(pyarrow.parquet.read_schema(path).names, str(path))
        table = pyarrow.parquet.read_table(path, memory_map=True)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowIOError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not a parquet file, or it is cut short or damaged: {reason}") from None
    for place, column in enumerate(table.schema):
        if pyarrow.types.is_map(column.type):  # datasets has no such type: a list of keys and values
            pair = pyarrow.struct([("key", column.type.key_type), ("value", column.type.item_type)])
            table = table.set_column(place, column.name, table[column.name].cast(pyarrow.list_(pair)))
    return table


def _table(columns: Columns, path: Path) -> Any:
    import pyarrow

    arrays, mistakes = {}, []
    for name, values in columns.items():
        try:
            arrays[name] = pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            first = {type(value).__name__: row for row, value in reversed(list(enumerate(values))) if value is not None}
            found = " and ".join(f"{kind} (row {row})" for kind, row in sorted(first.items(), key=lambda item: item[1]))
            mistakes.append(f"column '{name}' mixes {found}")
    if mistakes:
        raise InputError(f"{path}: {'; '.join(mistakes)}: give each column values of one type")
    return pyarrow.table(arrays)


def _refuse_duplicates(names: list[str], where: str) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where} has {', '.join(map(repr, twice))} more than once: rename or remove the duplicates")


READERS = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
