"""Attention functions that somebody else registered: a swap must not lose them, a map must be what they attend to."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from .dispatch import ungrouped
from .layers import is_attention_layer

KNOWN = ("transformers", "transformers_modules", __name__.partition(".")[0])


def is_known(function: Callable[..., Any]) -> bool:
    """Whether an attention function is this one, or transformers' own, whose weights are softmax over the scores."""
    inner = function.func if isinstance(function, partial) else function
    return str(getattr(inner, "__module__", "")).partition(".")[0] in KNOWN


@torch.no_grad()
def check_told(
    weights: Tensor,
    rows: Tensor | None,
    function: Callable[..., Any],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    **call: Any,
) -> None:
    """Check that a function that somebody else registered attends by softmax, as its weights are told here.

    Args:
        weights: (batch, heads, rows, keys), of :func:`weights_of_call`.

    Raises:
        ValueError: the function gives another context than these weights.
    """
    given = function(module, query, key, value, attention_mask, dropout=0.0, **call)[0].transpose(1, 2)
    told = weights.to(value.dtype) @ ungrouped(value, query.shape[1])
    known = weights.any(-1, keepdim=True)
    if rows is not None and given.dim() == 4:
        given = given.index_select(-2, rows)
    close = 2e-3 if value.dtype in (torch.float32, torch.float64) else 0.1
    if given.shape != told.shape or ((given - told) * known).abs().max() > close * told.abs().max().clamp_min(1e-6):
        raise ValueError(
            f"{type(module).__name__} attends by a function of its own, {getattr(function, '__name__', function)}, "
            "whose weights are not softmax and not known here: register it as a variant, hf_attn.register_variant, or "
            "set_attn_implementation('sdpa') first"
        )


def own_functions(model: nn.Module) -> dict[str, str]:
    """Return the names of the attention functions that somebody else registered, by the layers that use them."""
    layers = {n: m for n, m in model.named_modules() if is_attention_layer(m)}
    names = {n: str(getattr(getattr(m, "config", None), "_attn_implementation", "")) for n, m in layers.items()}
    functions: Any = AttentionInterface._global_mapping
    return {n: name for n, name in names.items() if name in functions and not is_known(functions[name])}
