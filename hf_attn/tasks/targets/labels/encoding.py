"""How columns say what is predicted, one class, several labels or a number, and the numbers that a model learns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data import limit as limited
from ....data.columns import labelled, missing, refuse, without_nan
from ....data.origin import carry, unusable
from ....errors import InputError, nearest
from . import classes
from .labels import Labels
from .number import Number
from .one_class import OneClass
from .options import Options
from .several_labels import SeveralLabels

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

KINDS: dict[str, type[Labels]] = {cls.kind: cls for cls in (OneClass, SeveralLabels, Number)}


def encode_labels(
    splits: DatasetDict,
    column: str | list[str],
    *,
    kind: str | None = None,
    label_names: str | None = None,
) -> tuple[DatasetDict, Labels]:
    """Add the column ``labels`` that a model learns from: int64, a list of float32 (0 or 1), or float32.

    Text, whole numbers and ``ClassLabel`` are classes; other floats are a regression; a list column or several
    columns of 0 and 1 are multi-label, and with ``kind="multi"`` so are lists written as text. Classes are numbered in
    the order of their values in train; blanks around a name are none of it, and names that are nearly alike are told.

    Args:
        splits: train, validation and test, and ``unlabelled``, which gets none.
        column: of the label, or the 0/1 columns of a multi-label task.
        kind: ``single``, ``multi`` or ``regression`` where the column's type says something else.
        label_names: column with the names of numbered classes; ``<column>_name`` is taken by itself if it fits.

    Raises:
        InputError: all that is wrong with the labels of all splits, with the first rows as they are in the file.
    """
    columns = [column] if isinstance(column, str) else list(column)
    if not columns:
        raise InputError("no label column given")
    if kind not in (None, *KINDS):
        raise InputError(f"unknown kind '{kind}' (one of {', '.join(KINDS)}){nearest(str(kind), KINDS)}")
    every, splits = splits, labelled(splits)
    refuse(missing(splits, [*columns, label_names]))
    if len(columns) > 1 and kind not in (None, SeveralLabels.kind):
        raise InputError(f"kind '{kind}' takes one label column, {len(columns)} were given: {', '.join(columns)}")
    if len(columns) == 1:
        refuse(why for split in splits.values() if (why := unusable(split, columns[0])))
    cls = SeveralLabels if len(columns) > 1 else KINDS[kind or _kind(splits, columns[0])]
    values, names, counts = cls.read(splits, columns, label_names, asked=kind is not None)
    return _add(every, cls, values), cls(names, columns[0] if len(columns) == 1 else tuple(columns), counts)


def encode(splits: DatasetDict, args: Options) -> tuple[DatasetDict, Labels]:
    """Encode the labels as the arguments say, and keep ``limit`` rows of each split.

    Args:
        splits: as of :func:`encode_labels`.
        args: with ``limit`` and ``seed`` of the run.

    Raises:
        InputError: all that is wrong with the labels, or options of a loss that they do not have.
    """
    splits, labels = encode_labels(splits, args.label, kind=args.problem, label_names=args.label_names)
    labels = replace(labels, options=args)
    check_self_training(labels, args)
    labels.criterion  # noqa: B018
    return limited(splits, args.limit, args.seed), labels  # type: ignore[attr-defined]


def check_self_training(labels: Labels, args: Options) -> None:
    """Refuse self-training of what is not one class a row.

    Raises:
        InputError: it is asked for, and the labels are others.
    """
    if args.unlabeled and not isinstance(labels, OneClass):
        raise InputError(f"--unlabeled is for labels of one class a row, and these are of the kind {labels.kind!r}")


def _kind(splits: DatasetDict, column: str) -> str:
    """What the column is in train; numbers that are whole there and not in another split are numbers."""
    kinds = [kind_of(split, column) for split in splits.values()]
    if kinds[0] == "single" and "regression" in kinds and _is_numeric(splits["train"], column):
        return "regression"
    floats = [name for name, split in splits.items() if "float" in str(getattr(split.features[column], "dtype", ""))]
    if kinds[0] == "single" and floats:
        log.warning(
            "'%s' holds whole numbers written as floats, taken for classes: --problem regression predicts numbers",
            column,
        )
    return kinds[0]


def _is_numeric(split: Dataset, column: str) -> bool:
    return any(kind in str(getattr(split.features[column], "dtype", "")) for kind in ("int", "float"))


def kind_of(dataset: Dataset, column: str) -> str:
    """What the type and the values of a column say: ``single``, ``multi`` or ``regression``.

    Raises:
        InputError: the type is that of no label.
    """
    import pyarrow.types as types

    data_type = dataset.features.arrow_schema.field(column).type
    if types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type):
        return "multi"
    if types.is_floating(data_type):
        given = (value for value in without_nan(dataset[column]) if value is not None)
        return "single" if all(value.is_integer() for value in given) else "regression"
    if types.is_null(data_type):
        raise InputError(f"label column '{column}' holds nothing but nulls")
    scalar = (types.is_string, types.is_large_string, types.is_integer, types.is_boolean)
    if any(is_type(data_type) for is_type in scalar):
        return "single"
    raise InputError(
        f"label column '{column}' is of type {data_type}, which is no label; expected text, whole numbers, floats, "
        "a list of them, or several columns of 0 and 1"
    )


def class_values(dataset: Dataset, column: str) -> np.ndarray | None:
    """A number for the class of each row, (rows,) int64, or None if the column does not hold classes."""
    if kind_of(dataset, column) != "single":
        return None
    values = classes.class_names(dataset, column)
    ids = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return np.asarray([ids[value] for value in values])


def _add(splits: DatasetDict, cls: type[Labels], values: Mapping[str, Sequence[Any]]) -> DatasetDict:
    from datasets import DatasetDict

    feature = cls.feature()

    def add(name: str, split: Dataset) -> Dataset:
        encoded = split.add_column("__labels__", values[name], feature=feature)
        given = [column for column in split.column_names if column == "labels"]
        return carry(encoded.remove_columns(given).rename_column("__labels__", "labels"), split)

    return DatasetDict({name: add(name, split) if name in values else split for name, split in splits.items()})
