"""The augmentation that the arguments of a run ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..rationales import check_augmentation
from .augment import Augment

if TYPE_CHECKING:
    from ..options import AugmentOptions
    from ..processing import Processing

SAME = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob"),
    *("mixup", "cutmix", "mixup_switch_prob"),
)
"""Arguments that are fields of :class:`Augment` as they are."""


class Mixable(Protocol):
    """What is said of an image, as far as mixing two of them goes."""

    @property
    def num_classes(self) -> int | None:
        """Classes, where a label is the number of one."""

    by_area: Any


def augment_for(args: AugmentOptions, processing: Processing, target: Mixable) -> Augment:
    """Make the augmentation of a training set.

    Args:
        args: of the run: what is changed, how much, and the ``seed`` of all that is drawn.
        processing: of the images.
        target: what is said of an image.

    Raises:
        InputError: values that make no sense, or a mixing of labels that cannot be mixed.
    """
    check_augmentation(args, args.rationale)  # type: ignore[attr-defined]
    red, green, blue = (-processing.offset / processing.scale).round().clamp(0, 255).int().tolist()
    return Augment(
        normalize=processing.normalize,
        num_classes=target.num_classes,
        by_area=target.by_area,
        seed=args.seed,  # type: ignore[attr-defined]
        fill=(red, green, blue),
        crop_scale=(args.crop_scale[0], args.crop_scale[-1]),
        **{name: getattr(args, name) for name in SAME},
    )
