"""The configuration of a checkpoint: loaded, changed as was asked for, and made to answer by name."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from ..attention.saveable import nested_configs
from ..errors import InputError, nearest
from ..interface.hub_connection import optional_file, use_cache_if_unreachable
from ..interface.printable import one_line
from .adapter_files import CONFIG

logger = logging.getLogger(__name__)


def load_config(name: str, **kwargs: Any) -> PreTrainedConfig:
    """Load a configuration.

    Raises:
        InputError: there is none, or the Hub cannot be reached.
    """
    if not Path(name).exists():
        use_cache_if_unreachable()
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False, **kwargs)
    except Exception as error:  # also what the checks of its values raise
        if (Path(name) / "config.json").is_file():
            raise InputError(f"model {name!r}: its config.json cannot be used: {one_line(error)}") from error
        if optional_file(name, CONFIG):
            raise InputError(
                f"model {name!r} is an adapter of PEFT: download it, `hf download {name} --local-dir DIR`, and give DIR"
            ) from None
        raise InputError(
            f"model {name!r} cannot be loaded: expected a folder with config.json and model.safetensors, or a Hub id "
            f"that is reachable or in the cache (offline, give a folder). {one_line(error)}"
        ) from error


def set_options(config: PreTrainedConfig, options: Mapping[str, Any]) -> None:
    """Change a configuration, in place.

    Raises:
        InputError: it has no such setting, or not with such a value.
    """
    for key, value in options.items():
        if not hasattr(config, key):
            near = nearest(key, vars(config))
            raise InputError(f"config_options: the configuration of {config.model_type!r} has no {key!r}{near}")
        try:
            setattr(config, key, value)
        except Exception as error:  # of transformers' checks, or of a property
            raise InputError(f"config_options: {key} cannot be {value!r}: {one_line(error)}") from error


def answer_by_name(name: str, config: PreTrainedConfig) -> None:
    """Take ``return_dict: false`` out of a configuration: outputs are read by their names."""
    found = [part for part in nested_configs(config) if not getattr(part, "return_dict", True)]
    for part in found:
        part.return_dict = True
    if found:
        logger.info("%s: return_dict: false of its configuration is dropped: outputs are read by their names", name)
