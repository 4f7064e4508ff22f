"""Read files of examples: csv, tsv, json, jsonl, parquet or Arrow, packed or not, with one type for each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..interface.printable import one_line
from .arrow_files import read_arrow, read_parquet
from .column_types import settle
from .contents import COMPRESSED, extension, read_text
from .delimited import check_delimiter, read_delimited
from .json_files import read_json, read_jsonl
from .line_files import read_text_lines
from .origin import mark
from .reading import Rows, no_rows
from .signatures import disguised
from .token_columns import read_token_columns

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
NAMES = frozenset(name for names in SPLITS.values() for name in names)
TOKEN_A_LINE = (".conll", ".conllu", ".bio", ".iob", ".iob2", ".bioes")
TEXTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", *TOKEN_A_LINE)
BINARY: dict[str, Callable[[Path], Rows]] = {
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
}
READERS = (*TEXTS, *BINARY)
"""Extensions of what is read; those of text also packed, as ``.csv.gz``."""
CURES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".xlsm"), "save the sheet as csv in UTF-8"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".rar", ".7z"), "unpack it and give the folder or a file of it"),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), "it may run code, so save it as parquet"),
    **dict.fromkeys((".npy", ".npz", ".h5", ".hdf5", ".mat", ".rds", ".sav", ".dta"), "save it as parquet or csv"),
    ".txt": 'if each line is a text, write it as {"text": …} into a .jsonl; if its lines are fields, say between '
    "which character by --delimiter; if they are a token and its tags, name it .conll",
    "": "give the file the extension of what it holds",
}


VERSION = re.compile(r"[-_]v\d+(\.\d+)*$")


def split_of(name: str) -> str | None:
    """The split that a name stands for: also of ``en_ewt-ud-train`` and its like, and of ``dev-v2.0``."""
    last = VERSION.sub("", name.lower().rpartition("-ud-")[2])
    return next((split for split, names in SPLITS.items() if last in names), None)


def read(
    path: Path,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    texts: Collection[str | None] = (),
    lines: str | None = None,
) -> Dataset:
    """Read the rows of one file into memory; see :func:`read_files`.

    Raises:
        InputError: as there, or the file holds several splits.
    """
    found = read_files([path], delimiter=delimiter, encoding=encoding, texts=texts, lines=lines)[0]
    if set(found) != {""}:
        raise InputError(f"{path} holds several splits ({', '.join(found)}): give a file of rows")
    return found[""]


def read_files(
    paths: Sequence[Path],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    texts: Collection[str | None] = (),
    lines: str | None = None,
) -> list[dict[str, Dataset]]:
    """Read the rows of files into memory, by the name of their split (``""`` where a file holds no splits).

    A column of a csv or tsv file is integer or float if all its values are, in all the files, else text; nothing but
    an empty field of a numeric column is null (a text "NA" or "null" stays a text).

    Args:
        paths: files of one set of data.
        delimiter: between the fields of csv and tsv; "," and a tab by default.
        encoding: of csv, tsv, json and jsonl; UTF-8 by default.
        texts: columns that are texts, though all fields of a csv or tsv file are numbers.
        lines: the column that the lines of a .txt file are; None refuses such a file.

    Raises:
        InputError: wrong extension, unreadable, empty, not what its extension says, or a column named twice.
    """
    check_delimiter(delimiter)
    found = [_rows(path, delimiter, encoding, lines) for path in paths]
    settle([rows for parts in found for rows in parts.values()], texts)
    return [
        {name: as_dataset(rows, path, len(parts) > 1 and name) for name, rows in parts.items()}
        for path, parts in zip(paths, found, strict=True)
    ]


def _rows(path: Path, delimiter: str | None, encoding: str | None, lines: str | None) -> dict[str, Rows]:
    kind = extension(path)
    plain = kind in (".txt", "") or kind not in (*READERS, *CURES)
    delimited = kind in (".csv", ".tsv") or (delimiter is not None and plain)
    if path.exists() and not path.is_file():  # to read a pipe would wait for ever
        raise InputError(f"{path} is no file: expected one of examples")
    try:
        if kind in BINARY and path.suffix.lower() not in COMPRESSED:
            if path.stat().st_size == 0:
                raise InputError(f"{path} is empty: expected a file of examples")
            _refuse_disguised(path, b"PAR1" if kind == ".parquet" else b"ARROW1")
            found = {"": BINARY[kind](path)}
        elif delimited:
            text = read_text(path, encoding)
            found = {"": read_delimited(text, path, "tsv" if kind == ".tsv" else "csv", delimiter)}
        elif lines is not None and kind == ".txt":
            found = {"": read_text_lines(read_text(path, encoding), path, lines)}
        elif kind == ".json":
            found = read_json(read_text(path, encoding), path, NAMES)
        elif kind in TOKEN_A_LINE:
            found = {"": read_token_columns(read_text(path, encoding), path)}
        elif kind in TEXTS:
            found = {"": read_jsonl(read_text(path, encoding), path)}
        else:
            raise InputError(_not_read(path, kind))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise InputError(f"{path} holds lists or objects nested too deep to be read") from None
    if not all(rows.table.num_rows for rows in found.values()):
        raise no_rows(path)
    return found


def _refuse_disguised(path: Path, own: bytes) -> None:
    with path.open("rb") as file:
        start = file.read(64)
    if not start.startswith(own) and (told := disguised(start)):
        raise InputError(f"{path} is {told}")


def _not_read(path: Path, kind: str) -> str:
    if kind in BINARY:
        return f"{path} is packed: unpack it first"
    cure = f": {CURES[kind]}" if kind in CURES else ""
    return f"{path}: extension '{path.suffix}' is not read; expected one of {', '.join(READERS)}{cure}"


def as_dataset(rows: Rows, path: Path, split: str | bool = False) -> Dataset:
    """Return the rows of a file, or of a split in it, which know where they stand in it.

    Raises:
        InputError: a column of a type that cannot be read.
    """
    from datasets import Dataset

    try:
        made = Dataset(rows.table)
    except ValueError as error:  # a type of arrow that datasets does not have
        raise InputError(f"{path} has a column that cannot be read: {one_line(error)}") from None
    return mark(made, f"{path.name} ({split})" if split else path.name, rows.unit, rows.numbers, rows.unusable)
