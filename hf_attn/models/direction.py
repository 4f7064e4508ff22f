"""Which way an encoder reads: each token sees those on both sides, or only those before it."""

from __future__ import annotations

import logging
from typing import Any

from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedConfig, PreTrainedModel

from ..attention.auto_classes import classes_of
from .configuration import load_config

logger = logging.getLogger(__name__)


def reading(name: str, *, causal: bool) -> dict[str, Any]:
    """Return the changes of a checkpoint's configuration that make an encoder read as asked.

    An encoder of the kinds that can be decoders sees both sides unless its configuration says ``is_decoder``.

    Args:
        name: of the checkpoint.
        causal: whether a token sees only what stands before it.
    """
    config = load_config(name)
    if not can_turn(config) or bool(config.is_decoder) == causal:
        return {}
    tell(name, causal)
    return {"is_decoder": causal}


def see_both_sides(name: str, config: PreTrainedConfig, cls: type[PreTrainedModel]) -> None:
    """Let an encoder that was trained to see only what stands before a token see both sides under another head.

    The first token, by which many classifiers answer, would see nothing but itself.

    Args:
        name: of the checkpoint.
        config: that the model is made with, in place.
        cls: of the model.
    """
    if not can_turn(config) or not config.is_decoder:
        return
    kept = [cls for auto in (AutoModel, AutoModelForCausalLM) for cls in classes_of(auto._model_mapping, type(config))]
    if cls not in kept:
        config.is_decoder = False
        tell(name, causal=False)


def can_turn(config: PreTrainedConfig) -> bool:
    """Return whether a configuration's ``is_decoder`` says which way an encoder reads."""
    told = getattr(config, "is_decoder", None) is not None and not config.is_encoder_decoder
    return told and bool(classes_of(AutoModelForMaskedLM._model_mapping, type(config)))


def tell(name: str, causal: bool) -> None:
    """Log which way a model reads now."""
    sides = "only those before it" if causal else "those on both sides"
    logger.info("%s: is_decoder is %s now, so that each token sees %s", name, str(causal).lower(), sides)
