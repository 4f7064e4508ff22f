"""Softmax attention without its weights, by the faster of two paths; what plain paths need of masks and types.

Shapes are those of :class:`.variant.Variant`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from .dropout import dropout as cheap_dropout

SHORT = 256
"""Keys up to which the plain path is faster on a CPU, training in bf16."""


def plain_is_faster(query: Tensor, keys: int, dropout: float) -> bool:
    """Whether matrix products and a softmax cost less than torch's fused kernel: on a CPU, in training.

    There the kernel with dropout makes the weights as well, and draws its random numbers one by one; and in bf16 its
    backward pass takes several times as long, up to a few hundred keys (``benchmarks/attention_path.py``).
    """
    if query.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return dropout > 0 or (query.requires_grad and query.dtype == torch.bfloat16 and keys <= SHORT)


def softmax_context(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, keep: Tensor | None, dropout: float
) -> Tensor:
    """Return ``softmax(q kᵀ + bias) v`` by the faster path, 0 where nothing is kept; (batch, heads, queries, d)."""
    query, key = query.to(value.dtype), key.to(value.dtype)
    if plain_is_faster(query, key.shape[-2], dropout):
        return product_context(query, key, value, bias, keep, dropout)
    mask = keep
    if bias is not None:
        mask = bias.to(value.dtype)
        if keep is not None:
            mask = mask.masked_fill(~keep, -torch.inf)
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=1.0)
    if keep is None or context.device.type == "cpu":
        return context
    # cuDNN's kernel gives a query without a key a mean of the values.
    return context.masked_fill(~keep.any(-1, keepdim=True), 0)


def product_context(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, keep: Tensor | None, dropout: float
) -> Tensor:
    """:func:`softmax_context` whose scores and weights stay in bf16 where ``value`` is, which halves their memory."""
    with torch.autocast(query.device.type, enabled=False), wide_products(query) as wide:
        scores = wide(query) @ wide(key).transpose(-1, -2)
        if bias is not None:
            scores = scores + bias
        if keep is None:
            return cheap_dropout(scores.softmax(-1).to(value.dtype), dropout) @ value
        weights = (scores + mask_as_sum(keep, scores.dtype)).softmax(-1).to(value.dtype)
        return cheap_dropout(weights * keep.to(value.dtype), dropout) @ value


@contextmanager
def wide_products(query: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    """Give what turns fp16 tensors into fp32, and keep autocast from turning them back: their products leave its range.

    Scores of fp16 inputs pass 65504 where a kernel keeps them in fp32; bf16 has the range of fp32.
    """
    if query.dtype != torch.float16:
        yield lambda tensor: tensor
        return
    with torch.autocast(query.device.type, enabled=False):
        yield lambda tensor: tensor.float()


def mask_as_sum(keep: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``keep``, elsewhere the most negative number of ``dtype``, to be added to scores.

    A sum with a mask's few elements costs less than filling: nothing of it is kept for the backward pass.
    """
    return torch.zeros_like(keep, dtype=dtype).masked_fill_(~keep, torch.finfo(dtype).min)
