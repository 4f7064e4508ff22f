"""Put an attention variant into a model in hand."""

import copy
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .dispatch import IMPLEMENTATION, SLOT
from .modeling_attention_head import AttentionHeadForImageClassification
from .modeling_hf_attn import config_class_for, install_slots, model_class_for
from .variant import Variant

try:
    from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY as _RECORDED
except ImportError:
    _RECORDED = None  # type: ignore[assignment]

UNSAVED = "unsaved "
"""How the name of a model begins that was made of a checkpoint and is not saved yet."""


def swap_attention(model: PreTrainedModel, variant: str, include: str = "", **kwargs: Any) -> PreTrainedModel:
    """Return ``model`` as its variant class, with the attention changed.

    The result is a module of its own that shares every weight with ``model``, which stays as it is; only the slots
    are new. A variant that ``model`` has already is replaced.

    Args:
        model: any model whose attention goes through transformers' attention interface.
        variant: a name of :func:`list_variants`.
        include: regular expression on module names: the layers, or the tower, that change. Empty is all.
        **kwargs: options of the variant, such as ``mix`` or ``window``.

    Raises:
        ValueError: unknown variant or option, no matching layer, or an architecture that cannot be swapped.
    """
    if isinstance(model, AttentionHeadForImageClassification):
        return _swap_below_head(model, variant, include, kwargs)
    cls = model_class_for(type(model))
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    swapped = copy.deepcopy(model, shared)
    for module in swapped.modules():
        module._modules.pop(SLOT, None)
    swapped.__class__ = cls
    config = variant_config(swapped.config, variant, kwargs, include)
    for module in swapped.modules():  # T5 and its like give their parts configurations of their own
        if isinstance(part := getattr(module, "config", None), PreTrainedConfig):
            part._attn_implementation = IMPLEMENTATION
    config.architectures = [cls.__name__]
    if _RECORDED is not None:  # which submodules give output_attentions; transformers keeps it by class
        dict.__setitem__(_RECORDED, str(cls), swapped._can_record_outputs)
    install_slots(swapped, config)
    reference = next(model.parameters())
    for module in swapped.modules():
        if isinstance(module, Variant):
            with torch.no_grad():
                module.reset_parameters()
            module.to(device=reference.device, dtype=reference.dtype).train(model.training)
    return name_unsaved(swapped, f"{variant} variant of {model.name_or_path}")


def _swap_below_head(
    model: AttentionHeadForImageClassification, variant: str, include: str, kwargs: Mapping[str, Any]
) -> AttentionHeadForImageClassification:
    """:func:`swap_attention` of the encoder; the head has an attention of its own kind."""
    backbone = swap_attention(model.backbone, variant, include, **kwargs)
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    swapped = copy.deepcopy(model, {**shared, id(model.backbone): backbone})
    swapped.config.backbone_config = backbone.config
    return name_unsaved(swapped, f"{variant} variant of {model.name_or_path}")  # type: ignore[return-value]


def variant_config(
    config: PreTrainedConfig, variant: str, kwargs: Mapping[str, Any] | None = None, include: str = ""
) -> PreTrainedConfig:
    """Return ``config``, changed in place to its variant's class, everything else kept."""
    config.__class__ = config_class_for(type(config))
    config.attn_variant, config.attn_variant_include = variant, include
    config.attn_variant_kwargs = dict(kwargs) if kwargs else None
    vars(config).pop("model_type", None)  # a stock checkpoint's own, which would hide the class's
    return config


def name_unsaved(model: PreTrainedModel, what: str) -> PreTrainedModel:
    """Keep PEFT from naming the original checkpoint as the base of an adapter on a model that is not saved yet.

    Such an adapter would load on the original attention in silence; this way it is refused, in words that say why.
    """
    model.name_or_path = f"{UNSAVED}{what}: save_pretrained it first"
    return model
