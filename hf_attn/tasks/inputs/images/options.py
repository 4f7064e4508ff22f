"""Arguments of images: where they are, and what is drawn anew of them at each pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ....data.options import DataOptions

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

    from .augmentation import Augment
    from .pixels import PixelRows
    from .processing import Processing

AUGMENTATIONS = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob"),
    *("mixup", "cutmix", "mixup_switch_prob"),
)


@dataclass(kw_only=True)
class ImageOptions(DataOptions):
    """Images"""

    dataset: str
    """Hub id; folder of train/CLASS/… images or of CLASS/… alone; csv, tsv, jsonl or parquet with images or paths."""
    image: str = "image"
    """Column of the image: the image itself, or its path relative to the file."""
    image_size: int | None = None
    """Side in pixels that the model sees; position embeddings are interpolated. null is the checkpoint's own."""
    skip_bad_images: bool = False
    """Leave out images that cannot be read, and say how many, instead of stopping."""

    def load_images(self, seed: int, strata: Callable[[Dataset], np.ndarray] | None = None) -> DatasetDict:
        """Load and check the splits; nothing is decoded yet.

        Args:
            seed: of the cuts.
            strata: gives the class of each row, for the cuts.

        Raises:
            InputError: whatever cannot be used, all of it at once where that can be.
        """
        from .... import data

        splits = self.load_splits(seed, self.image, strata=strata)
        data.check_images(splits, self.image, self.label)
        return splits

    def image_names(self, split: Dataset) -> dict[str, Any]:
        """Return what tells the images of a split apart: columns named like an id, and their files."""
        from .... import data

        paths = data.image_paths(split, self.image)
        return {**data.id_columns(split, [self.image]), **({"path": paths} if any(paths) else {})}

    def load_processing(self, model: str) -> Processing:
        """Load the checkpoint's image processor, at ``image_size``.

        Raises:
            InputError: it has none, one that does more than resize, crop, normalise, or a size without whole patches.
        """
        from .... import models
        from .processing import Processing, check_image_size, set_image_size

        processor = models.load_image_processor(model)
        if self.image_size is not None:
            config = models.load_config(model)
            config = getattr(config, "vision_config", config)
            patch = getattr(config, "patch_size", None)
            if patch and not hasattr(config, "depths"):  # stages of windows or convolutions pad
                check_image_size(self.image_size, patch)
            processor = set_image_size(processor, self.image_size)
        return Processing(processor)

    def load_pixels(self, splits: DatasetDict, processing: Processing, accelerator: Any) -> dict[str, PixelRows]:
        """Decode every image once; what cannot be read is refused, or left out with ``skip_bad_images``.

        Raises:
            InputError: all images that cannot be read.
        """
        from .pixel_loading import load_pixels

        return load_pixels(splits, self.image, processing, skip_bad=self.skip_bad_images, accelerator=accelerator)


@dataclass(kw_only=True)
class AugmentOptions:
    """Augmentation of the training images (timm's names)"""

    crop: Literal["none", "pad", "resized"] = "pad"
    """pad: shifted by up to 1/8 of the side, edges mirrored; resized: a random part of the image, made full size."""
    crop_scale: list[float] = field(default_factory=lambda: [0.35, 1.0])
    """Least and greatest share of the area that --crop resized keeps."""
    hflip: float = 0.5
    """Probability of a mirror image, left to right."""
    vflip: float = 0.0
    """The same, top to bottom."""
    color_jitter: float = 0.0
    """Brightness, contrast and saturation change by up to this share; 0.4 is usual."""
    rand_augment: str | None = None
    """RandAugment as timm writes it, such as rand-m9-n2-mstd0.5-inc1; null is off."""
    reprob: float = 0.0
    """Random erasing: probability that a rectangle becomes the mean colour."""
    mixup: float = 0.0
    """Alpha of mixup, which blends two images and their labels; 0 is off, 0.8 usual."""
    cutmix: float = 0.0
    """Alpha of cutmix, which puts a part of one image into another; 0 is off, 1 usual."""
    mixup_switch_prob: float = 0.5
    """Probability of cutmix where both are on."""

    def augmentation(self, processing: Processing, labels: Any, seed: int) -> Augment:
        """Make the augmentation of a training set, whose target has ``num_labels`` outputs of a ``kind``.

        Raises:
            InputError: values that make no sense, or a mixing of labels that cannot be mixed.
        """
        from .augmentation import Augment

        red, green, blue = (-processing.offset / processing.scale).round().clamp(0, 255).int().tolist()
        return Augment(
            normalize=processing.normalize,
            num_classes=labels.num_labels,
            kind=labels.kind,
            seed=seed,
            fill=(red, green, blue),
            crop_scale=(self.crop_scale[0], self.crop_scale[-1]),
            **{name: getattr(self, name) for name in AUGMENTATIONS},
        )
