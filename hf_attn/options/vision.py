"""Arguments of images: where they are, what is drawn anew of them at each pass, and what vision models add."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from .data import DataOptions
from .model import ModelOptions

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from torch import nn

    from ..augmentation import Augment
    from ..data import Labels
    from ..data.pixels import PixelRows
    from ..data.processing import Processing

AUGMENTATIONS = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob"),
    *("mixup", "cutmix", "mixup_switch_prob"),
)
NOT_IN_A_PROBE = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob", "mixup", "cutmix"),
    *("drop_path", "grad_checkpointing", "token_merging", "tta_flip"),
)
"""What has no effect on a linear probe, whose backbone sees each image once, as it is."""
Head = Literal["attention", "mean", "cls", "multi_query", "jetley", "se", "cbam"]


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

    def load_images(self, seed: int, limit: int | None) -> tuple[DatasetDict, Labels]:
        """Load and check the splits, and encode the labels; nothing is decoded yet.

        Raises:
            InputError: whatever cannot be used, all of it at once where that can be.
        """
        from .. import data

        splits = self.load_splits(seed, self.image)
        data.check_images(splits, self.image, self.label)
        return self.encode_labels(splits, seed, limit)

    def image_names(self, split: Dataset) -> dict[str, Any]:
        """Return what tells the images of a split apart: columns named like an id, and their files."""
        from .. import data

        paths = data.image_paths(split, self.image)
        return {**data.id_columns(split, [self.image]), **({"path": paths} if any(paths) else {})}

    def load_processing(self, model: str) -> Processing:
        """Load the checkpoint's image processor, at ``image_size``.

        Raises:
            InputError: it has none, one that does more than resize, crop, normalise, or a size without whole patches.
        """
        from .. import data, models

        processor = models.load_image_processor(model)
        if self.image_size is not None:
            config = models.load_config(model)
            config = getattr(config, "vision_config", config)
            patch = getattr(config, "patch_size", None)
            if patch and not hasattr(config, "depths"):  # stages of windows or convolutions pad
                data.check_image_size(self.image_size, patch)
            processor = data.set_image_size(processor, self.image_size)
        return data.Processing(processor)

    def load_pixels(
        self, splits: DatasetDict, labels: Labels, processing: Processing, accelerator: Any
    ) -> tuple[dict[str, PixelRows], Labels]:
        """Decode every image once; what cannot be read is refused, or left out with ``skip_bad_images``.

        Returns:
            The rows of each split, and the labels with the counts of the rows that are left.

        Raises:
            InputError: all images that cannot be read.
        """
        import numpy as np

        from .. import data

        rows = data.load_pixels(splits, self.image, processing, skip_bad=self.skip_bad_images, accelerator=accelerator)
        left = np.asarray(rows["train"].labels)
        if labels.kind == "single":
            return rows, replace(labels, counts=tuple(np.bincount(left, minlength=labels.num_labels).tolist()))
        if labels.kind == "multi":
            return rows, replace(labels, counts=tuple(left.sum(0).astype(int).tolist()))
        return rows, labels


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

    def augmentation(self, processing: Processing, labels: Labels, seed: int) -> Augment:
        """Make the augmentation of a training set.

        Raises:
            InputError: values that make no sense, or a mixing of labels that cannot be mixed.
        """
        from ..augmentation import Augment

        red, green, blue = (-processing.offset / processing.scale).round().clamp(0, 255).int().tolist()
        return Augment(
            normalize=processing.normalize,
            num_classes=labels.num_labels,
            kind=labels.kind,  # type: ignore[arg-type]
            seed=seed,
            fill=(red, green, blue),
            crop_scale=(self.crop_scale[0], self.crop_scale[-1]),
            **{name: getattr(self, name) for name in AUGMENTATIONS},
        )


@dataclass(kw_only=True)
class ImageModelOptions(ModelOptions):
    """Vision model"""

    head: Head | None = None
    """Head over the feature map of any backbone: attention pools by learned weights; null is the architecture's own."""
    head_kwargs: dict[str, Any] | None = None
    """Options of the head, such as '{"num_queries": 4}'."""
    drop_path: float = 0.0
    """Stochastic depth: probability that the last block is skipped, falling to 0 at the first."""
    grad_checkpointing: bool = False
    """Keep less for the backward pass and compute it again: less memory, about a third slower."""
    channels_last: bool = False
    """Memory layout that convolutions like, on GPUs above all."""
    token_merging: int = 0
    """Tokens that each block of a ViT merges into like ones (ToMe), at training and for the scores; 0 is off."""
    tta_flip: bool = False
    """Score the mean of each image and its mirror image."""

    def check_model(self, *, tokenizer: bool = False) -> None:
        """As :meth:`ModelOptions.check_model`, and refuse what a linear probe would ignore."""
        super().check_model(tokenizer=tokenizer)
        if self.token_merging < 0:
            raise InputError(f"token_merging is {self.token_merging}: expected the tokens a block merges, 0 or more")
        changed = {item.name for item in fields(self) if getattr(self, item.name) != item.default}
        ignored = [f"--{name}" for name in NOT_IN_A_PROBE if name in changed]
        if self.linear_probe and ignored:
            raise InputError(
                f"--linear_probe runs the backbone once over each image, as it is, so {', '.join(ignored)} would do "
                "nothing: leave that out, or train the head by --freeze encoder"
            )

    def load_image_model(
        self, labels: Labels, processing: Processing, image_size: int | None, dtype: str = "float32"
    ) -> nn.Module:
        """Load the model and leave trainable what these options say.

        Args:
            labels: what is predicted.
            processing: what makes its images, one of which it is tried on.
            image_size: pixels a side that it is adapted to; None leaves it as it is.
            dtype: of the weights, as for :meth:`load_model`.

        Raises:
            InputError: whatever ``models.load`` refuses, or an image size or option that the model cannot take.
        """
        import torch

        from .. import models
        from ..models.drop_path import add_drop_path, drop_path_options
        from ..probe import Probe

        def adapt(loaded: Any) -> None:
            models.check_takes_images(loaded)
            if image_size is not None:
                models.set_image_size(loaded, image_size)
            with self.merging(loaded):
                models.try_image(loaded, *processing.size)
            if self.linear_probe:
                Probe(loaded)

        model: Any = self.load_model(
            "image-classification",
            labels,
            adapt,
            head=self.head,
            head_kwargs=self.head_kwargs,
            config_options=drop_path_options(models.load_config(self.model), self.drop_path)
            if self.drop_path
            else None,
            dtype=dtype,
        )
        if self.drop_path:
            add_drop_path(model, self.drop_path)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.grad_checkpointing:
            if not getattr(model, "supports_gradient_checkpointing", False):
                raise InputError(
                    f"{type(model).__name__} has no gradient checkpointing: leave --grad_checkpointing out"
                )
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        return model

    def merging(self, model: nn.Module) -> AbstractContextManager[object]:
        """Merge ``token_merging`` tokens in each block of the model inside the block.

        Raises:
            InputError: a model whose tokens cannot be merged.
        """
        from ..models.token_merging import merged_tokens

        return merged_tokens(model, self.token_merging) if self.token_merging else nullcontext()

    def scorer(self, model: nn.Module) -> nn.Module:
        """Return what gives the test scores: the model, or its mean over each image and its mirror image."""
        from ..models.flipped import FlipAveraged

        return FlipAveraged(model) if self.tta_flip else model
