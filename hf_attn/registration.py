"""Make every ``hf_attn_*`` model type known to transformers without importing one architecture."""

from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

PREFIX = "hf_attn_"


class LazyConfigs(dict):
    """The register of added configuration classes, which makes those of this package when they are asked for."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (
            isinstance(key, str) and key.startswith(PREFIX) and key.removeprefix(PREFIX) in CONFIG_MAPPING._mapping
        )

    def __missing__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        from .attention import config_class_for

        return config_class_for(CONFIG_MAPPING[key.removeprefix(PREFIX)])


def register_model_types() -> None:
    """Let ``AutoConfig``, and with it every Auto class, find the model types of this package."""
    if not isinstance(CONFIG_MAPPING._extra_content, LazyConfigs):
        CONFIG_MAPPING._extra_content = LazyConfigs(CONFIG_MAPPING._extra_content)
