"""Operations on colours, uint8 (rows, 3, height, width) to the same, each row with its own strength; as PIL does them.

Strengths are (rows,) fp32 tensors. A factor of 1 changes nothing, 0 is the extreme that PIL's ImageEnhance blends with.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (19595, 38470, 7471)
"""Red, green and blue in ITU-R 601's luma, in parts of 2¹⁶."""


def brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return _levels(pixels.float() * _per_row(factor).to(pixels.device))


def contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean of the grey image."""
    mean = grey(pixels).mean((1, 2, 3), keepdim=True, dtype=torch.float64)
    return _blend((mean + 0.5).floor().float(), pixels, factor)


def saturation(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image: PIL's Color."""
    return _blend(grey(pixels), pixels, factor)


def sharpness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image smoothed by (1 1 1; 1 5 1; 1 1 1) / 13, borders as they are."""
    smooth = pixels.float()
    if min(pixels.shape[-2:]) > 2:
        levels = pixels.to(torch.int16)
        total = levels[..., :-2, :] + levels[..., 1:-1, :] + levels[..., 2:, :]
        total = total[..., :-2] + total[..., 1:-1] + total[..., 2:]
        total.add_(levels[..., 1:-1, 1:-1], alpha=4)
        smooth[..., 1:-1, 1:-1] = total.float().mul_(1 / 13).round_()
    return _blend(smooth, pixels, factor)


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest ``bits``, 0 to 8, of each level."""
    unit = (2.0 ** (8 - bits.round())).to(pixels.device).to(torch.int16)
    return (pixels - pixels % unit[:, None, None, None]).to(torch.uint8)


def solarize(pixels: Tensor, threshold: Tensor) -> Tensor:
    """Invert the levels from ``threshold`` on, 0 to 256."""
    return torch.where(pixels < _per_row(threshold).to(pixels.device), pixels, 255 - pixels)


def solarize_add(pixels: Tensor, amount: Tensor) -> Tensor:
    """Add to the levels below 128."""
    return torch.where(pixels < 128, _levels(pixels + _per_row(amount).to(pixels.device)), pixels)


def invert(pixels: Tensor, _: Tensor | None = None) -> Tensor:
    """Invert all levels."""
    return 255 - pixels


def autocontrast(pixels: Tensor, _: Tensor | None = None) -> Tensor:
    """Stretch each channel's levels to 0 … 255; a channel of one level stays."""
    low, high = (bound.float() for bound in torch.aminmax(pixels.flatten(2), dim=2))
    span = high - low
    scale, low = torch.where(span > 0, 255 / span, 1.0), torch.where(span > 0, low, 0.0)
    # A hair above the product: 255 / span in fp32 may end just below a whole level, which PIL's doubles reach.
    return _levels((pixels - low[..., None, None]).mul_(scale[..., None, None]).add_(1e-3))


def equalize(pixels: Tensor, _: Tensor | None = None) -> Tensor:
    """Equalize each channel's histogram, by PIL's rule: levels before this one over the mean count of a level."""
    flat = pixels.flatten(0, 1).flatten(1).long()
    counts = torch.zeros(len(flat), 256, dtype=torch.long, device=pixels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    highest = 255 - counts.flip(1).gt(0).int().argmax(1, keepdim=True)
    step = (flat.shape[1] - counts.gather(1, highest)) // 255
    before = counts.cumsum(1) - counts + step // 2
    table = (before // step.clamp_min(1)).clamp_max(255)
    table = torch.where(step > 0, table, torch.arange(256, device=pixels.device)).to(torch.uint8)
    return table.gather(1, flat).view_as(pixels)


def grey(pixels: Tensor) -> Tensor:
    """The luma of ITU-R 601, rounded: (rows, 1, height, width) fp32."""
    red, green, blue = pixels.unbind(1)
    luma = red.int().mul_(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).add_(2**15)
    return luma.bitwise_right_shift_(16).float().unsqueeze(1)


def _per_row(strength: Tensor) -> Tensor:
    return strength[:, None, None, None]


def _blend(extreme: Tensor, pixels: Tensor, factor: Tensor) -> Tensor:
    factor = _per_row(factor).to(pixels.device)
    return _levels((pixels - extreme).mul_(factor).add_(extreme))


def _levels(values: Tensor) -> Tensor:
    """Cut to 0 … 255 and off to whole levels, as PIL does."""
    return values.clamp_(0, 255).to(torch.uint8)
