"""Where the parameters of a new slot belong: on the device and in the type of its own layer."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .dispatch import SLOT
from .variant import Variant


def place_slots(model: nn.Module) -> None:
    """Start the variant of every layer, and put it where the layer computes."""
    for layer in list(model.modules()):
        slot = layer._modules.get(SLOT)
        if isinstance(slot, Variant):
            with torch.no_grad():
                slot.reset_parameters()
            slot.to(device=_device(layer, model), dtype=_dtype(layer, model)).train(layer.training)


def _weights(module: nn.Module) -> Iterator[Tensor]:
    """Return the parameters of a module that are no slot's, matrices first."""
    own = [tensor for name, tensor in module.named_parameters() if f"{SLOT}." not in name]
    return iter(sorted(own, key=lambda tensor: tensor.dim() < 2))


def _device(layer: nn.Module, model: nn.Module) -> Any:
    """Return where a layer computes: what offloads its weights says it, else they stand there."""
    for module in layer.modules():
        for hook in hooks_of(module):
            if getattr(hook, "execution_device", None) is not None:
                return torch.device(hook.execution_device)
    return next((weight.device for part in (layer, model) for weight in _weights(part)), torch.device("cpu"))


def _dtype(layer: nn.Module, model: nn.Module) -> torch.dtype:
    """Return in what type a layer computes; the integers and bytes of quantised weights are only stored."""
    found = (weight.dtype for part in (layer, model) for weight in _weights(part))
    return next((t for t in found if t.is_floating_point and t.itemsize > 1), torch.get_default_dtype())


def hooks_of(module: nn.Module) -> list[Any]:
    """Return the hooks that accelerate has put on a module."""
    hook = getattr(module, "_hf_hook", None)
    return list(getattr(hook, "hooks", [hook] if hook is not None else []))
