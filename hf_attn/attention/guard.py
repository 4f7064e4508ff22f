"""The attention function of a model with a variant: set on all its parts, and checked at every call."""

from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .dispatch import IMPLEMENTATION, SLOT
from .layers import dispatches


def send_to_variant(model: nn.Module) -> None:
    """Send the attention of a model through :func:`dispatch.attend`, and refuse at a call what was changed since.

    A part that computes attention itself, and has no slot, keeps the masks that its own attention reads.
    """
    holders = [m for m in model.modules() if isinstance(m, PreTrainedModel) and _has_slot(m)]
    used = {
        id(m.config) for m in (*holders, *(m for m in model.modules() if dispatches(type(m)))) if hasattr(m, "config")
    }
    apart = [m for m in model.modules() if isinstance(m, PreTrainedModel) and id(m.config) not in used]
    apart = [m for m in apart if not any(dispatches(type(inner)) for inner in m.modules())]
    before = [(part.config, part._check_and_adjust_attn_implementation(None, is_init_check=True)) for part in apart]
    for module in model.modules():  # T5 and its like give their parts configurations of their own
        if isinstance(config := getattr(module, "config", None), PreTrainedConfig):
            config._attn_implementation = IMPLEMENTATION
    for config, implementation in before:
        config._attn_implementation = implementation
    for module in (*holders, *(m for m in model.modules() if SLOT in m._modules)):
        if refuse_other_attention not in module._forward_pre_hooks.values():
            module.register_forward_pre_hook(refuse_other_attention)


def _has_slot(model: nn.Module) -> bool:
    return any(SLOT in module._modules for module in model.modules())


def refuse_other_attention(module: nn.Module, args: Any) -> None:
    """Raise where a configuration names another attention function, by which the variant would be dropped."""
    found = getattr(getattr(module, "config", None), "_attn_implementation", IMPLEMENTATION)
    if found != IMPLEMENTATION:
        raise ValueError(
            f"{type(module).__name__} has an attention variant, but its configuration was set to the attention "
            f"{found!r}, which would drop it: set it back by set_attn_implementation({IMPLEMENTATION!r}) of the whole "
            "model, or load the original class for another attention"
        )
