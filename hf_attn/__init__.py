"""Fine-tune pretrained Transformers with the attention you choose, and see where they attend.

``import hf_attn`` makes the variants known to transformers' Auto classes and to PEFT, as soon as those are imported
themselves: it imports neither.
"""

import importlib
from typing import Any

from .after_import import after_import
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
    "predict": "tasks.predict",
}

_WINGS = ("explain",)

__all__ = ["InputError", *_HOME, *_WINGS]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in _WINGS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_WINGS])


def _register(what: str) -> None:
    getattr(importlib.import_module(".registration", __name__), what)()


after_import("transformers.models.auto.configuration_auto", lambda: _register("register_model_types"))
after_import("peft", lambda: _register("register_with_peft"))
