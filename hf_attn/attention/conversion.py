"""Put an attention variant into a model in hand."""

import copy
import logging
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .dispatch import SLOT
from .foreign import own_functions
from .layers import find_layers, is_attention_layer, supported
from .modeling_attention_head import AttentionHeadForImageClassification
from .modeling_hf_attn import derived_model_class, install_slots
from .modeling_hf_attn import variant_config as variant_config
from .placement import hooks_of, place_slots
from .rebinding import bind_to_copies
from .saveable import check_saveable
from .unsaved import name_unsaved
from .whole import adopt_parts as adopt_parts

try:
    from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY as _RECORDED
except ImportError:
    _RECORDED = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


def swap_attention(model: PreTrainedModel, variant: str, include: str = "", **kwargs: Any) -> PreTrainedModel:
    """Return ``model`` as its variant class, with the attention changed.

    The result is a module of its own that shares every weight with ``model``, which stays as it is; only the slots
    are new. A variant that ``model`` has already is replaced: a model has one, and layers that had it and are not among
    ``include`` get softmax again, with a warning.

    Args:
        model: any model whose attention goes through transformers' attention interface; of another module, such as
            ``DataParallel``, ``torch.compile(model)`` or one of your own, the models inside are swapped.
        variant: a name of :func:`list_variants`.
        include: regular expression on module names: the layers, or the tower, that change. Empty is all.
        **kwargs: options of the variant, such as ``mix`` or ``window``.

    Raises:
        ValueError: unknown variant or option, no matching layer, or an architecture that cannot be swapped.
    """
    if isinstance(model, AttentionHeadForImageClassification):
        return _swap_below_head(model, variant, include, kwargs)
    refuse_wrapped(model)
    if not isinstance(model, PreTrainedModel):
        return _swap_inside(model, variant, include, kwargs)
    if not supported(type(model)):
        find_layers(model, include)
    swapped, copies = _copied(model, {})
    had = {name for name, module in swapped.named_modules() if module._modules.pop(SLOT, None) is not None}
    for module in swapped.modules():
        if "attn_base" in vars(type(module)):  # a part that was swapped before; a subclass of such a class stays
            module.__class__ = type(module).attn_base
    swapped.__class__ = cls = derived_model_class(type(swapped))
    config = variant_config(swapped.config, variant, kwargs, include)
    config.architectures = [cls.__name__]
    if _RECORDED is not None:  # which submodules give output_attentions; transformers keeps it by class
        dict.__setitem__(_RECORDED, str(cls), swapped._can_record_outputs)
    bind_to_copies(model, copies)
    own = own_functions(model)
    install_slots(swapped, config)
    if lost := sorted(name for name in own if not hasattr(swapped.get_submodule(name), SLOT)):
        raise ValueError(
            f"{lost[0]} attends by a function of its own, {own[lost[0]]!r}, and layers that the variant leaves out "
            "would lose it: include them, or set_attn_implementation('sdpa') before the swap"
        )
    place_slots(swapped)
    check_saveable(swapped)
    if lost := sorted(name for name in had if not hasattr(swapped.get_submodule(name), SLOT)):
        logger.warning(
            "%s has one variant, now %r: softmax is back on layers that had one before (%d, such as %s); "
            "an include that matches them too changes them with it",
            cls.__name__,
            variant,
            len(lost),
            lost[0],
        )
    return name_unsaved(swapped, f"{variant} variant of {model.name_or_path}")


def _copied(model: nn.Module, known: Mapping[int, nn.Module]) -> tuple[Any, dict[int, nn.Module]]:
    """Return a copy of a model that shares every tensor with it, and the copies of its modules by the originals' ids.

    Args:
        known: copies that there are already.
    """
    shared: dict[int, Any] = dict(known)
    for module in model.modules():
        plain = (value for value in vars(module).values() if isinstance(value, torch.Tensor))
        for tensor in chain(module.parameters(recurse=False), module.buffers(recurse=False), plain):
            shared[id(tensor)] = tensor
        compiler = vars(module).get("dynamo_ctx")
        offloaded = [
            getattr(hook, name, None) for hook in hooks_of(module) for name in ("weights_map", "tied_params_map")
        ]
        shared.update({id(kept): kept for kept in (compiler, *offloaded) if kept is not None})
    try:
        copied = copy.deepcopy(model, shared)
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot be copied, so its attention cannot be swapped: {str(error).strip()}; put "
            "the variant in before the model is prepared for training, compiled or distributed"
        ) from error
    return copied, {id(module): shared[id(module)] for module in model.modules() if id(module) in shared}


