"""The one seam into transformers: an attention function and a mask function under one name.

Every architecture that looks its attention up in ``AttentionInterface`` calls :func:`attend` on its layers. A layer
that carries a slot, the submodule ``hf_attn``, computes its variant; the others keep sdpa.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_mask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

from .call import Call
from .softmax_path import plain_is_faster
from .variant import Variant

# A name with "/" would be taken for a Hub kernel, one with "flash" is refused. The number counts changes of the call.
IMPLEMENTATION = "hf_attn_v1"
# Part of the state-dict keys of every saved model: never change it.
SLOT = "hf_attn"


UNHONOURED = {
    "softcap": "soft-capped scores",
    "s_aux": "attention sinks",
    "sinks": "attention sinks",
    "cache": "a paged cache",
}
"""What a call may ask for that no variant can honour, in words."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend on one layer; what transformers calls.

    Args:
        module: the attention layer; its slot, if it has one, is ``module.hf_attn``.
        query: (batch, heads, queries, d).
        key: (batch, key heads, keys, d); grouped heads are repeated.
        value: as ``key``.
        attention_mask: boolean, True = attend, or float, added to the scores.
        scaling: factor of the scores; None is 1/√d.
        dropout: already 0 when the model is in evaluation mode.
        is_causal: overrides ``module.is_causal`` where no mask is given.
        position_bias: (batch or 1, heads, queries, keys), added to the scores.

    Returns:
        Context (batch, queries, heads, d) and the weights (batch, heads, queries, keys) if asked for, else None.

    Raises:
        ValueError: the layer uses something that no variant can honour.
    """
    slot = getattr(module, SLOT, None)
    need_weights = _wants_weights(kwargs)
    _check(module, slot, query, kwargs)
    if slot is None and not need_weights and not plain_is_faster(query, key.shape[-2], dropout):
        given = (module, query, key, value, attention_mask, dropout, scaling, is_causal, position_bias)
        return sdpa_attention_forward(*given, **kwargs)
    key, value = (ungrouped(tensor, query.shape[1]) for tensor in (key, value))
    keep, bias = keep_and_bias(module, query, key, attention_mask, is_causal, position_bias)
    slot = Variant(query.shape[1], query.shape[-1]) if slot is None else slot
    context, weights = slot(query, key, value, bias, keep, scaling, dropout, need_weights)
    return context.transpose(1, 2).contiguous(), weights


def weights_of_call(
    module: nn.Module, query: Tensor, key: Tensor, attention_mask: Tensor | None, rows: Tensor | None, **options: Any
) -> Tensor:
    """Return the weights, (batch, heads, rows, keys), of a call of any attention function; as of :func:`attend`."""
    return variant_of(module, query).weights(call_of(module, query, key, attention_mask, rows, **options))


def call_of(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    attention_mask: Tensor | None,
    rows: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> Call:
    """Return what a variant is given to tell the weights of a call of any attention function; as of :func:`attend`."""
    key = ungrouped(key, query.shape[1])
    keep, bias = keep_and_bias(module, query, key, attention_mask, is_causal, position_bias)
    return Call(query, key, None, bias, keep, scaling, rows=rows)


def variant_of(module: nn.Module, query: Tensor) -> Variant:
    """Return the variant of a layer; softmax attention where it has no slot."""
    slot = getattr(module, SLOT, None)
    return Variant(query.shape[1], query.shape[-1]) if slot is None else slot_of(slot)


def keep_and_bias(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    attention_mask: Tensor | None,
    is_causal: bool | None,
    position_bias: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """Return what may be attended to (boolean) and what is added to the scores in a call of :func:`attend`."""
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", False)
    keep, bias = _split_mask(attention_mask, position_bias, query, key, bool(causal))
    slot = getattr(module, SLOT, None)
    if slot is not None and bias is not None and attention_mask is not None and not slot_of(slot).accepts_bias:
        bias = _without_empty_bias(bias, attention_mask, position_bias)
    return keep, bias


def slot_of(slot: nn.Module) -> Variant:
    """Return the variant of a slot that runs, also where PEFT has wrapped it to train it, or keeps its copy off."""
    wrapper: Any = slot
    if not hasattr(slot, "modules_to_save"):
        return wrapper
    active = () if wrapper.disable_adapters else (n for n in wrapper.active_adapters if n in wrapper.modules_to_save)
    return next((wrapper.modules_to_save[name] for name in active), wrapper.original_module)


def _wants_weights(kwargs: dict[str, Any]) -> bool:
    """Whether the caller asked for ``output_attentions``; some architectures do not pass the flag on."""
    if "output_attentions" in kwargs:
        return bool(kwargs["output_attentions"])
    if torch.compiler.is_compiling():
        return False
    collected = _collector.get() if _collector is not None else None
    return collected is not None and any("attentions" in key for key in collected)


def _check(module: nn.Module, slot: nn.Module | None, query: Tensor, kwargs: dict[str, Any]) -> None:
    name = type(module).__name__
    for option, what in UNHONOURED.items():
        if kwargs.get(option) is not None:
            raise ValueError(
                f"{name} uses {what} ({option}), which no attention variant can honour: keep its own attention"
            )
    if slot is None:
        return
    variant = slot_of(slot)
    if (query.shape[1], query.shape[3]) != (variant.num_heads, variant.head_dim):
        raise ValueError(
            f"{name} calls its attention with {query.shape[1]} heads of {query.shape[3]}, but its variant was made for "
            f"{variant.num_heads} of {variant.head_dim}: leave this layer out with attn_variant_include"
        )


def ungrouped(tensor: Tensor, heads: int) -> Tensor:
    """Return keys or values (batch, key heads, keys, d) for each query head."""
    repeats = heads // tensor.shape[1]
    return tensor if repeats == 1 else tensor.repeat_interleave(repeats, 1)


def _split_mask(
    mask: Tensor | None, bias: Tensor | None, query: Tensor, key: Tensor, causal: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return what may be attended to (boolean) and what is added to the scores."""
    queries, keys = query.shape[-2], key.shape[-2]
    if isinstance(mask, BlockMask):
        mask = create_mask(mask.mask_mod, len(query), 1, queries, keys, device=str(query.device))
    if mask is None:
        if not causal or queries == 1:
            return None, bias
        return _past(queries, keys, query.device)[None, None], bias
    if mask.dim() == 2:  # flash attention's: which keys are no padding
        padding = mask[:, None, None, -keys:].bool()
        return padding & _past(queries, keys, query.device) if causal and queries > 1 else padding, bias
    mask = mask[..., :keys]
    if mask.dtype == torch.bool:
        return mask, bias
    keep = mask > torch.finfo(mask.dtype).min / 2
    added = mask.masked_fill(~keep, 0.0)
    return keep, added if bias is None else bias + added


def _past(queries: int, keys: int, device: torch.device) -> Tensor:
    """Which keys stand no later than a query, (queries, keys), the last query at the last key."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def _without_empty_bias(bias: Tensor, mask: Tensor, position_bias: Tensor | None) -> Tensor | None:
    """Drop the bias, 0 everywhere, that a float mask of 0 and -∞ alone leaves; keep any other, to be refused."""
    only_mask = position_bias is None and mask.dtype != torch.bool
    return None if only_mask and not bool(bias.any()) else bias


def make_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """Return the boolean mask, (batch, 1, queries or 1, keys), for :func:`attend`; what transformers calls.

    Causality is always in the mask, never left to a flag. A mask of padding alone has one row for all queries.
    """
    mask = sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})
    bidirectional = kwargs.get("mask_function") is bidirectional_mask_function
    if mask is not None and bidirectional and kwargs.get("allow_is_bidirectional_skip"):
        return mask[:, :, :1]
    return mask


try:
    from transformers.utils.output_capturing import _active_collector as _collector
except ImportError:
    _collector = None  # type: ignore[assignment]

AttentionInterface.register(IMPLEMENTATION, attend)
AttentionMaskInterface.register(IMPLEMENTATION, make_mask)
