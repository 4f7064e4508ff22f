"""A column of images: checked before anything is decoded, read in the order of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .columns import labelled, missing, refuse
from .image_files import is_image_struct
from .origin import where

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

BATCH = 1000


def check_images(splits: DatasetDict, image: str, label: str | list[str] | None = None) -> None:
    """Refuse what is no column of images: a missing column, another type, null, a label taken for the image.

    Whether each image can be decoded is seen by :func:`pixel_cache.load_pixels`.

    Raises:
        InputError: all that is wrong in all splits, with the first rows as they are in the file.
    """
    labels = [label] if isinstance(label, str) else label or []
    mistakes = missing(splits, [image]) + missing(labelled(splits), labels)
    if image in labels:
        mistakes.append(f"'{image}' is given both as image and as label")
    refuse(mistakes)
    for name, split in splits.items():
        mistakes += _unusable(name, split, image)
    refuse(mistakes)


def image_column(split: Dataset, image: str, batch: int = BATCH) -> Iterator[list[Any]]:
    """The images of some rows at a time: ``{"bytes": …, "path": …}``, or bytes; never decoded."""
    for rows in _tables(split, image, batch):
        yield rows.to_pylist()


def image_paths(split: Dataset, image: str) -> list[str | None]:
    """Where each image of a split lies, or what it is called where its bytes are; None where that is not known."""
    import pyarrow.compute as compute

    if not is_image_struct(split.features.arrow_schema.field(image).type):
        return [None] * len(split)
    tables = _tables(split, image, BATCH)  # of which the bytes are not touched
    return [path or None for rows in tables for path in compute.struct_field(rows, "path").to_pylist()]


def _of_pixels(data_type: Any) -> str:
    """What to do about lists of numbers."""
    import pyarrow.types as types

    listed = types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type)
    while listed and not types.is_primitive(data_type.value_type) and hasattr(data_type.value_type, "value_type"):
        data_type = data_type.value_type
    numbers = listed and (types.is_integer(data_type.value_type) or types.is_floating(data_type.value_type))
    return "; lists of pixels are not read: write each as a PNG" if numbers else ""


def _tables(split: Dataset, image: str, batch: int) -> Iterator[Any]:
    for rows in split.select_columns([image]).with_format("arrow").iter(batch):
        yield rows[image]


def null_images(split: Dataset, image: str) -> list[int]:
    """The rows of a column of images, or of their bytes, where there is none."""
    import pyarrow.compute as compute

    null, at = [], 0
    for rows in _tables(split, image, BATCH):
        empty = compute.is_null(rows)
        if is_image_struct(rows.type):
            fields = [compute.is_null(compute.struct_field(rows, field)) for field in ("bytes", "path")]
            empty = compute.or_(empty, compute.and_(*fields))
        null += [at + row for row, is_empty in enumerate(empty.to_pylist()) if is_empty]
        at += len(rows)
    return null


def _unusable(name: str, split: Dataset, image: str) -> list[str]:
    import pyarrow.types as types

    data_type = split.features.arrow_schema.field(image).type
    of_bytes = types.is_binary(data_type) or types.is_large_binary(data_type)
    if types.is_string(data_type) or types.is_large_string(data_type):
        such = next((value for value in split[image] if value is not None), None)
        return [
            f"'{image}' of {name} is text (such as {such!r:.80}), not images: paths are followed only from a csv, tsv, "
            "json, jsonl or parquet file, and base64 is not read"
        ]
    if not of_bytes and not is_image_struct(data_type):
        return [
            f"'{image}' of {name} is not images but {str(data_type)[:200]}: expected images of datasets (bytes and "
            "path), bytes, or paths in a file" + _of_pixels(data_type)
        ]
    null = null_images(split, image)
    if not null:
        return []
    return [
        f"'{image}' of {name} has {len(null)} null image{'s' * (len(null) > 1)} ({where(split, null)}): fill them, or "
        "--skip_bad_rows"
    ]
