"""A file of examples read piece by piece, so that it may be larger than memory: each row as the whole file gives it."""

from __future__ import annotations

import io
import logging
import lzma
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.printable import one_line
from .arrow_files import plain
from .column_types import arrow_type, convert, goals_of, seen_in
from .contents import COMPRESSED, extension, opened
from .delimited import check_delimiter, read_delimited
from .files import as_dataset
from .json_files import read_jsonl
from .reading import Rows

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

LARGE = 1 << 26
"""Bytes from which a file is read in pieces."""
ROWS = 20_000
"""Rows of a piece, or lines of it."""
KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")


def is_large(path: Path) -> bool:
    """Return whether a file is to be read in pieces: a large one, of a kind that can be."""
    packed = path.suffix.lower() in COMPRESSED
    if extension(path) not in KINDS or (packed and extension(path) == ".parquet") or not path.is_file():
        return False
    return path.stat().st_size * (8 if packed else 1) >= LARGE


@dataclass
class _Whole:
    """What the whole file says of its columns.

    Attributes:
        goals: the type of each column that is to be converted.
        types: of pyarrow, of all columns in the order in which they come, as the first piece with values has them.
        unusable: why a column can be neither text nor label, by name.
    """

    goals: dict[str, str]
    types: dict[str, Any]
    unusable: dict[str, str]

    @classmethod
    def of(cls, pieces: Iterable[Rows], texts: Collection[str | None]) -> _Whole:
        seen, unusable, types = [], dict[str, str](), dict[str, Any]()
        for rows in pieces:
            of_csv = bool(rows.untyped)  # which names its columns in its first line
            seen.append(seen_in(rows, texts))
            for field in rows.table.schema:
                if field.name in types or not of_csv or len(seen) == 1:
                    empty = str(types.get(field.name, "null")) == "null"
                    types[field.name] = field.type if empty else types[field.name]
            unusable |= rows.unusable
        for name in dict.fromkeys(name for one in seen for name in one):
            kinds = {one[name].kind for one in seen if name in one} - {None, "null"}
            if len(kinds) > 1 and kinds != {"int", "float"}:
                mixed = " and ".join(sorted(map(str, kinds)))
                unusable.setdefault(name, f"column '{name}' mixes {mixed}: give each column values of one type")
        return cls(goals_of(seen), types, unusable)

    def settle(self, rows: Rows) -> None:
        """Give a piece the columns of the whole, in place."""
        import pyarrow

        convert(rows, self.goals)
        table = rows.table
        for name, kind in self.types.items():
            if name not in table.column_names:
                table = table.append_column(name, pyarrow.nulls(len(table)))
            if pyarrow.types.is_null(table[name].type):
                goal = arrow_type(self.goals[name]) if name in self.goals else kind
                table = table.set_column(table.column_names.index(name), name, table[name].cast(goal))
        rows.table = table.select(list(self.types))
        rows.unusable = self.unusable


class Pieces:
    """The pieces of a file of rows, in their order; to be gone through as often as one likes.

    The types of the columns are those that the whole file has, for which it is read once before. Only the first rows
    of a csv file say how its fields come apart, and its quotes have to be closed.

    Args:
        path: of a csv, tsv, jsonl or parquet file, or of texts, one a line, which are the column ``text``.
        delimiter: between the fields of csv and tsv.
        encoding: of a file of text; UTF-8 by default.
        texts: columns that are texts, though all fields of a csv or tsv file are numbers.

    Raises:
        InputError: what :func:`.files.read` refuses, when the piece is read that it is in.
    """

    def __init__(
        self,
        path: Path,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        texts: Collection[str | None] = (),
    ) -> None:
        check_delimiter(delimiter)
        self.path, self.delimiter, self.encoding, self.texts = path, delimiter, encoding, texts
        self._whole: _Whole | None = None

    def __iter__(self) -> Iterator[Dataset]:
        if self._whole is None:
            self._whole = _Whole.of(self._rows(), self.texts)
        for rows in self._rows():
            self._whole.settle(rows)
            yield as_dataset(rows, self.path)

    def _rows(self) -> Iterator[Rows]:
        kind = extension(self.path)
        if kind == ".txt" and self.delimiter is None:
            yield from _of_lines(self.path, self.encoding)
        elif kind == ".parquet":
            yield from _of_parquet(self.path)
        elif kind in (".jsonl", ".ndjson"):
            for first, lines in blocks(self.path, self.encoding):
                if any(line.strip() for line in lines):
                    yield read_jsonl("".join(lines), self.path, first)
        else:
            yield from self._of_fields("tsv" if kind == ".tsv" else "csv")

    def _of_fields(self, kind: str) -> Iterator[Rows]:
        header = ""
        for first, lines in blocks(self.path, self.encoding, quoted=kind == "csv"):
            if not header:
                size = _header(lines)
                header, first, lines = "".join(lines[:size]), first + size, lines[size:]
            if not any(line.strip() for line in lines):
                continue
            skipped = first - 1 - header.count("\n")
            yield read_delimited(header + "".join(lines), self.path, kind, self.delimiter, skipped)


