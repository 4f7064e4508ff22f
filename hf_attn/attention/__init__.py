"""Attention variants, the seam that puts them into transformers' models, and maps of what they attend to."""

from .conversion import swap_attention
from .layers import supported
from .maps import attention_layers, attention_map, attention_rollout, watch_attention
from .modeling_hf_attn import config_class_for, model_class_for
from .registry import (
    VARIANTS,
    VariantInfo,
    list_variants,
    make_variant,
    register_variant,
    variant_class,
    variant_info,
)
from .variant import Variant

__all__ = [
    "VARIANTS",
    "Variant",
    "VariantInfo",
    "attention_layers",
    "attention_map",
    "attention_rollout",
    "config_class_for",
    "list_variants",
    "make_variant",
    "model_class_for",
    "register_variant",
    "supported",
    "swap_attention",
    "variant_class",
    "variant_info",
    "watch_attention",
]
