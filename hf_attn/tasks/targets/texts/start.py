"""How a model's class makes a decoder's inputs of labels: which token it puts before them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

from ....errors import InputError
from ....interface.printable import one_line
from ....models.input_length import plain

if TYPE_CHECKING:
    from torch import nn


def start_token(model: nn.Module, labels: list[int]) -> int:
    """Return the id of the token that a model's class puts before labels.

    mBART's takes the last one, the language; others what their configuration names.

    Args:
        model: an encoder-decoder.
        labels: token ids of a target.

    Raises:
        InputError: the class, or its configuration, does not tell.
    """
    inner: Any = plain(model)
    given = torch.tensor([labels, labels])
    try:
        return int(_shifted(inner, given)[0, 0])
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{type(inner).__name__} does not say what its decoder starts with ({one_line(error)}): give it by "
            "--config_options '{\"decoder_start_token_id\": ID}'"
        ) from None


def _shifted(model: Any, labels: torch.Tensor) -> torch.Tensor:
    if make := getattr(model, "prepare_decoder_input_ids_from_labels", None):
        return make(labels=labels)
    config = model.config
    for cls in type(model).__mro__:
        shift = getattr(sys.modules[cls.__module__], "shift_tokens_right", None)
        if shift:
            return shift(labels, config.pad_token_id, config.decoder_start_token_id)
    if config.decoder_start_token_id is None:
        raise ValueError("decoder_start_token_id is None")
    return torch.full_like(labels, config.decoder_start_token_id)
