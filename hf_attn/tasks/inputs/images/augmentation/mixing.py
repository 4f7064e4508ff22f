"""Two images in one: mixup, CutMix and the boxes of random erasing."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import beta, uniform

ATTEMPTS = 10
ERASED_AREA = (0.02, 1 / 3)
ERASED_RATIO = (0.3, 1 / 0.3)


def mixup(images: Tensor, partners: Tensor, kept: Tensor) -> Tensor:
    """λ·x + (1-λ)·x' (Zhang et al. 2018, eq. 1).

    Args:
        images: (rows, …), float.
        partners: as ``images``.
        kept: (rows,) λ.
    """
    kept = kept.to(images).view(-1, *[1] * (images.ndim - 1))
    return images + (1 - kept) * (partners - images)


def cutmix(images: Tensor, partners: Tensor, boxes: Tensor) -> Tensor:
    """Paste a box of the partner at its place (Yun et al. 2019, eq. 1).

    Args:
        images: (rows, channels, height, width).
        partners: as ``images``.
        boxes: (rows, 4): top, left, bottom, right, the last two exclusive.
    """
    return torch.where(inside(boxes, *images.shape[-2:]).to(images.device), partners, images)


def cutmix_boxes(kept: Tensor, centre: Tensor, height: int, width: int) -> Tensor:
    """Boxes of the share 1 - λ of the image about a centre, cut at its borders (Yun et al. 2019, section 3.1).

    Args:
        kept: (rows,) λ.
        centre: (rows, 2) uniform in [0, 1).
    """
    size = torch.tensor([height, width])
    half = ((1 - kept.double()).sqrt()[:, None] * size).floor().long() // 2
    middle = (centre * size).floor().long()
    return torch.cat([(middle - half).clamp_min(0), torch.minimum(middle + half, size)], 1)


def kept_share(boxes: Tensor, height: int, width: int) -> Tensor:
    """What boxes leave of an image, (rows,) fp64: the λ that the labels take."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return 1 - sides.prod(1).double() / (height * width)


def erasing_boxes(seed: int, draws: Tensor, probability: float, height: int, width: int, stream: str = "") -> Tensor:
    """Boxes of random erasing (Zhong et al. 2020, algorithm 1): area 2 % to 33 %, log aspect ratio uniform.

    The first of ten tries that fits; (rows, 4) top, left, bottom, right, empty where nothing is erased.
    """
    numbers = uniform(seed, draws, 3 + 2 * ATTEMPTS, f"{stream}erase")
    area = (ERASED_AREA[0] + numbers[:, 3 : 3 + ATTEMPTS] * (ERASED_AREA[1] - ERASED_AREA[0])) * height * width
    low, high = (math.log(bound) for bound in ERASED_RATIO)
    aspect = torch.exp(low + numbers[:, 3 + ATTEMPTS :] * (high - low))
    sizes = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], -1).round().long()
    whole = torch.tensor([height, width])
    fits = (sizes < whole).all(-1)
    size = sizes.gather(1, fits.int().argmax(1)[:, None, None].expand(-1, 1, 2))[:, 0]
    corner = (numbers[:, 1:3] * (whole - size + 1)).floor().long()
    erased = (numbers[:, :1] < probability) & fits.any(1, keepdim=True)
    return torch.cat([corner, corner + size], 1).where(erased, 0)


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels are in the box of their row: boolean (rows, 1, height, width)."""
    top, left, bottom, right = (side[:, None] for side in boxes.unbind(1))
    y, x = torch.arange(height, device=boxes.device), torch.arange(width, device=boxes.device)
    return (((y >= top) & (y < bottom))[:, None, :, None]) & ((x >= left) & (x < right))[:, None, None, :]


def soft(labels: Tensor, num_classes: int | None) -> Tensor:
    """Labels as fp32 that can be mixed: class numbers (rows,) as probabilities (rows, classes), floats as they are.

    Raises:
        ValueError: class numbers, and nobody says how many classes there are.
    """
    if labels.is_floating_point():
        return labels.float()
    if not num_classes:
        raise ValueError("class numbers are mixed as probabilities: give num_classes")
    return F.one_hot(labels, num_classes).float()


def draw_mix(
    seed: int, draws: Tensor, mixup_alpha: float, cutmix_alpha: float, probability: float, switch: float
) -> tuple[Tensor, Tensor]:
    """Draw λ, (rows,) fp64, 1 where a row is not mixed; and whether it is CutMix's, boolean (rows,)."""
    mixed, switched = uniform(seed, draws, 2, "mix").unbind(1)
    cuts = (switched < switch) if mixup_alpha and cutmix_alpha else torch.full(draws.shape, bool(cutmix_alpha))
    kept = torch.ones(len(draws), dtype=torch.float64)
    for alpha, rows in ((mixup_alpha, ~cuts), (cutmix_alpha, cuts)):
        if alpha:
            kept = torch.where(rows, beta(alpha, seed, draws, "lambda"), kept)
    return kept.where(mixed < probability, 1.0), cuts
