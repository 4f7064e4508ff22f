"""Any number of labels a row: several columns of 0 and 1, or a column of lists."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....data.columns import listing, quoted, refuse
from ....data.lists_as_text import lists_as_text, parsed
from ....data.near_names import alike
from ....data.origin import where

if TYPE_CHECKING:
    from datasets import DatasetDict

log = logging.getLogger(__name__)
BITS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
Encoded = tuple[dict[str, list[list[float]]], tuple[str, ...], tuple[int, ...]]


def encode_columns(splits: DatasetDict, columns: Sequence[str]) -> Encoded:
    """One label a column; each value is 0 or 1, or False or True, also written as text."""
    mistakes = [f"label column '{name}' is given twice" for name, times in Counter(columns).items() if times > 1]
    encoded = {}
    for name, split in splits.items():
        values = {column: [_bit(value) for value in split[column][:]] for column in columns}
        for column in columns:
            rows = [row for row, value in enumerate(values[column]) if value not in (0, 1)]
            if rows:
                given = [values[column][row] for row in rows]
                empty = [all(values[other][row] == -1 for other in columns) for row in rows]
                skipped = all(value is None or none for value, none in zip(given, empty, strict=True))
                cure = ": fill them, or --skip_bad_rows" if skipped else ""
                odd = listing([repr(value) for value in given])
                mistakes.append(
                    f"{name} has values in '{column}' other than 0 and 1: {odd} ({where(split, rows)}){cure}"
                )
                if any(isinstance(value, float) and not value.is_integer() for value in given):
                    refuse(
                        [f"{mistakes[-1]}; numbers to predict are a regression, of one column (--problem regression)"]
                    )
        encoded[name] = list(zip(*values.values(), strict=True))
    refuse(mistakes)
    return _finish(encoded, [str(column) for column in columns])


def _bit(value: Any) -> Any:
    return BITS.get(value.strip().lower(), value) if isinstance(value, str) else value


def encode_lists(splits: DatasetDict, column: str) -> Encoded:
    """Lists of names or numbers of labels, or lists of one 0 or 1 for each label; also written as text."""
    found = {name: _lists(split, column) for name, split in splits.items()}
    if how := lists_as_text(found, wanted=True):
        found = {name: parsed(rows, how) for name, rows in found.items()}
    found = {name: [_stripped(row) for row in rows] for name, rows in found.items()}
    refuse(_unusable(splits, found, column))
    if _is_indicator(found["train"]):
        width = len(found["train"][0])
        refuse(
            [
                f"{name} has lists in '{column}' that are not {width} values of 0 and 1 as in train: "
                f"{listing([rows[at] for at in odd])} ({where(splits[name], odd)})"
                for name, rows in found.items()
                if (odd := [at for at, row in enumerate(rows) if len(row) != width or not set(row) <= {0, 1}])
            ]
        )
        return _finish(found, [str(index) for index in range(width)])
    found = _of_one_type(found)
    trained = sorted({label for row in found["train"] for label in row})
    if groups := alike(Counter(label for row in found["train"] for label in row)):
        log.warning("'%s' has names that are nearly alike, and labels of their own: %s", column, listing(groups))
    mistakes = []
    for name, rows in found.items():
        if unknown := sorted({label for row in rows for label in row} - set(trained), key=str):
            odd = [at for at, row in enumerate(rows) if not set(row) <= set(trained)]
            mistakes.append(
                f"{name} has labels in '{column}' that train has not: {quoted(unknown)} ({where(splits[name], odd)})"
            )
    if len(trained) < 2:
        mistakes.append(f"the lists in '{column}' hold {len(trained)} label in train: at least two are needed")
    refuse(mistakes)
    encoded = {name: [[label in set(row) for label in trained] for row in rows] for name, rows in found.items()}
    return _finish(encoded, [str(label) for label in trained])


def _lists(split: Any, column: str) -> list[Any]:
    inner = getattr(split.features[column], "feature", None)
    rows = split[column][:]
    names = getattr(inner, "names", None)
    return [row if row is None else [names[i] for i in row] for row in rows] if names else rows


def _stripped(row: Any) -> Any:
    """A list without the blanks around its names."""
    return [label.strip() if isinstance(label, str) else label for label in row] if isinstance(row, list) else row


def _of_one_type(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Lists of names where some lists have numbers and others names: 3 beside 3a is a name."""
    kinds = {isinstance(label, str) for rows in found.values() for row in rows for label in row}
    if len(kinds) < 2:
        return found
    return {name: [[str(label) for label in row] for row in rows] for name, rows in found.items()}


def _unusable(splits: DatasetDict, found: dict[str, list[Any]], column: str) -> list[str]:
    mistakes = []
    for name, rows in found.items():
        if empty := [row for row, labels in enumerate(rows) if labels is None]:
            mistakes.append(
                f"{name} has {len(empty)} rows without a list in '{column}' ({where(splits[name], empty)}): give them "
                "one, [] for no label, or --skip_bad_rows"
            )
        odd = [at for at, row in enumerate(rows) if row is not None and not _is_labels(row)]
        if odd:
            mistakes.append(
                f"{name} has values in '{column}' that are no list of names, of whole numbers, or of 0 and 1: "
                f"{listing([repr(rows[at]) for at in odd])} ({where(splits[name], odd)})"
                + ("; in a text, | separates them" if any(isinstance(rows[at], str) for at in odd) else "")
            )
    return mistakes


def _is_labels(row: Any) -> bool:
    """All names (none of them blank), or all whole numbers; floats only as 0.0 and 1.0."""
    if not isinstance(row, list):
        return False
    return all(isinstance(label, str) and label for label in row) or all(
        isinstance(x, int) or x in (0.0, 1.0) for x in row
    )


def _is_indicator(rows: list[list[Any]]) -> bool:
    """Lists of one length, of 0 and 1 alone; a value twice in a list tells them from lists of the labels 0 and 1."""
    same = len(rows[0]) > 1 and all(len(row) == len(rows[0]) and set(row) <= {0, 1} for row in rows)
    return same and any(len(set(row)) < len(row) for row in rows)


def _finish(rows: dict[str, list[Any]], names: list[str]) -> Encoded:
    encoded = {split: [[float(value) for value in row] for row in table] for split, table in rows.items()}
    counts = [int(sum(column)) for column in zip(*encoded["train"], strict=True)]
    if not any(counts):
        refuse([f"no row of train has any of the labels {listing(names)}"])
    if never := [name for name, count in zip(names, counts, strict=True) if not count]:
        log.warning("no row of train has the labels %s", listing(never))
    return encoded, tuple(names), tuple(counts)
