"""Arguments of images: where they are, and what is drawn anew of them at each pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ....data.options import DataOptions


@dataclass(kw_only=True)
class Options(DataOptions):
    """Images"""

    dataset: str
    """Hub id; folder of train/CLASS/… images or of CLASS/… alone; csv, tsv, jsonl or parquet with images or paths."""
    image: str = "image"
    """Column of the image: the image itself, or its path relative to the file."""
    image_size: int | None = None
    """Side in pixels that the model sees; position embeddings are interpolated. null is the checkpoint's own."""
    rationale: str | None = None
    """Column of the rationales, which attention shall follow: boxes [left, top, right, bottom] in pixels of the image
    as lists of lists or as their text, or masks of its size, as images or their files; null is none."""
    skip_bad_images: bool = False
    """Leave out images that cannot be read, and say how many, instead of stopping."""


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
