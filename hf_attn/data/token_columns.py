"""Read files of a token a line: CoNLL's columns, and CoNLL-U."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .columns import listing
from .reading import Rows, no_rows, rows_of

log = logging.getLogger(__name__)

CONLL_U = ("id", "tokens", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
DOCUMENT = "-DOCSTART-"
COMMENT = re.compile(r"#\s*(\S+\s*=|newdoc\b|newpar\b|id\b|begin\b|end\b|###)", re.IGNORECASE)
FIELD = re.compile("[^ ]+")
"""No other blank parts them: a token may hold, or be, one that does not break, or an ideographic one."""
Token = tuple[int, list[str]]


def read_token_columns(text: str, path: Path) -> Rows:
    """The sentences of a file that has a token a line and a blank line between sentences, a row each.

    Fields stand between tabs, or between blanks where a line has no tab. ``tokens`` is the first field and ``tags`` the
    last; ``column_1``, ``column_2``, … are all of them, so that another can be chosen. CoNLL-U (``.conllu``) has the
    columns that its format names; its lines of multi-word tokens and of empty nodes are left out. Lines of
    ``-DOCSTART-`` and comments are no tokens.

    Args:
        text: of the file.
        path: of the file, which says whether it is CoNLL-U.

    Raises:
        InputError: lines of unlike numbers of fields, or no token at all.
    """
    named = ".conllu" in path.suffixes
    sentences, documents = _sentences(text, named)
    if not sentences:
        raise no_rows(path)
    widths = Counter(len(fields) for sentence in sentences for _, fields in sentence)
    width = len(CONLL_U) if named else max(widths, key=lambda count: widths[count])
    ragged = [line for sentence in sentences for line, fields in sentence if len(fields) != width]
    if ragged:
        raise InputError(
            f"{path}: {len(ragged)} lines have not {width} fields like the others (lines {listing(ragged)}): expected "
            "a token and its tags a line, a tab or blanks between them, and a blank line after each sentence"
        )
    if documents:
        log.info("%s: %d lines %s are left out", path, documents, DOCUMENT)
    names = CONLL_U if named else tuple(f"column_{number}" for number in range(1, width + 1))
    columns: dict[str, list[Any]] = {
        name: [[fields[place] for _, fields in sentence] for sentence in sentences] for place, name in enumerate(names)
    }
    if not named:
        whole = {"tokens": columns["column_1"], **({"tags": columns[f"column_{width}"]} if width > 1 else {})}
        columns = whole | (columns if width > 2 else {})
    return rows_of(columns, [sentence[0][0] for sentence in sentences], "line")


def _sentences(text: str, named: bool) -> tuple[list[list[Token]], int]:
    """The fields of each token with its line, by sentence, and how many lines begin a document."""
    lines = [line.removesuffix("\r") for line in text.split("\n" if "\n" in text else "\r")]
    usual = Counter(len(_fields(line)) for line in lines if line.strip()).most_common(1)
    width = usual[0][0] if usual else 0
    sentences: list[list[Token]] = []
    documents, fresh = 0, True
    for number, line in enumerate(lines, start=1):
        fields = _fields(line)
        if not line.strip():
            fresh = True
        elif fields[0] == DOCUMENT:
            documents, fresh = documents + 1, True
        elif _is_comment(line, fields, named, fresh, width) or (named and not fields[0].isdigit()):
            continue
        else:
            if fresh:
                sentences.append([])
            sentences[-1].append((number, fields))
            fresh = False
    return sentences, documents


def _is_comment(line: str, fields: Sequence[str], named: bool, fresh: bool, width: int) -> bool:
    """A ``#`` begins a comment, and may be a token: that stands in as many fields as the others."""
    if not line.startswith("#"):
        return False
    return named or len(fields) != width or (fresh and COMMENT.match(line) is not None)


def _fields(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else FIELD.findall(line) or [""]