def refuse_wrapped(model: nn.Module) -> None:
    """Refuse what holds a model in a way that a swap would break, and say what to swap.

    Raises:
        ValueError: adapters, a distributed or a sharded model, or no model at all.
    """
    name = type(model).__name__
    if not isinstance(model, nn.Module):
        raise ValueError(f"swap_attention takes a model, not {name}")
    if hasattr(model, "peft_config") or getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(
            f"{name} holds adapters of PEFT, which would be saved for the original and not for its variant: put the "
            "variant into the base model first, get_peft_model(swap_attention(base, …), …), or merge_and_unload()"
        )
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise ValueError(
            f"{name} is bound to the parameters that it has: swap the model inside, then wrap it again, "
            f"{name}(swap_attention(model.module, …))"
        )
    if any(
        cls.__name__ in ("FSDPModule", "FullyShardedDataParallel", "DeepSpeedEngine") for cls in type(model).__mro__
    ):
        raise ValueError(f"{name} is sharded: put the variant in before the model is sharded")


def _swap_inside(model: nn.Module, variant: str, include: str, kwargs: Mapping[str, Any]) -> Any:
    """:func:`swap_attention` of the models of transformers that a module of another kind holds."""
    parts: dict[str, PreTrainedModel] = {}
    for name, module in model.named_modules():
        if isinstance(module, PreTrainedModel) and not any(name.startswith(f"{part}.") for part in parts):
            parts[name] = module
    if not parts:
        raise ValueError(f"{type(model).__name__} holds no model of transformers: swap_attention takes one")
    found = {name: _include_of(name, part, include) for name, part in parts.items()}
    if all(pattern is None for pattern in found.values()):
        raise ValueError(f"attn_variant_include={include!r} matches none of the attention layers of {', '.join(parts)}")
    swapped = {
        name: swap_attention(part, variant, str(found[name]), **kwargs)
        for name, part in parts.items()
        if found[name] is not None
    }
    if "dynamo_ctx" in vars(model):  # torch.compile(model): the same compiler with the same options
        return vars(model)["dynamo_ctx"](next(iter(swapped.values())))
    copied, copies = _copied(model, {id(parts[name]): part for name, part in swapped.items()})
    bind_to_copies(model, copies)
    return copied


def _include_of(name: str, part: PreTrainedModel, include: str) -> str | None:
    """Return which layers of a part a pattern on the whole's names means, as a pattern on its own; None is none."""
    layers = [layer for layer, module in part.named_modules() if is_attention_layer(module)]
    try:
        chosen = [layer for layer in layers if re.search(include, f"{name}.{layer}") or re.search(include, layer)]
    except re.error as error:
        raise ValueError(f"include={include!r} is no regular expression: {error}") from None
    if not chosen:
        return "" if not layers and not include else None
    if len(chosen) == len(layers):
        return ""
    own = [layer for layer in layers if re.search(include, layer)]
    return include if own == chosen else f"^(?:{'|'.join(map(re.escape, chosen))})$"


def _swap_below_head(
    model: AttentionHeadForImageClassification, variant: str, include: str, kwargs: Mapping[str, Any]
) -> AttentionHeadForImageClassification:
    """:func:`swap_attention` of the encoder; the head has an attention of its own kind."""
    backbone = swap_attention(model.backbone, variant, include, **kwargs)
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    swapped = copy.deepcopy(model, {**shared, id(model.backbone): backbone})
    swapped.config.backbone_config = backbone.config
    return name_unsaved(swapped, f"{variant} variant of {model.name_or_path}")  # type: ignore[return-value]
