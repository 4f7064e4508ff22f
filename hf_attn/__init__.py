"""Fine-tune pretrained Transformers with the attention you choose, and see where they attend.

``import hf_attn`` makes the variants known to transformers' Auto classes. The ``hf-attn`` command imports the package
too; it asks for that only when it needs a model, so that ``hf-attn --help`` answers at once.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from .errors import InputError

__version__ = "0.1.0"

_HOME = {
    "load": "models",
    "model_class_for": "attention",
    "swap_attention": "attention",
    "attention_map": "attention",
    "attention_rollout": "attention",
    "watch_attention": "attention",
    "list_variants": "attention",
    "variant_info": "attention",
    "register_variant": "attention",
    "Variant": "attention",
    "predict": "prediction",
}

__all__ = ["InputError", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


if Path(sys.argv[0] if sys.argv else "").stem != "hf-attn":
    importlib.import_module(".registration", __name__).register_model_types()
