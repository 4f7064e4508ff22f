"""Questions for ``hf-attn predict``: out of a file, which training would read in the same way, or as they are given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....data.columns import missing, refuse
from ....data.origin import unusable, where
from ....data.passages import questions_of
from ....errors import InputError
from ..given import UNKNOWN, GivenFiles, column_of, for_tables
from ..text.reading import file_of, no_text
from .given import read


def read_files(
    given: Sequence[str],
    *,
    question: str | None = None,
    context: str | None = None,
    trained: Mapping[str, str] = UNKNOWN,
    delimiter: str | None = None,
    encoding: str | None = None,
    table: Any = None,
) -> GivenFiles:
    """Return what a command was given as questions and contexts, and the table that they are from.

    Args:
        given: the path of one file; questions, all of one context; or a JSON object each, of both.
        question: column of the questions in the file, ``question`` by default.
        context: column of the contexts in the file, ``context`` by default; of questions the context itself.
        trained: columns of training; see :func:`.text.reading.read_files`.
        delimiter: between the fields of a csv or tsv file.
        encoding: of a file of text; UTF-8 by default.
        table: rows of the file, where they are read already.

    Raises:
        InputError: the file is missing or unreadable, has no such column, or holds what is no text; no context.
    """
    if all(one.lstrip().startswith("{") for one in given):
        for_tables(question=question, context=context, delimiter=delimiter, encoding=encoding)
        return _files([_object(one) for one in given])
    path = file_of(given)
    if path is None or path.suffix.lower() == ".txt":
        for_tables(question=question, delimiter=delimiter, encoding=encoding)
        if context is None or path is not None:
            what = f"{path} is a text" if path else f"{given[0][:60]!r} is a question"
            raise InputError(
                f"{what} without a context: expected QUESTION --context TEXT, a file with both in each row, or JSON "
                'such as \'{"question": "Who …?", "context": "a passage"}\''
            )
        return _files([{"question": one, "context": context} for one in given])
    from ....data.files import read as read_table

    if table is None:
        texts = (question or "question", context or "context", *trained.values())
        table = read_table(Path(path), delimiter=delimiter, encoding=encoding, texts=texts)
    table = questions_of(table)
    given_names = {"question": question, "context": context}
    names = [column_of(table, name, asked, trained, name) for name, asked in given_names.items()]
    refuse(missing({str(path): table}, names))
    refuse(why for name in names if (why := unusable(table, name)))
    columns = [list(table[name]) for name in names]
    wrong = [why for name, column in zip(names, columns, strict=True) if (why := no_text(table, name, column))]
    refuse(f"{path}: {why}: expected a text in each row" for why in wrong)
    for name, column in zip(names, columns, strict=True):
        if blank := [row for row, text in enumerate(column) if not text.strip()]:
            raise InputError(f"{path}: '{name}' is blank in {len(blank)} rows ({where(table, blank)}): write them")
    rows = [dict(zip(("question", "context"), pair, strict=True)) for pair in zip(*columns, strict=True)]
    return _files(rows, table, names)


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{text[:60]!r} is no JSON: {error}") from None


def _files(rows: list[Any], table: Any = None, used: Sequence[str] = ()) -> GivenFiles:
    told = [{"question": question} for question in read(rows).questions]
    return GivenFiles(rows, told, table, tuple(used[:1]))
