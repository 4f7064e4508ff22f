"""What is predicted: one class, several labels, or a number; and how a column says so."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import labelled, missing, refuse, without_nan
from ....data.origin import carry, unusable
from ....data.reading import HALF, SURROGATE
from ....errors import InputError, nearest
from . import classes, multilabel, regression

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

PROBLEM_TYPES = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
    "regression": "regression",
}


@dataclass(frozen=True)
class Labels:
    """What a model predicts.

    Attributes:
        kind: ``single`` (one class a row), ``multi`` (any number of labels a row) or ``regression``.
        names: of the classes, in the order of the model's outputs; empty for regression.
        column: where they were read, or the columns.
        counts: rows of train that have each label; empty for regression.
    """

    kind: str
    names: tuple[str, ...] = ()
    column: str | tuple[str, ...] = "label"
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that no file can hold, before the run that would write them.

        Raises:
            InputError: as a ``ClassLabel`` in the metadata of a parquet file may have them.
        """
        refuse(f"the label name {name!r} holds {HALF}: rename it" for name in self.names if SURROGATE.search(name))

    def recounted(self, values: Any) -> Labels:
        """Return the same with the counts of these rows of train: encoded labels, (rows,) or (rows, labels)."""
        if self.kind == "single":
            return replace(self, counts=tuple(np.bincount(np.asarray(values), minlength=self.num_labels).tolist()))
        if self.kind == "multi":
            return replace(self, counts=tuple(np.asarray(values).sum(0).astype(int).tolist()))
        return self

    @property
    def num_labels(self) -> int:
        """Outputs of the model."""
        return len(self.names) or 1

    @property
    def problem_type(self) -> str:
        """What transformers calls this kind."""
        return PROBLEM_TYPES[self.kind]

    @property
    def id2label(self) -> dict[int, str]:
        """Names by number, as a model's config has them; a regression's one output is called ``value``."""
        return dict(enumerate(self.names or ("value",)))


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
    if kind not in (None, *PROBLEM_TYPES):
        raise InputError(
            f"unknown kind '{kind}' (one of {', '.join(PROBLEM_TYPES)}){nearest(str(kind), PROBLEM_TYPES)}"
        )
    every, splits = splits, labelled(splits)
    refuse(missing(splits, [*columns, label_names]))
    if len(columns) > 1:
        if kind not in (None, "multi"):
            raise InputError(f"kind '{kind}' takes one label column, {len(columns)} were given: {', '.join(columns)}")
        values, names, counts = multilabel.encode_columns(splits, columns)
        return _add(every, "multi", values), Labels("multi", names, tuple(columns), counts)
    name = columns[0]
    refuse(why for split in splits.values() if (why := unusable(split, name)))
    given, kind = kind, kind or _kind(splits, name)
    if kind == "regression":
        return _add(every, kind, regression.encode(splits, name)), Labels(kind, (), name)
    if kind == "multi":
        values, names, counts = multilabel.encode_lists(splits, name)
        return _add(every, kind, values), Labels(kind, names, name, counts)
    numbers, names, counts = classes.encode(splits, name, label_names, literal=given == "single")
    return _add(every, kind, numbers), Labels(kind, names, name, counts)


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


def _add(splits: DatasetDict, kind: str, values: Mapping[str, Sequence[Any]]) -> DatasetDict:
    from datasets import DatasetDict, List, Value

    feature = {"single": Value("int64"), "multi": List(Value("float32")), "regression": Value("float32")}[kind]

    def add(name: str, split: Dataset) -> Dataset:
        encoded = split.add_column("__labels__", values[name], feature=feature)
        given = [column for column in split.column_names if column == "labels"]
        return carry(encoded.remove_columns(given).rename_column("__labels__", "labels"), split)

    return DatasetDict({name: add(name, split) if name in values else split for name, split in splits.items()})
