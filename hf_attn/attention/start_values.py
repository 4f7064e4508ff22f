"""Start values of the layers that this package adds to a pretrained model."""

import torch
from torch import nn
from transformers import initialization

from .variant import Variant

PACKAGE = __name__.rpartition(".")[0]


def fill_new_layers(model: nn.Module) -> None:
    """Call ``reset_parameters`` on the layers of this package whose parameters did not come from a checkpoint.

    For ``initialize_weights`` of a model class: ``from_pretrained`` makes parameters without memory and calls that
    afterwards. What a layer fills, its inner layers included, keeps its values from the architecture's own
    ``_init_weights``. Parameters that were loaded are not touched.
    """
    with initialization.guard_torch_init_functions():
        for module in model.modules():
            own = type(module).__module__.rpartition(".")[0] == PACKAGE and hasattr(module, "reset_parameters")
            if own and not getattr(module, "_is_hf_initialized", False):
                module.reset_parameters()  # type: ignore[operator]
                for inner in module.modules():
                    inner._is_hf_initialized = True  # type: ignore[assignment]


@torch.no_grad()
def start(variant: Variant) -> None:
    """Fill what a checkpoint did not fill of a slot: as its ``__init__`` does, then as ``reset_parameters`` does.

    ``from_pretrained`` leaves raw memory where ``__init__`` had written buffers or parameters, and tensors that are
    neither where they have no memory at all. The architecture's own start values are kept off the slot's parts.
    """
    loaded = getattr(variant, "_is_hf_initialized", False)
    told = variant.made_with is not None and not any(tensor.is_meta for tensor in _tensors(variant).values())
    if told and (not loaded or _unsaved(variant)):
        fresh = type(variant)(variant.num_heads, variant.head_dim, **(variant.made_with or {}))
        given = _tensors(fresh)
        for name, tensor in _tensors(variant).items():
            if name in given and not getattr(tensor, "_is_hf_initialized", False):
                tensor.copy_(given[name])
        for module, made in zip(variant.modules(), fresh.modules(), strict=False):
            for name, value in vars(module).items():
                if isinstance(value, torch.Tensor) and value.is_meta and name in vars(made):
                    vars(module)[name] = vars(made)[name]
    if not loaded:
        variant.reset_parameters()
    for module in variant.modules():
        module._is_hf_initialized = True  # type: ignore[assignment]


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _unsaved(variant: nn.Module) -> bool:
    """Whether a module has tensors that no checkpoint holds."""
    plain = any(isinstance(value, torch.Tensor) for module in variant.modules() for value in vars(module).values())
    return plain or any(module._non_persistent_buffers_set for module in variant.modules())
