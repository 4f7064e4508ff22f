"""Make every ``hf_attn_*`` model type known to transformers without importing one architecture."""

import importlib
from typing import Any

PREFIX = "hf_attn_"
# Model types that are no variant of another architecture: the file that registers them, and the configuration in it.
OWN_TYPES = {
    "hf_attn_head": ("modeling_attention_head", "HfAttnHeadConfig"),
    "hf_attn_cifar_resnet": ("modeling_cifar_resnet", "HfAttnCifarResNetConfig"),
    "hf_attn_history": ("modeling_history", "HfAttnHistoryConfig"),
}


class LazyConfigs(dict):
    """The register of added configuration classes, which makes those of this package when they are asked for."""

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key) or key in OWN_TYPES:
            return True
        return isinstance(key, str) and key.startswith(PREFIX) and key.removeprefix(PREFIX) in mapping()

    def __missing__(self, key: str) -> Any:
        if key in OWN_TYPES:
            file, config = OWN_TYPES[key]
            return getattr(importlib.import_module(f".attention.{file}", __package__), config)
        if key not in self:
            raise KeyError(key)
        from .attention import config_class_for

        return config_class_for(mapping()[key.removeprefix(PREFIX)])


def register_model_types() -> None:
    """Let ``AutoConfig``, and with it every Auto class, find the model types of this package."""
    if not isinstance(mapping()._extra_content, LazyConfigs):
        mapping()._extra_content = LazyConfigs(mapping()._extra_content)


def mapping() -> Any:
    """Return transformers' configurations by model type; importing them comes back to this module."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return CONFIG_MAPPING


def register_with_peft() -> None:
    """Let PEFT's tables by model type answer for each of ours as for the architecture below it; guard its saving."""
    from .attention.auto_classes import PEFT_TABLES, extend_peft
    from .attention.whole import keep_variants_in_adapters

    for name in PEFT_TABLES:
        extend_peft(importlib.import_module(name))
    keep_variants_in_adapters()
