"""Dropout that is cheap on a CPU, where drawing its random numbers one by one costs more than the attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 2**16


class _BitDropout(torch.autograd.Function):
    """Dropout from 16 random bits an element, four of them from one 64-bit draw of torch's generator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
        ctx.scale = LEVELS / (LEVELS - dropped)
        # Zeros and ones of x's own type: a product with booleans would convert them, forward and backward.
        keep = torch.ge(bits, dropped - LEVELS // 2, out=torch.empty(x.shape, dtype=x.dtype))
        ctx.save_for_backward(keep)
        return (x * keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (keep,) = ctx.saved_tensors
        return (gradient * keep).mul_(ctx.scale), None


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Set elements of ``x`` to 0 with probability ``p`` and scale the others by 1 / (1 - p).

    On a CPU ``p`` is rounded to a multiple of 2⁻¹⁶, and the scale is that of the rounded ``p``, so that the
    expectation is exact. Elsewhere, and under a compiler, it is torch's own dropout.
    """
    if not training or p == 0.0:
        return x
    dropped = round(p * LEVELS)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < dropped < LEVELS:
        return F.dropout(x, p)
    return _BitDropout.apply(x, dropped)
