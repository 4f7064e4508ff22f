"""Splits cut from train so that each class keeps its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data
from ....data.columns import listing
from ....data.lists_as_text import lists_as_text
from ....data.origin import where
from ....errors import InputError
from .classes import class_names, too_many
from .encoding import class_values

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def load_splits(
    source: str,
    subset: str | None = None,
    *,
    label: str | Sequence[str] | None = None,
    kind: str | None = None,
    **how: Any,
) -> DatasetDict:
    """Load ``train``, ``validation`` and ``test``; what is missing is cut from train, each class by its share.

    Args:
        source: as of :func:`hf_attn.data.load_splits`.
        subset: likewise.
        label: column, or columns, of the labels.
        kind: of the labels, as in :func:`.encoding.encode_labels`; only classes are stratified.
        **how: the other arguments of :func:`hf_attn.data.load_splits`.

    Raises:
        InputError: what cannot be used; a class of one row.
    """
    columns: Any = label if label is None or isinstance(label, str) else list(label)
    return data.load_splits(source, subset, label=columns, strata=strata_of(columns, kind), **how)


def strata_of(label: str | Sequence[str] | None, kind: str | None) -> Callable[[Dataset], np.ndarray] | None:
    """Return what gives the class of each row; None where the labels are no classes of one column."""
    columns = [label] if isinstance(label, str) else list(label or [])
    return partial(strata, label=columns[0]) if len(columns) == 1 and kind in (None, "single") else None


def strata(train: Dataset, label: str) -> np.ndarray:
    """The class of each row, or 0 for all of them if there are none to keep the shares of."""
    values = class_values(train, label)
    if values is None:
        return np.zeros(len(train), dtype=np.int64)
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    names = class_names(train, label)
    single = [row for row, count in zip(first.tolist(), counts, strict=True) if count == 1 and names[row] is not None]
    if too_many(label, len(counts), len(values)) or (single and lists_as_text({"train": names})):
        return np.zeros(len(train), dtype=np.int64)  # encode_labels refuses them
    if single:
        raise InputError(
            f"'{label}' has classes with one example, which cannot be in train and in a split cut from it: "
            f"{listing([repr(names[row]) for row in single])} ({where(train, single)}); add examples, remove them, or "
            "give files for validation and test"
        )
    return values
