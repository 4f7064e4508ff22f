"""Where each output pixel comes from: crops and flips by index, everything else by one affine map a row.

Affine maps are 2 × 3 matrices, (rows, 2, 3), from output to input, in pixels with centres at ½, as PIL has them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

RATIO = (3 / 4, 4 / 3)
ATTEMPTS = 10


def take(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return ``pixels[i, :, rows[i]][:, :, columns[i]]`` for each image i.

    Args:
        pixels: (batch, channels, height, width), any type.
        rows: (batch, height), int64 indices of rows.
        columns: (batch, width), int64 indices of columns.
    """
    width = pixels.shape[-1]
    index = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
    return pixels.flatten(2).gather(2, index).view(*pixels.shape[:2], rows.shape[1], columns.shape[1])


def shifted(size: int, shift: Tensor, mirrored: Tensor) -> Tensor:
    """Return the indices of a side that is shifted, reflected at its ends, and then mirrored where asked.

    Args:
        size: pixels of the side.
        shift: (rows,) int64, pixels, below ``size`` in magnitude.
        mirrored: (rows,) boolean.

    Returns:
        (rows, size) int64.
    """
    at = torch.arange(size, device=shift.device)
    at = torch.where(mirrored[:, None], size - 1 - at, at) + shift[:, None]
    last = size - 1
    return last - (last - at.abs()).abs()


def crop_boxes(
    uniform: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float] = RATIO
) -> Tensor:
    """Boxes of RandomResizedCrop (Szegedy et al. 2015, section 6): area and log aspect ratio uniform.

    The first of ten tries that fits in the image; the whole image if none does.

    Args:
        uniform: (rows, 22) in [0, 1).
        scale: least and greatest area as shares of the image's.
        ratio: least and greatest width / height.

    Returns:
        (rows, 4) fp32: top, left, height, width in whole pixels.
    """
    area, aspect = uniform[:, :ATTEMPTS], uniform[:, ATTEMPTS : 2 * ATTEMPTS]
    sizes = _sizes(area, aspect, height, width, scale, ratio)
    fits = (sizes <= torch.tensor([height, width])).all(-1) & (sizes > 0).all(-1)
    first = sizes.gather(1, fits.int().argmax(1)[:, None, None].expand(-1, 1, 2))[:, 0]
    size = torch.where(fits.any(1, keepdim=True), first, torch.tensor([float(height), float(width)]))
    corner = (uniform[:, -2:] * (torch.tensor([height, width]) - size + 1)).floor()
    return torch.cat([corner, size], 1)


def _sizes(
    area: Tensor, aspect: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Height and width of boxes, (rows, tries, 2), rounded to pixels."""
    pixels = (scale[0] + area * (scale[1] - scale[0])) * height * width
    low, high = (math.log(bound) for bound in ratio)
    aspects = torch.exp(low + aspect * (high - low))
    return torch.stack([(pixels / aspects).sqrt(), (pixels * aspects).sqrt()], -1).round()


def crop_map(boxes: Tensor, height: int, width: int) -> Tensor:
    """The map of each box, (rows, 4) top, left, height, width, onto the whole output."""
    top, left, tall, wide = boxes.unbind(1)
    return affine(len(boxes), xx=wide / width, x=left, yy=tall / height, y=top)


def flip_map(mirrored: Tensor, upended: Tensor, height: int, width: int) -> Tensor:
    """The map of a flip left to right and top to bottom where the booleans, (rows,), say so."""
    x, y = mirrored.float(), upended.float()
    return affine(len(mirrored), xx=1 - 2 * x, x=x * width, yy=1 - 2 * y, y=y * height)


def rotation(degrees: Tensor, height: int, width: int) -> Tensor:
    """The map that rotates counter-clockwise about the centre; degrees (rows,)."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    return affine(len(degrees), xx=cos, xy=-sin, x=x - cos * x + sin * y, yx=sin, yy=cos, y=y - sin * x - cos * y)


def affine(
    rows: int,
    xx: Tensor | float = 1.0,
    xy: Tensor | float = 0.0,
    x: Tensor | float = 0.0,
    yx: Tensor | float = 0.0,
    yy: Tensor | float = 1.0,
    y: Tensor | float = 0.0,
) -> Tensor:
    """Return (rows, 2, 3) maps: x' = xx·x + xy·y + x₀, y' = yx·x + yy·y + y₀; each (rows,) or one number."""
    parts = [torch.as_tensor(part, dtype=torch.float32).expand(rows) for part in (xx, xy, x, yx, yy, y)]
    return torch.stack(parts, 1).view(rows, 2, 3)


def after(first: Tensor, then: Tensor) -> Tensor:
    """The map of an image that is changed by ``first`` and the result by ``then``."""
    total = (first[:, :, :2, None] * then[:, None]).sum(2)
    total[:, :, 2] += first[:, :, 2]
    return total


def positions(maps: Tensor, height: int, width: int) -> Tensor:
    """Where the pixels of an output come from: x and y, (rows, height, width, 2), for maps (rows, 2, 3)."""
    ys, xs = (torch.arange(size, device=maps.device) + 0.5 for size in (height, width))
    down = (maps[:, :, 1, None] * ys + maps[:, :, 2:]).mT
    return down[:, :, None] + maps[:, None, None, :, 0] * xs[:, None]


def sample(pixels: Tensor, warp: Tensor | None, crop: Tensor, fill: Tensor) -> Tensor:
    """Warp the image that ``crop`` makes of each row, bilinearly and in one step.

    Pixels from outside the cropped image are filled; inside it, the image's own border continues it by half a pixel.

    Args:
        pixels: (rows, channels, height, width) uint8.
        warp: (rows, 2, 3), from output to cropped image; None is the identity.
        crop: (rows, 2, 3), from cropped image to image.
        fill: (channels,) uint8.

    Returns:
        uint8 of the shape of ``pixels``.
    """
    height, width = pixels.shape[-2:]
    size = torch.tensor([float(width), float(height)], device=pixels.device)
    grid = positions((crop if warp is None else after(crop, warp)).to(pixels.device), height, width)
    grid = grid.mul_(2 / size).sub_(1)  # grid_sample's units, from -1 to 1
    sampled = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    sampled = sampled.round_().to(torch.uint8)
    if warp is None:
        return sampled
    at = positions(warp.to(pixels.device), height, width)
    outside = ((at < 0) | (at >= size)).any(-1)
    return torch.where(outside[:, None], fill.to(pixels.device)[:, None, None], sampled)
