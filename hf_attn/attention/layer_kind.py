"""What a variant has to know of its layer: whether it is causal, between two sequences, with a window of its own."""

import re
from typing import Any

from torch import nn

from .variant import Variant

_CROSS = re.compile(r"cross_?att|encoder_att|enc_?dec_?att", re.IGNORECASE)
_SELF = re.compile(r"self_att", re.IGNORECASE)


def describe_layer(variant: Variant, name: str, module: nn.Module) -> None:
    """Tell a variant what its layer is.

    Args:
        variant: the layer's slot.
        name: the layer's name in its model.
        module: the layer.
    """
    variant.crosses = crosses(name, module)
    decodes = getattr(module, "is_causal", False) or getattr(module, "is_decoder", False)
    variant.causal = bool(decodes) and not variant.crosses
    variant.windowed = has_window(module)


def crosses(name: str, module: nn.Module) -> bool:
    """Whether a layer's keys are of another sequence than its queries; only names tell, the class is often the same."""
    own = [part for part in name.split(".")[-2:] if not part.isdecimal()]
    if own and _SELF.search(own[-1]):
        return False
    return any(_CROSS.search(part) for part in own) or bool(_CROSS.search(type(module).__name__))


def has_window(module: nn.Module) -> bool:
    """Whether a layer sees a sliding window or a chunk, so that a cache drops the first tokens."""
    config: Any = getattr(module, "config", None)
    kinds, number = getattr(config, "layer_types", None), getattr(module, "layer_idx", None)
    if kinds and isinstance(number, int) and number < len(kinds):
        return any(word in kinds[number] for word in ("sliding", "chunked", "local"))
    sizes = [getattr(module, "sliding_window", None), getattr(config, "sliding_window", None)]
    sizes.append(getattr(config, "attention_chunk_size", None))
    return any(isinstance(size, int) and size > 0 for size in sizes)
