"""Questions of passages that hold them, as SQuAD's own files do, made rows: ``data/paragraphs/qas``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .origin import made_of, unusable, where

if TYPE_CHECKING:
    from datasets import Dataset

PARAGRAPHS, QUESTIONS = "paragraphs", "qas"


def questions_of(split: Dataset) -> Dataset:
    """Return a split with a row for each question; one that has no such column as it is.

    Reads articles with ``paragraphs`` (Rajpurkar et al. 2016), and passages with ``qas``. A row has what the article,
    its passage and the question have, such as title, context, question, id, answers and is_impossible.

    Raises:
        InputError: passages that are no objects, or hold no list of questions; no question at all.
    """
    for column in (PARAGRAPHS, QUESTIONS):
        if column in split.column_names:
            split = _opened(split, column)
    return split


def _opened(split: Dataset, column: str) -> Dataset:
    """A row for each object in the lists of a column, which goes."""
    import pyarrow
    from datasets import Dataset

    if why := unusable(split, column):
        raise InputError(why)
    kept = [name for name in split.column_names if name != column]
    values = split[column][:]
    wrong = [row for row, value in enumerate(values) if value is not None and not _are_objects(value)]
    if wrong:
        raise InputError(f"'{column}' holds no list of objects in {len(wrong)} rows ({where(split, wrong)})")
    parents: list[int] = []
    objects: list[dict[str, Any]] = []
    for row, value in enumerate(values):
        parents += [row] * len(value or ())
        objects += value or ()
    if not objects:
        raise InputError(f"'{column}' holds nothing in any of {len(split)} rows: there is no question")
    names = dict.fromkeys(name for one in objects[:1] for name in one)
    columns: dict[str, Any] = {name: [one.get(name) for one in objects] for name in names}
    whole = {name: split[name][:] for name in kept if name not in columns}
    columns |= {name: [value[row] for row in parents] for name, value in whole.items()}
    made = Dataset(pyarrow.table({name: pyarrow.array(column) for name, column in columns.items()}))
    return made_of(made, split, np.array(parents), "question" if column == QUESTIONS else "passage")


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)
