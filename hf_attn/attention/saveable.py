"""Settings that transformers checks only when a model is saved: dropped or refused before anything is trained."""

import logging
from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

logger = logging.getLogger(__name__)


def nested_configs(config: PreTrainedConfig) -> Iterator[PreTrainedConfig]:
    """Return a configuration and those of its parts."""
    yield config
    for value in vars(config).values():
        if isinstance(value, PreTrainedConfig):
            yield from nested_configs(value)


def drop_output_attentions(config: PreTrainedConfig) -> None:
    """Take ``output_attentions: true`` out of a configuration: with it, no attention but eager can be saved."""
    found = [part for part in nested_configs(config) if getattr(part, "_output_attentions", False)]
    for part in found:
        part._output_attentions = False
    if found:
        logger.warning(
            "output_attentions: true of the configuration of %s is dropped, since it could not be saved: "
            "ask for the weights in a call, model(…, output_attentions=True)",
            config.name_or_path or config.model_type,
        )


def check_saveable(model: PreTrainedModel) -> None:
    """Check a model's configurations as ``save_pretrained`` will.

    Raises:
        ValueError: what would be refused then, in one line.
    """
    config: Any = model.config
    drop_output_attentions(config)
    wrong = []
    generation: dict[str, Any] = getattr(config, "_get_generation_parameters", dict)()
    if generation:
        wrong.append(f"{', '.join(sorted(generation))} belong into its generation_config")
    checks = [("config", lambda: getattr(config, "validate", str)()), ("config", config.to_json_string)]
    settings: Any = getattr(model, "generation_config", None) if model.can_generate() else None
    if settings is not None:
        modified = getattr(settings, "_original_object_hash", None) != hash(settings)
        checks.append(("generation_config", lambda: settings.validate(strict=modified)))
    for name, check in checks:
        try:
            check()
        except Exception as error:  # whatever the settings' own checks raise
            wrong.append(f"{name}: {' '.join(str(error).split())[:300]}")
    if wrong:
        raise ValueError(f"the configuration of {type(model).__name__} could not be saved: {'; '.join(wrong)}")
