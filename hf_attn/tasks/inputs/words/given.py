"""Texts, or their tokens, that are given to :func:`hf_attn.predict` or to the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....data.reading import characters
from ....data.token_lists import token_lists
from ....errors import InputError
from ..given import UNKNOWN, GivenFiles, as_list, for_tables
from ..text import reading as text_files
from ..text.windowed import window_batches
from .division import Spans, divided, flat, joined

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Worded:
    """Texts, and the characters of the words of each."""

    texts: list[str]
    words: list[Spans]

    def __len__(self) -> int:
        return len(self.texts)


def read(inputs: Any, text_pair: Any = None, run: Any = None) -> Worded:
    """Return what is given as texts with their words: each is a text, or a list of its tokens.

    Raises:
        InputError: all that is wrong with them.
    """
    if text_pair is not None:
        raise InputError("text_pair is given, and this model reads single texts: leave it out")
    given = as_list(inputs, "texts")
    bad = [at for at, one in enumerate(given) if not _is_text(one)]
    if bad:
        kind = type(given[bad[0]]).__name__
        raise InputError(
            f"texts must be strings or lists of tokens, but {len(bad)} are not, the first at {bad[0]} ({kind})"
        )
    found = [_worded(one) for one in given]
    return Worded([text for text, _ in found], [spans for _, spans in found])


def _is_text(one: Any) -> bool:
    return isinstance(one, str) or (isinstance(one, list | tuple) and all(isinstance(token, str) for token in one))


def _worded(one: str | Sequence[str]) -> tuple[str, Spans]:
    if isinstance(one, str):
        (text,) = characters([one])
        return text, divided(text)
    return joined(characters(list(one), "tokens"))


def batches(
    given: Worded, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Yield batches of the windows of texts, as :func:`.text.windowed.window_batches` does."""
    rows = [{"text": text, "words": flat(words)} for text, words in zip(given.texts, given.words, strict=True)]
    return window_batches(rows, tokenizer, model, batch_size)


def read_files(
    given: Sequence[str],
    *,
    text: str | None = None,
    trained: Mapping[str, str] = UNKNOWN,
    delimiter: str | None = None,
    encoding: str | None = None,
    table: Any = None,
) -> GivenFiles:
    """Return what a command was given: texts, or one file of texts or of tokens.

    Args:
        given: texts, or the path of one file.
        text: column of the texts, or of lists of tokens; by default ``tokens``, ``text``, or the only one of text.
        trained: columns of training; see :func:`.text.reading.read_files`.
        delimiter: between the fields of a csv or tsv file.
        encoding: of a file of text; UTF-8 by default.
        table: the rows of the file, or some of them, where they are read already.

    Raises:
        InputError: the file cannot be used, or has no such column; an option for files and no file.
    """
    path = text_files.file_of(given)
    if path is None:
        for_tables(text=text, delimiter=delimiter, encoding=encoding)
        return _found(list(given))
    from ....data.contents import extension
    from ....data.files import read as read_table

    if extension(path) == ".txt" and delimiter is None:
        return text_files.read_files(given, text=text, encoding=encoding, table=table)
    known = trained.get("text")
    if table is None:
        texts = text_files.named("text", text, known)
        table = read_table(Path(path), delimiter=delimiter, encoding=encoding, texts=texts)
    known = "tokens" if "tokens" in table.column_names and known not in table.column_names else known
    column = text or text_files.column_name(table, text, path, known)
    if column not in table.column_names:
        raise InputError(f"no column {column!r} in {path} (columns: {', '.join(table.column_names)})")
    values = list(table[column])
    lists = token_lists(values)
    of_tokens = column == "tokens" or not any(isinstance(value, str) for value in values)
    wrong = text_files.no_text(table, column, values) if not of_tokens else None
    from ....data.origin import where

    if of_tokens and (bad := [row for row, one in enumerate(lists) if not _is_text(one)]):
        wrong = f"column {column} holds no tokens in {len(bad)} rows ({where(table, bad)})"
    if wrong:
        raise InputError(f"{path}: {wrong}: expected a text, or a list of tokens, in each row")
    return _found(lists if of_tokens else values, table, column)


def _found(inputs: list[Any], table: Any = None, column: str | None = None) -> GivenFiles:
    rows = [{"text": text} for text in read(inputs).texts]
    return GivenFiles(inputs, rows, table, (column or "text",))


def trained_on_pairs(source: str) -> bool | None:
    """Return whether a run was trained on pairs: never."""
    return False
