"""Rows without text, image or label: left out and counted, where that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .columns import listing
from .image_files import is_image_struct
from .images import null_images
from .origin import select, where

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

SHOWN = 3


def left_out(
    splits: dict[str, Dataset], texts: Sequence[str], image: str | None, labels: Sequence[str]
) -> dict[str, Dataset]:
    """The splits without the rows in which a text is blank, an image null, or a label missing; how many is logged.

    Raises:
        InputError: no row of a split is left.
    """
    found = {name: _bad(split, texts, image, labels) for name, split in splits.items()}
    count, rows = sum(map(len, found.values())), sum(map(len, splits.values()))
    if not count:
        return splits
    told = [f"{where(splits[name], [row])}: {why}" for name, bad in found.items() for row, why in bad.items()]
    log.warning("%d of %d rows cannot be used and are left out: %s", count, rows, listing(told, SHOWN))
    if empty := [name for name, bad in found.items() if len(bad) == len(splits[name])]:
        raise InputError(f"no row of {empty[0]} can be used: {told[0]}")
    return {
        name: select(split, np.delete(np.arange(len(split)), list(found[name]))) if found[name] else split
        for name, split in splits.items()
    }


def _bad(split: Dataset, texts: Sequence[str], image: str | None, labels: Sequence[str]) -> dict[int, str]:
    """Why rows cannot be used, by row."""
    bad: dict[int, str] = {}
    for column in texts:
        if column in split.column_names and getattr(split.features[column], "dtype", "") in ("string", "large_string"):
            for row, value in enumerate(split[column][:]):
                if value is None or not value.strip():
                    bad.setdefault(row, f"no text in '{column}'")
    if image is not None and is_image_struct(split.features.arrow_schema.field(image).type):
        bad.update((row, f"no image in '{image}'") for row in null_images(split, image) if row not in bad)
    for column in labels:
        is_class = bool(getattr(split.features[column], "names", None))
        for row, value in enumerate(split[column][:]):
            if _is_missing(value) or (is_class and value < 0):
                bad.setdefault(row, f"no label in '{column}'")
    if len(labels) > 1:
        for row, values in enumerate(zip(*(split[column][:] for column in labels), strict=True)):
            if set(values) == {-1}:
                bad.setdefault(row, f"no label in {listing([repr(column) for column in labels])}")
    return dict(sorted(bad.items()))


def _is_missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())
