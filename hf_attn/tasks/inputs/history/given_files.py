"""Histories for ``hf-attn predict``: out of a file, which training would read in the same way, or one as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....data.columns import missing, refuse
from ....data.origin import unusable
from ....errors import InputError
from ..given import UNKNOWN, GivenFiles, column_of, for_tables
from .flat import candidates_of, histories_of, rated
from .given import read

BETWEEN = " | "
"""Between the texts of a history, where it is shown as one text."""


def read_files(
    given: Sequence[str],
    *,
    history: str | None = None,
    candidate: str | None = None,
    ratings: str | None = None,
    separator: str | None = None,
    trained: Mapping[str, str] = UNKNOWN,
    delimiter: str | None = None,
    encoding: str | None = None,
    table: Any = None,
) -> GivenFiles:
    """Return what a command was given as histories and candidates, and the table that they are from.

    Args:
        given: the path of one file; or a JSON object each, of ``history``, ``candidate`` and ``ratings``.
        history: column of the histories in the file, ``history`` by default.
        candidate: column of the candidates, ``candidate`` by default.
        ratings: column of the ratings of the histories; ``ratings`` where there is one.
        separator: between the texts of a history that is one text; that of training by default.
        trained: columns of training; see :func:`.text.reading.read_files`.
        delimiter: between the fields of a csv or tsv file.
        encoding: of a file of text; UTF-8 by default.
        table: rows of the file, where they are read already.

    Raises:
        InputError: the file is missing or unreadable, has no such column, or holds what cannot be used.
    """
    if all(one.lstrip().startswith("{") for one in given):
        for_tables(history=history, candidate=candidate, ratings=ratings, delimiter=delimiter, encoding=encoding)
        return _files([_object(one) for one in given], None, ())
    if len(given) > 1 or not Path(given[0]).is_file():
        raise InputError(
            f"{given[0]!r} is no file: expected one with a history and a candidate in each row, or JSON such as "
            '\'{"history": ["a text"], "ratings": [4], "candidate": "another"}\''
        )
    from ....data.files import read as read_table

    asked = {"history": history, "candidate": candidate}
    if table is None:
        texts = (*(column or name for name, column in asked.items()), *trained.values())
        table = read_table(Path(given[0]), delimiter=delimiter, encoding=encoding, texts=texts)
    names = {name: column_of(table, name, column, trained, name) for name, column in asked.items()}
    rating = column_of(table, "ratings", ratings, trained, "ratings" if "ratings" in table.column_names else None)
    refuse(missing({given[0]: table}, [*names.values(), rating]))
    refuse(why for name in names.values() if (why := unusable(table, name)))
    histories = histories_of(table, names["history"], separator or trained.get("separator"))
    columns = {
        "history": histories,
        "candidate": candidates_of(table, names["candidate"]),
        "ratings": rated(table, rating, histories, None),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return _files(rows, table, (*names.values(), rating))


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{text[:60]!r} is no JSON: {error}") from None


def _files(rows: list[Any], table: Any, used: tuple[str | None, ...]) -> GivenFiles:
    found = read(rows)
    told = [
        {"history": BETWEEN.join(texts), "candidate": text}
        for texts, text in zip(found.histories, found.candidates, strict=True)
    ]
    return GivenFiles(rows, told, table, used)