def blocks(path: Path, encoding: str | None = None, *, quoted: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file of text, some at a time, with the number of the first.

    Args:
        path: of the file, packed or not.
        encoding: of it; UTF-8 by default.
        quoted: whether a line may end within quotes, where no block does.
    """
    first, opened_quotes, block = 1, 0, list[str]()
    for lines in _lines(path, encoding):
        block += lines
        opened_quotes += sum(line.count('"') for line in lines) if quoted else 0
        if opened_quotes % 2 == 0:
            yield first, block
            first, opened_quotes, block = first + len(block), 0, []
    if block:
        yield first, block


def _lines(path: Path, encoding: str | None) -> Iterator[list[str]]:
    """Yield some lines of a file at a time."""
    done = 0
    try:
        with opened(path) as file, io.TextIOWrapper(file, encoding or "utf-8-sig", newline="\n") as text:
            while lines := list(islice(text, ROWS)):
                if any("\0" in line for line in lines):
                    raise InputError(f"{path} holds NUL bytes after line {done}: expected a text file in UTF-8")
                done += len(lines)
                yield lines
    except LookupError:
        raise InputError(f"unknown encoding {encoding!r}: expected a name such as utf-8, cp1252 or gbk") from None
    except UnicodeError as error:
        named = encoding or "UTF-8"
        raise InputError(f"{path} is not {named} (below line {done}: {error}): name its own by --encoding") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path} cannot be read below line {done}: {one_line(error)}") from None


def _header(lines: list[str]) -> int:
    """Lines above the first row: blank ones, ``sep=;``, and the names, whose quotes may hold the end of a line."""
    at = 0
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith("sep=")):
        at += 1
    quotes = 0
    while at < len(lines):
        quotes += lines[at].count('"')
        at += 1
        if quotes % 2 == 0:
            break
    return at


def _of_lines(path: Path, encoding: str | None) -> Iterator[Rows]:
    """Lines that are not blank; those left out are told as a whole is read."""
    import pyarrow

    for first, lines in blocks(path, encoding):
        given = [(line.rstrip("\r\n"), number) for number, line in enumerate(lines, start=first) if line.strip()]
        if len(given) < len(lines):
            log.warning("%s: %d blank lines from line %d on are left out", path, len(lines) - len(given), first)
        if given:
            texts, numbers = zip(*given, strict=True)
            yield Rows(pyarrow.table({"text": pyarrow.array(texts, pyarrow.string())}), numbers, "line")


def _of_parquet(path: Path) -> Iterator[Rows]:
    import pyarrow
    import pyarrow.parquet

    at = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path, memory_map=True).iter_batches(ROWS):
            rows = plain(pyarrow.Table.from_batches([batch]))
            rows.numbers = range(at, at + len(batch))
            at += len(batch)
            yield rows
    except (pyarrow.ArrowInvalid, pyarrow.ArrowIOError, pyarrow.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"{path} is not a parquet file, or it is cut short or damaged: {one_line(error)}") from None
