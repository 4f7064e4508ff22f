"""What a run reads: its images, the processor of its checkpoint, and rows of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .... import data

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

    from .options import Options
    from .pixels import PixelRows
    from .processing import Processing


def load_splits(
    args: Options,
    label: str | list[str] | None = None,
    strata: Callable[[Dataset], np.ndarray] | None = None,
    unlabelled: str | None = None,
) -> DatasetDict:
    """Load the splits of a run, as :func:`hf_attn.data.load` does, and check the images; nothing is decoded yet."""
    splits = data.load(args, label=label, image=args.image, strata=strata, unlabelled=unlabelled)
    data.check_images(splits, args.image, label)
    return splits


def load_processing(model: str, image_size: int | None = None) -> Processing:
    """Load a checkpoint's image processor, at ``image_size`` pixels a side where that is given.

    Raises:
        InputError: it has none, one that does more than resize, crop, normalise, or a size without whole patches.
    """
    from .... import models
    from .processing import Processing, check_image_size, set_image_size

    processor = models.load_image_processor(model)
    if image_size is not None:
        config = models.load_config(model)
        config = getattr(config, "vision_config", config)
        patch = getattr(config, "patch_size", None)
        if patch and not hasattr(config, "depths"):  # stages of windows or convolutions pad
            check_image_size(image_size, patch)
        processor = set_image_size(processor, image_size)
    return Processing(processor)


def rows(splits: DatasetDict, processing: Processing, args: Options, accelerator: Any) -> dict[str, PixelRows]:
    """Decode every image once; what cannot be read is refused, or left out with ``skip_bad_images``.

    Raises:
        InputError: all images that cannot be read.
    """
    from .pixel_loading import load_pixels
    from .rationales import with_rationales

    made = load_pixels(splits, args.image, processing, skip_bad=args.skip_bad_images, accelerator=accelerator)
    return with_rationales(made, splits, processing, args) if args.rationale else made


def names(split: Dataset | None, args: Options) -> dict[str, Any]:
    """Return what tells the images of a split apart: columns named like an id, and their files; nothing of no split."""
    return {} if split is None else data.id_columns(split, [args.image]) | files(split, args)


def files(split: Dataset, args: Options) -> dict[str, Any]:
    """Return where the images of a split lie, as the column ``path``; nothing where that is not known."""
    paths = data.image_paths(split, args.image)
    return {"path": paths} if any(paths) else {}
