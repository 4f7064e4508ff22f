"""One class a row: numbers, names, and what may be wrong with them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ....data.columns import listing, quoted, refuse, without_nan
from ....data.lists_as_text import BRACKETS, lists_as_text
from ....data.near_names import alike, like_missing, nearest_name
from ....data.origin import where
from ....errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)


def encode(
    splits: DatasetDict, column: str, label_names: str | None = None, *, literal: bool = False
) -> tuple[dict[str, list[int]], tuple[str, ...], tuple[int, ...]]:
    """Number the classes of ``column``: the numbers by split, the names, and train's rows of each class.

    A class of train that a later split lacks is logged, and so are names that are nearly alike; a class that train
    lacks is an error. With ``literal`` ``a|b`` is a name, though ``a`` is one too.
    """
    stated = (getattr(split.features[column], "names", None) for split in splits.values())
    known = next(filter(None, stated), None)
    found = {name: class_names(split, column, known) for name, split in splits.items()}
    refuse(_unusable(splits, found, column, literal))
    trained = Counter(found["train"])
    refuse(_not_classes(splits, trained, found, column))
    order = list(getattr(splits["train"].features[column], "names", None) or known or sorted(trained))
    for name, values in found.items():
        if absent := sorted(trained.keys() - set(values)):
            log.warning("%s has no row of %d of train's classes: %s", name, len(absent), quoted(absent))
    _tell(trained, column)
    ids = {value: index for index, value in enumerate(order)}
    encoded = {name: [ids[value] for value in values] for name, values in found.items()}
    names = _names(splits, encoded, label_names or f"{column}_name", order, required=label_names is not None)
    return encoded, names, tuple(trained[value] for value in order)


def class_names(split: Dataset, column: str, known: Sequence[str] | None = None) -> list[Any]:
    """The class of each row: a name without blanks around it, or a whole number; None where there is no label.

    Args:
        split: rows.
        column: of a ``ClassLabel``, texts or numbers.
        known: names of the classes, where another split's ``ClassLabel`` gives them to numbers.
    """
    names = getattr(split.features[column], "names", None)
    values = without_nan(split[column])
    if names is None and known and _number(known, values):
        names = known
    if names:
        return [None if value is None or value < 0 else names[int(value)] for value in values]
    return [_class(value) for value in values]


def _number(known: Sequence[str], values: list[Any]) -> bool:
    """Whether the values are numbers of these names."""
    return all(v is None or (isinstance(v, int) and not isinstance(v, bool) and -1 <= v < len(known)) for v in values)


def _class(value: Any) -> Any:
    """1.0 and True are the classes that 1 and "True" name."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, bool) else int(value) if _is_whole(value) else value


def _tell(trained: Counter[Any], column: str) -> None:
    if groups := alike(trained):
        log.warning(
            "'%s' has names that are nearly alike, and classes of their own: %s; write them alike if that is meant",
            column,
            listing(groups),
        )
    if missing := like_missing(trained):
        log.warning(
            "'%s' has the class %s: it is taken for a name; leave the field empty where there is no label",
            column,
            listing([f"{name!r} ({count} rows)" for name, count in missing.items()]),
        )
    if -1 in trained and min(trained) == -1 and 0 in trained:
        log.warning(
            "'%s' is -1 in %d rows of train: it is taken for a class like the others; if it means no label, remove "
            "these rows",
            column,
            trained[-1],
        )


def _unusable(splits: DatasetDict, found: dict[str, list[Any]], column: str, literal: bool) -> list[str]:
    mistakes = []
    if (how := lists_as_text(found)) and not (literal and how != "brackets"):
        texts = (value for values in found.values() for value in values if isinstance(value, str))
        such = next(value for value in texts if how == "brackets" and BRACKETS.fullmatch(value) or how in value)
        single = "" if how == "brackets" else f"; if {how!r} is part of a name, --problem single"
        return [f"'{column}' holds lists written as text, such as {such!r:.100}: --problem multi reads them{single}"]
    for name, values in found.items():
        if rows := [row for row, value in enumerate(values) if value is None]:
            mistakes.append(
                f"{name} has {len(rows)} rows without a label in '{column}' ({where(splits[name], rows)}): give them "
                "one, or --skip_bad_rows"
            )
        odd = [row for row, value in enumerate(values) if not isinstance(value, str | int | type(None))]
        if odd:
            mistakes.append(
                f"{name} has labels in '{column}' that are neither names nor whole numbers: "
                f"{listing([values[row] for row in odd])} ({where(splits[name], odd)}); numbers to predict are a "
                "regression (--problem regression)"
            )
    kinds = {name: {type(v).__name__ for v in values if v is not None} for name, values in found.items()}
    if not mistakes and any(kinds[name] != kinds["train"] for name in kinds):
        said = ", ".join(f"{' and '.join(sorted(kind))} in {name}" for name, kind in kinds.items())
        mistakes.append(f"labels in '{column}' are {said}: write them alike")
    return mistakes


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _not_classes(splits: DatasetDict, trained: Counter[Any], found: dict[str, list[Any]], column: str) -> list[str]:
    mistakes = too_many(column, len(trained), trained.total())
    if mistakes:
        return mistakes
    if len(trained) < 2:
        mistakes.append(f"'{column}' has one class only in train ({quoted(trained)}): at least two are needed")
    for name, values in found.items():
        if unknown := sorted(set(values) - trained.keys()):
            rows = [row for row, value in enumerate(values) if value not in trained]
            near = [(one, other) for one in unknown if (other := nearest_name(one, trained)) is not None]
            hint = f"; write {near[0][0]!r} as {near[0][1]!r} if they mean the same" if near else ""
            mistakes.append(
                f"{name} has labels in '{column}' that train has not: {quoted(unknown)} "
                f"({where(splits[name], rows)}){hint}"
            )
    return mistakes


def too_many(column: str, distinct: int, rows: int) -> list[str]:
    """A complaint, if a column has so many values that they can be no classes."""
    if distinct <= max(10, rows // 2):
        return []
    return [
        f"'{column}' has {distinct} different values in {rows} rows, so they are no classes: name the column of the "
        "labels, or say --problem regression for numbers to predict"
    ]


def _names(
    splits: DatasetDict, encoded: dict[str, list[int]], source: str, order: list[Any], required: bool
) -> tuple[str, ...]:
    """Names of the classes: from the column of names, if each class has one of its own there, else the values."""
    if all(source in split.column_names for split in splits.values()):
        pairs = {
            (index, str(text).strip())
            for name in splits
            for index, text in zip(encoded[name], splits[name][source], strict=True)
        }
        names = dict(pairs)
        if len(pairs) == len(names) == len(set(names.values())):
            return tuple(names.get(index, str(value)) for index, value in enumerate(order))
        if required:
            raise InputError(f"'{source}' does not give each class one name of its own")
    return tuple(map(str, order))
