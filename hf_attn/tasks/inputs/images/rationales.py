"""Rationales of images: where people see the reason for a label, boxes or masks, in the pixels that a model sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import missing, refuse
from ....data.image_files import source_of
from ....data.images import image_column
from ....data.origin import where
from ....errors import InputError
from .pixels import PixelRows
from .prediction import opened

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import AugmentOptions, Options
    from .processing import Processing

Box = tuple[float, float, float, float]


def with_rationales(
    rows: dict[str, PixelRows], splits: DatasetDict, processing: Processing, args: Options
) -> dict[str, PixelRows]:
    """Return rows with ``rationale``, (height, width) of 0 and 1, in the splits that have the column.

    A value is a list of boxes ``[left, top, right, bottom]`` in pixels of the image, upright, or the text of one; or a
    mask of the image's size, whose pixels above 0 are marked; or null.

    Raises:
        InputError: train has no such column, or values that are none of these.
    """
    column = str(args.rationale)
    refuse(missing({"train": splits["train"]}, [column]))
    wrong: list[str] = []
    made = dict(rows)
    for name, split in splits.items():
        if column not in split.column_names:
            continue
        masks, bad = _masks(split, column, args.image, processing, rows[name].ids)
        if bad:
            wrong.append(
                f"'{column}' of {name} has {len(bad)} values that are no boxes [left, top, right, bottom] within their "
                f"image and no mask of its size, such as {str(split[bad[0]][column])[:60]} ({where(split, bad)})"
            )
        made[name] = PixelRows(rows[name].pixels, rows[name].ids, rows[name].labels, masks)
    refuse(wrong)
    if not made["train"].rationales.any():  # type: ignore[union-attr]
        refuse([f"'{column}' of train marks nothing in any image: leave --rationale out"])
    return made


def check_augmentation(args: AugmentOptions, column: str | None) -> None:
    """Refuse changes of an image in which its rationale has no place.

    Raises:
        InputError: images are mixed.
    """
    if column and (args.mixup or args.cutmix):
        raise InputError("rationale and mixup or cutmix: a mixed image has no place for either's reason; leave one out")


def _masks(
    split: Dataset, column: str, image: str, processing: Processing, ids: np.ndarray
) -> tuple[np.ndarray, list[int]]:
    """Packed masks of the images that count, (images, bytes), by their row in the split, and rows that have none."""
    from PIL import Image

    size = processing.size[0] * processing.size[1]
    found = np.zeros((len(split), -(-size // 8)), np.uint8)
    counted, bad = set(ids.tolist()), []
    values = [value for batch in image_column(split, column) for value in batch] if _holds_images(split, column) else (
        split[column]
    )  # fmt: skip
    images = (value for batch in image_column(split, image) for value in batch)
    for row, (value, source) in enumerate(zip(values, images, strict=True)):
        if row not in counted or value is None or value == "" or value == []:
            continue
        whole = opened(source_of(source), processing.white)
        try:
            marked = _marked(value, whole.width, whole.height)
        except (ValueError, TypeError, OSError):
            bad.append(row)
            continue
        drawn = Image.fromarray(np.repeat(marked[..., None], 3, -1).astype(np.uint8) * 255)
        found[row] = np.packbits(processing.pixels([drawn])[0][0] > 127)
    return found, bad


def _holds_images(split: Dataset, column: str) -> bool:
    from datasets import Image as ImageFeature

    return isinstance(split.features[column], ImageFeature)


def _marked(value: Any, width: int, height: int) -> np.ndarray:
    """(height, width) bool of one value; ValueError for what is none."""
    if isinstance(value, dict | bytes):
        mask = np.asarray(opened(source_of(value)).convert("L"))
        if mask.shape != (height, width):
            raise ValueError(mask.shape)
        return mask > 0
    boxes = json.loads(value) if isinstance(value, str) else value
    boxes = [boxes] if boxes and not isinstance(boxes[0], list | tuple) else boxes
    marked = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(boxes)
        marked[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
    return marked
