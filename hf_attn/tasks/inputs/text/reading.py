"""Texts for ``hf-attn predict``: as they are given, or out of a file, which training would read in the same way."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....errors import InputError
from ..given import UNKNOWN, GivenFiles, column_of, for_tables
from .given import read

logger = logging.getLogger(__name__)

AS_TEXTS = "; if these words are the text, put them into a .txt file, a text a line"


def read_files(
    given: Sequence[str],
    *,
    text: str | None = None,
    text_pair: str | None = None,
    trained: Mapping[str, str] = UNKNOWN,
    delimiter: str | None = None,
    encoding: str | None = None,
    table: Any = None,
) -> GivenFiles:
    """Return what a command was given as texts, and the table that they are from, where there is one.

    Args:
        given: Texts, or the path of one file.
        text: Column of the texts in the file.
        text_pair: Column of the second texts in the file; where a text is given, the second text itself.
        trained: Columns of training by the names of their options, which are read where these name none and the file
            has them.
        delimiter: Between the fields of a csv or tsv file.
        encoding: Of a file of text; UTF-8 by default.
        table: The rows of the file, or some of them, where they are read already.

    Raises:
        InputError: The file is missing, unreadable or of a kind that is not read, or has no such column; several files;
            an option for files and no file.
    """
    texts, pairs, table, used = _given(given, text, text_pair, trained, delimiter, encoding, table)
    found = read(texts, pairs)
    rows = [{"text": first} for first in found.texts]
    for row, second in zip(rows, found.text_pair or [], strict=False):
        row["text_pair"] = second
    return GivenFiles(found.texts, rows, table, used, found.text_pair)


def _given(
    given: Sequence[str],
    text: str | None,
    text_pair: str | None,
    trained: Mapping[str, str],
    delimiter: str | None,
    encoding: str | None,
    table: Any,
) -> tuple[list[str], list[str] | None, Any, tuple[str, ...]]:
    """The texts, the second texts where there are pairs, their table and its columns; as of :func:`read_files`."""
    path = file_of(given)
    if path is None:
        for_tables(text=text, delimiter=delimiter, encoding=encoding)
        if text_pair is not None and len(given) > 1:
            raise InputError(f"--text_pair goes with one text, {len(given)} were given: put the pairs into a file")
        return list(given), None if text_pair is None else [text_pair], None, ()
    from ....data.contents import extension
    from ....data.files import read as read_table
    from ....data.parallel_files import lifted

    if extension(path) == ".txt" and delimiter is None:
        if text or text_pair:
            raise InputError(
                f"{path} has no columns, so --text and --text_pair do not apply: expected a text a line, or fields "
                "and --delimiter"
            )
        table = read_table(path, encoding=encoding, lines="text") if table is None else table
        return list(table["text"]), None, None, ("text",)
    try:
        if table is None:
            table = read_table(path, delimiter=delimiter, encoding=encoding, texts=named("text", *trained.values()))
    except InputError as error:
        raise error if ends_like_a_file(given[0]) else InputError(f"{error}{AS_TEXTS}") from None
    table = lifted(table, named(text or trained.get("text"), text_pair or trained.get("text_pair")))
    text_pair = column_of(table, "text_pair", text_pair, trained, None)
    names = [column_name(table, text, path, trained.get("text")), *([text_pair] if text_pair else [])]
    if text_pair and text_pair not in table.column_names:
        raise InputError(f"no column {text_pair!r} in {path} (columns: {', '.join(table.column_names)})")
    columns = [list(table[name]) for name in names]
    wrong = [fault for name, column in zip(names, columns, strict=True) if (fault := no_text(table, name, column))]
    if wrong:
        raise InputError(f"{path}: {'; '.join(wrong)}: expected a text in each row")
    from ....data.origin import where

    for name, column in zip(names, columns, strict=True):
        if blank := [row for row, value in enumerate(column) if not value.strip()]:
            logger.warning(
                "%d rows have a blank text in '%s' (%s): they are predicted all the same",
                len(blank),
                name,
                where(table, blank),
            )
    return columns[0], columns[1] if text_pair else None, table, tuple(names)


def file_of(given: Sequence[str]) -> Path | None:
    """Return the file that is given in place of texts; None where these are texts.

    A name is a file's if there is one, or if it ends like those that are read.

    Raises:
        InputError: it does not exist, is a folder or of a kind that is not read, or there are several.
    """
    there = [name for name in given if os.path.exists(name)]
    if len(given) > 1:
        if there:
            what = "folder" if os.path.isdir(there[0]) else "file"
            raise InputError(f"{there[0]} is a {what}: give one file, or texts alone{AS_TEXTS}")
        return None
    name = given[0]
    if not there and ("\n" in name or not ends_like_a_file(name)):
        return None
    path = Path(name)
    if not there:
        raise InputError(f"no such file: {name} (a text that ends like a file's name must come from a file)")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file in it{AS_TEXTS}")
    return path


def ends_like_a_file(name: str) -> bool:
    """Return whether a text ends as the name of a file that is read; or, where it is one word, of another file."""
    from ....data.contents import COMPRESSED, extension
    from ....data.files import CURES, READERS

    path = Path(name)
    others = () if name.split() != [name] else (kind for kind in CURES if kind)
    return extension(path) in (*READERS, ".txt") or path.suffix.lower() in (*COMPRESSED, *others)


def no_text(table: Any, name: str, column: Sequence[Any]) -> str | None:
    """Return which rows of a column are no text, by their places in the file."""
    from ....data.origin import unusable, where

    if why := unusable(table, name):
        return why
    bad = [row for row, value in enumerate(column) if not isinstance(value, str)]
    if not bad:
        return None
    first = column[bad[0]]
    what = "no value" if first is None else type(first).__name__
    return f"column {name} holds values that are not text in {len(bad)} rows ({where(table, bad)}; {what})"


def named(*names: str | None) -> tuple[str, ...]:
    """Return the names that are given."""
    return tuple(name for name in names if name)


def column_name(table: Any, text: str | None, path: Path, trained: str | None = None) -> str:
    """Return the column of the texts: the named one, else that of training, ``text``, or the only one of text."""
    names = list(table.column_names)
    if text is not None:
        if text not in names:
            raise InputError(f"no column {text!r} in {path} (columns: {', '.join(names)})")
        return text
    if trained in names:
        return str(trained)
    strings = [name for name in names if getattr(table.features[name], "dtype", "") in ("string", "large_string")]
    if "text" in names or len(strings) == 1:
        return "text" if "text" in names else strings[0]
    raise InputError(f"{path} has no column 'text' (columns: {', '.join(names)}): name the one to read by --text")
