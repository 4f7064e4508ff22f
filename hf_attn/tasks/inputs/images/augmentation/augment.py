"""From a batch of uint8 images to what a model trains on: crop, flip, colours, erasing, mixing, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from .....errors import InputError
from . import colour, geometry, mixing
from .draws import exact_uniform, uniform
from .rand_augment import RandAugment, moving

if TYPE_CHECKING:
    from ..pixels import ImageBatches, PixelRows

Batch = dict[str, Tensor]
JITTERED = (colour.brightness, colour.contrast, colour.saturation)
NO_CLASSES = "cutmix needs classes, for a number is not shared out by area: take mixup, which blends numbers too"


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of images and labels, a pure function of (``seed``, draw); names and meanings are timm's.

    An image is cropped and flipped, then its colours jittered, then RandAugment, erasing, normalisation, and mixing
    with a partner that was changed likewise by numbers of its own.
    """

    normalize: Callable[[Tensor], Tensor]
    """From uint8 (rows, 3, height, width) to what the model takes, fp32; the same as in evaluation."""
    num_classes: int | None = None
    """Classes, where the labels are class numbers and are mixed."""
    by_area: bool = True
    """Whether a label can be shared out by area, as cutmix does: a class, or several labels, and no number."""
    seed: int = 0
    crop: Literal["none", "pad", "resized"] = "pad"
    """pad: shifted by up to an eighth of each side, reflected at the border; resized: RandomResizedCrop."""
    crop_scale: tuple[float, float] = (0.35, 1.0)
    """Least and greatest area of a resized crop, as shares of the image's."""
    hflip: float = 0.5
    """Probability of a flip left to right."""
    vflip: float = 0.0
    """Probability of a flip top to bottom."""
    color_jitter: float = 0.0
    """v: brightness, contrast and saturation each times a factor from 1 - v to 1 + v."""
    rand_augment: str | tuple[float, ...] | None = None
    """RandAugment, such as rand-m9-n2-mstd0.5-inc1, or operations and magnitude, (2, 9), which is rand-m9-n2-inc1."""
    reprob: float = 0.0
    """Probability of random erasing, with ``fill``."""
    mixup: float = 0.0
    """α of mixup: λ is drawn from Beta(α, α); 0 is off."""
    cutmix: float = 0.0
    """α of CutMix; 0 is off."""
    mixup_prob: float = 1.0
    """Probability that an image is mixed at all."""
    mixup_switch_prob: float = 0.5
    """Probability of CutMix rather than mixup where both are on."""
    fill: tuple[int, int, int] = (124, 116, 104)
    """Red, green and blue of what is erased or comes from outside the image; the mean of the processor is right."""

    def __post_init__(self) -> None:
        """Refuse what cannot be, all of it at once.

        Raises:
            InputError: numbers out of range, an unknown name, or labels that cannot be mixed.
        """
        wrong = [
            f"{name} {getattr(self, name)}: expected a probability, 0 to 1"
            for name in ("hflip", "vflip", "reprob", "mixup_prob", "mixup_switch_prob")
            if not 0 <= getattr(self, name) <= 1
        ]
        wrong += [
            f"{name} {getattr(self, name)}: expected 0 (off) or more"
            for name in ("color_jitter", "mixup", "cutmix")
            if not 0 <= getattr(self, name) < float("inf")
        ]
        if self.crop not in ("none", "pad", "resized"):
            wrong.append(f"crop {self.crop!r}: expected none, pad or resized")
        if not 0 < self.crop_scale[0] <= self.crop_scale[1] <= 1:
            wrong.append(f"crop_scale {self.crop_scale}: expected two shares of the area, 0 < least ≤ greatest ≤ 1")
        if not all(0 <= level <= 255 for level in self.fill) or len(self.fill) != 3:
            wrong.append(f"fill {self.fill}: expected three levels, 0 to 255")
        if self.cutmix and not self.by_area:
            wrong.append(NO_CLASSES)
        if self.mixes and self.num_classes is not None and self.num_classes < 2:
            wrong.append(f"num_classes {self.num_classes}: mixup and cutmix need the number of classes, 2 or more")
        try:
            self.operations  # noqa: B018
        except ValueError as error:
            wrong.append(f"rand_augment {error}")
        if wrong:
            raise InputError("; ".join(wrong))

    @property
    def mixes(self) -> bool:
        """Whether batches need ``partner_pixels`` and ``partner_labels``."""
        return bool(self.mixup or self.cutmix) and self.mixup_prob > 0

    @cached_property
    def operations(self) -> RandAugment | None:
        """RandAugment as ``rand_augment`` has it."""
        if isinstance(self.rand_augment, (tuple, list)):
            return RandAugment.parse(",".join(f"{number:g}" for number in self.rand_augment))
        return RandAugment.parse(self.rand_augment) if self.rand_augment else None

    def partner(self, draws: Tensor, rows: int) -> Tensor:
        """Return the row of a dataset of ``rows`` that each draw is mixed with, uniform over all: (draws,) int64."""
        return (exact_uniform(self.seed, draws, 1, "partner")[:, 0] * rows).long().clamp_max(rows - 1)

    def collate(self, rows: PixelRows) -> ImageBatches:
        """Return what makes batches of ``rows`` for :meth:`__call__`, with partners where images are mixed."""
        from .. import collate_images

        partner = partial(self.partner, rows=len(rows)) if self.mixes else None
        return collate_images(dataset=rows, partner=partner)

    def __call__(self, batch: Batch) -> Batch:
        """Augment a batch on the device that its pixels are on.

        Args:
            batch: ``pixels`` uint8 (rows, 3, height, width); ``draws`` int64 (rows,), best on the CPU; ``labels``
                int64 (rows,), float (rows, labels) or float (rows,); ``rationale`` (rows, height, width) of 0 and 1,
                which moves with its image. Where images are mixed ``partner_pixels`` and ``partner_labels``. Anything
                else is passed on.

        Returns:
            ``pixel_values`` fp32 and ``labels``: unchanged, or fp32 where mixed, class numbers as (rows, classes)
            probabilities.

        Raises:
            ValueError: images are to be mixed, and there are no partners, or labels that cannot be mixed.
        """
        rest = dict(batch)
        pixels, draws = rest.pop("pixels"), rest.pop("draws").cpu()
        partners, partner_labels = rest.pop("partner_pixels", None), rest.pop("partner_labels", None)
        values = self.normalize(self.change(pixels, draws))
        if "rationale" in rest:
            rest["rationale"] = self.moved(rest["rationale"], draws)
        if not self.mixes:
            return {**rest, "pixel_values": values}
        if partners is None or (partner_labels is None) != ("labels" not in rest):
            raise ValueError(
                "mixup and cutmix need partner_pixels and partner_labels in the batch: the rows partner(draws, rows)"
            )
        others = self.normalize(self.change(partners, draws, "partner/"))
        values, kept = self._mix(values, others, draws)
        if partner_labels is not None:
            if self.cutmix and rest["labels"].is_floating_point() and rest["labels"].ndim == 1:
                raise ValueError(NO_CLASSES)
            own, other = (mixing.soft(labels, self.num_classes) for labels in (rest["labels"], partner_labels))
            rest["labels"] = mixing.mixup(own, other, kept)
        return {**rest, "pixel_values": values}

    def change(self, pixels: Tensor, draws: Tensor, stream: str = "") -> Tensor:
        """Return uint8 images (rows, 3, height, width) changed one by one: all but mixing and normalisation."""
        height, width = pixels.shape[-2:]
        operations = magnitudes = None
        if self.operations is not None:
            operations, magnitudes = self.operations.draw(self.seed, draws, stream)
        pixels = self._place(pixels, draws, stream, operations, magnitudes)
        if self.color_jitter:
            low = max(0.0, 1 - self.color_jitter)
            factors = low + uniform(self.seed, draws, 3, f"{stream}jitter") * (1 + self.color_jitter - low)
            for adjust, factor in zip(JITTERED, factors.unbind(1), strict=True):
                pixels = adjust(pixels, factor)
        if self.operations is not None and operations is not None and magnitudes is not None:
            pixels = self.operations.recolour(pixels, operations, magnitudes)
        if self.reprob:
            boxes = mixing.erasing_boxes(self.seed, draws, self.reprob, height, width, stream)
            fill = torch.tensor(self.fill, dtype=torch.uint8, device=pixels.device)[:, None, None]
            pixels = torch.where(mixing.inside(boxes, height, width).to(pixels.device), fill, pixels)
        return pixels

    def moved(self, masks: Tensor, draws: Tensor) -> Tensor:
        """Return masks (rows, height, width) of 0 and 1 cropped, flipped and warped as :meth:`change` does."""
        drawn = (None, None) if self.operations is None else self.operations.draw(self.seed, draws, "")
        moved = self._place(255 * masks[:, None].to(torch.uint8), draws, "", *drawn)
        return (moved[:, 0] > 127).to(masks.dtype)

    def _place(
        self, pixels: Tensor, draws: Tensor, stream: str, operations: Tensor | None, magnitudes: Tensor | None
    ) -> Tensor:
        """Crop, flip and warp: by index where pixels stay whole, by interpolation where they do not."""
        height, width = pixels.shape[-2:]
        flips = uniform(self.seed, draws, 2, f"{stream}flip") < torch.tensor([self.hflip, self.vflip])
        crop = geometry.affine(len(draws))
        warped = torch.zeros(len(draws), dtype=torch.bool) if operations is None else moving(operations)
        if self.crop == "resized":
            numbers = uniform(self.seed, draws, 2 * geometry.ATTEMPTS + 2, f"{stream}crop")
            boxes = geometry.crop_boxes(numbers, height, width, self.crop_scale)
            crop = geometry.crop_map(boxes, height, width)
            crop = geometry.after(crop, geometry.flip_map(flips[:, 0], flips[:, 1], height, width))
            warped = torch.ones_like(warped)
        elif self.crop == "pad" or self.hflip or self.vflip:
            reach = torch.tensor([height // 8, width // 8] if self.crop == "pad" else [0, 0])
            numbers = uniform(self.seed, draws, 2, f"{stream}crop")
            shift = (numbers * (2 * reach + 1)).floor().long() - reach
            rows = geometry.shifted(height, shift[:, 0], flips[:, 1])
            columns = geometry.shifted(width, shift[:, 1], flips[:, 0])
            pixels = geometry.take(pixels, rows.to(pixels.device), columns.to(pixels.device))
        if not warped.any():
            return pixels
        warp = None
        if self.operations is not None and operations is not None and magnitudes is not None:
            warp = self.operations.moves(operations, magnitudes, height, width)
        fill = torch.tensor(self.fill if pixels.shape[1] == 3 else [0], dtype=torch.uint8)
        if warped.all():
            return geometry.sample(pixels, warp, crop, fill)
        at = warped.nonzero()[:, 0]
        moved = geometry.sample(pixels[at.to(pixels.device)], None if warp is None else warp[at], crop[at], fill)
        return pixels.index_copy(0, at.to(pixels.device), moved)

    def _mix(self, values: Tensor, others: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Mix normalised images; return them and λ of the labels, (rows,) fp64."""
        height, width = values.shape[-2:]
        kept, cuts = mixing.draw_mix(self.seed, draws, self.mixup, self.cutmix, self.mixup_prob, self.mixup_switch_prob)
        boxes = mixing.cutmix_boxes(kept.where(cuts, 1.0), uniform(self.seed, draws, 2, "box"), height, width)
        kept = torch.where(cuts, mixing.kept_share(boxes, height, width), kept)
        if cuts.any():
            values = mixing.cutmix(values, others, boxes)
        if not cuts.all():
            values = mixing.mixup(values, others, kept.where(~cuts, 1.0))
        return values, kept
