"""Read csv and tsv as they are found: Excel's, R's, hand-written; what cannot be read is said with its line."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from pathlib import Path

from ..errors import InputError
from .columns import listing
from .reading import Rows, refuse_duplicates

log = logging.getLogger(__name__)

OTHERS = ",;\t|"
SPELLED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
Parsed = tuple[list[list[str]], list[int]]
"""Rows of fields, and the line where each begins."""


class Unreadable(Exception):
    """Fields that do not come apart: the line where the row begins, where it ends, and why."""


def read_delimited(text: str, path: Path, kind: str, delimiter: str | None = None, skipped: int = 0) -> Rows:
    """The rows of a csv or tsv file, all of them texts.

    A first line ``sep=;`` names the delimiter. Columns without name and value, blank fields beyond the header and
    rows without any value are left out; blanks around names are none of theirs.

    Args:
        text: of the file.
        path: for messages.
        kind: ``csv`` or ``tsv``.
        delimiter: between fields; that of the kind by default.
        skipped: lines of the file that stand between the header and the rows and are not in the text.

    Raises:
        InputError: quotes that are not closed, rows of unequal length, a column named twice, another delimiter.
    """
    import pyarrow

    csv.field_size_limit(sys.maxsize)
    given = delimiter
    delimiter = check_delimiter(delimiter) or ("\t" if kind == "tsv" else ",")
    text = re.sub("\r+\n", "\r\n", text) if "\n" in text else text.replace("\r", "\n")
    if stated := re.match(r"sep=(.)\r?\n", text):
        delimiter, text = given and delimiter or stated[1], "\n" + text[stated.end() :]
    rows, lines = _fields(text, delimiter, path, kind, skipped)
    lines = [lines[0], *(line + skipped for line in lines[1:])]
    header = [name.strip() for name in rows[0]]
    _refuse_one_column(header, delimiter, path, kind)
    rows, lines = _even(rows, lines, len(header), delimiter, path)
    columns = dict(enumerate(zip(*rows, strict=True))) if rows else {}
    names = _names(header, columns, path)
    refuse_duplicates(list(names.values()), str(path))
    table = {name: pyarrow.array(columns.get(place, ()), pyarrow.string()) for place, name in names.items()}
    return Rows(pyarrow.table(table), lines, "line", frozenset(table))


def check_delimiter(delimiter: str | None) -> str | None:
    """The delimiter as one character; ``tab`` is a name of it.

    Raises:
        InputError: it is none.
    """
    if delimiter is None:
        return None
    found = SPELLED.get(delimiter.lower(), delimiter)
    if len(found) != 1 or found in '"\r\n\0':
        raise InputError(f"delimiter {delimiter!r}: expected one character such as ';' or '|', or tab")
    return found


def _fields(text: str, delimiter: str, path: Path, kind: str, skipped: int) -> Parsed:
    """Rows of fields; quotes that are no quoting, or that a backslash escapes, are taken for what they are."""
    placeholder = next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)
    whole = re.sub("\r(?!\n)", placeholder, text)  # a carriage return within a line ends none
    skips = bool(re.match(rf"[^\n]*{re.escape(delimiter)} +\S", whole.lstrip("\n"))) and delimiter != " "
    plain = _unquoted(whole) if delimiter == "\t" else ([], [])
    is_plain = len({len(row) for row in plain[0]}) == 1
    try:
        parsed = _parse(whole, delimiter, skipinitialspace=skips)
        if is_plain and len(plain[0]) != len(parsed[0]):
            parsed = plain
        elif parsed[0] and _is_ragged(parsed[0]):
            parsed = _single_quoted(whole, delimiter) or parsed
    except Unreadable as error:
        begin, end, reason = error.args
        begin, end = begin + skipped, end + skipped
        parsed = plain if is_plain else _backslashed(whole, delimiter)
        if not parsed[0]:
            at = f" (line {end})" if end > begin + 1 else ""
            raise InputError(
                f"{path}: line {begin} is not {kind}: {reason}{at}; the quote that is opened in line {begin} is not "
                f"closed before a {delimiter!r} or the line's end: close it, or double the quotes within a text"
            ) from None
    if not parsed[0]:
        raise InputError(f"{path} holds only blank lines: expected a header and examples")
    return [[field.replace(placeholder, "\r") for field in row] for row in parsed[0]], parsed[1]


def _parse(text: str, delimiter: str, **dialect: object) -> Parsed:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, **dialect)  # type: ignore[arg-type]
    rows, lines, before = [], [], 0
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise Unreadable(before + 1, reader.line_num, error) from None
    return rows, lines


def _unquoted(text: str) -> Parsed:
    """A tsv in which quotes are part of the text."""
    found = [(line.split("\t"), at) for at, line in enumerate(re.split("\r?\n", text), start=1) if line]
    return [row for row, _ in found], [at for _, at in found]


def _backslashed(text: str, delimiter: str) -> Parsed:
    """Rows whose quotes are escaped by a backslash, or nothing."""
    if '\\"' in text:
        try:
            parsed = _parse(text, delimiter, doublequote=False, escapechar="\\")
            if not _is_ragged(parsed[0]):
                return parsed
        except Unreadable:
            pass
    return [], []


def _single_quoted(text: str, delimiter: str) -> Parsed | None:
    """Rows whose fields stand between single quotes, if that makes all of one length."""
    sides = re.escape(delimiter)
    if len(re.findall(rf"(?:^|{sides})'[^\n]*'(?={sides}|\r?$)", text, re.MULTILINE)) * 2 < text.count("\n"):
        return None
    try:
        parsed = _parse(text, delimiter, quotechar="'")
    except Unreadable:
        return None
    return None if _is_ragged(parsed[0]) else parsed


def _is_ragged(rows: list[list[str]]) -> bool:
    return len({len(row) for row in rows}) > 1


def _refuse_one_column(header: list[str], delimiter: str, path: Path, kind: str) -> None:
    other = next((mark for mark in OTHERS if len(header) == 1 and mark != delimiter and mark in header[0]), None)
    if other:
        named = "tab" if other == "\t" else f"'{other}'"
        raise InputError(
            f"{path}: the header {header[0]!r} is one column; fields are separated by {delimiter!r} in a "
            f".{kind} file, this one seems to use {other!r}: say --delimiter {named}"
        )


def _even(rows: list[list[str]], lines: list[int], width: int, delimiter: str, path: Path) -> Parsed:
    """The rows below the header, each as wide as it."""
    given = list(zip(rows[1:], lines[1:], strict=True))
    found = [(row, line) for row, line in given if width == 1 or any(field.strip() for field in row)]
    if blank := len(given) - len(found):
        log.warning("%s: %d rows without any value are left out", path, blank)
    ragged = [
        (line, len(row)) for row, line in found if len(row) < width or any(field.strip() for field in row[width:])
    ]
    if ragged:
        raise InputError(
            f"{path}: line {ragged[0][0]} has {ragged[0][1]} fields, the header has {width} "
            f"({len(ragged)} such lines); put quotes around a text that holds {delimiter!r}"
        )
    return [row[:width] for row, _ in found], [line for _, line in found]


def _names(header: list[str], columns: dict[int, tuple[str, ...]], path: Path) -> dict[int, str]:
    """Names of the columns that count: those without a name only if they hold more than the numbers of the rows."""
    names, unnamed = {}, []
    for place, name in enumerate(header):
        if name:
            names[place] = name
            continue
        values = [value.strip() for value in columns.get(place, ())]
        rows = [str(row) for row in range(len(values) + 1)]
        if any(values) and values not in (rows[:-1], rows[1:]):
            names[place] = f"Unnamed: {place}"
            unnamed.append(f"{names[place]!r} ({sum(map(bool, values))} values)")
    if unnamed:
        log.warning("%s has columns without a name: they are called %s", path, listing(unnamed))
    if not names:
        raise InputError(f"{path} has no names of columns in its first line: expected such as text,label")
    return names
