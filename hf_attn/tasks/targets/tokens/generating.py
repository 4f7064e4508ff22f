"""Text that a causal model generates."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ....attention.modes import evaluation_mode
from ....models.input_length import longest_input, positions
from ....training.randomness import random_state_kept
from ..generation import ONE_TEXT, check, generate, put

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

MORE = 64
"""Tokens that are generated where nothing else is said."""


def continued(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, begun: Sequence[int], **options: Any
) -> list[int]:
    """Return the token ids that follow some, greedily; for samples."""
    longest = longest_input(model, tokenizer)
    if longest is not None:
        options["max_new_tokens"] = min(options["max_new_tokens"], longest - len(begun))
    ids = torch.tensor([list(begun)], device=model.device)
    plain = {"do_sample": False, "num_beams": 1, **options}
    with evaluation_mode(model), torch.no_grad():
        found: Any = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **plain)  # type: ignore[operator]
    return found[0, ids.shape[1] :].tolist()


def generated(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[list[int]]:
    """Return the token ids that follow each prompt of a batch, without the end and what comes after it.

    The model's ``generation_config`` says how; sampling draws from its ``seed``, and leaves the random state as it was.

    Args:
        model: a causal one.
        inputs: ``input_ids``, (rows, tokens), none of them padding, and ``attention_mask``.
    """
    plain: Any = model
    config = copy.deepcopy(plain.generation_config)
    length = inputs["input_ids"].shape[1]
    known = [limit for limit in (getattr(config, "most_tokens", None), positions(plain)) if limit is not None]
    asked = config.max_new_tokens or MORE
    config.max_new_tokens = min([asked, *(limit - length for limit in known)])
    config.max_length = None
    with random_state_kept(), torch.autocast(inputs["input_ids"].device.type, enabled=False):
        torch.manual_seed(getattr(config, "seed", None) or 0)
        found = generate(plain, inputs, config)
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    rows = []
    for row in found[:, length:].tolist():
        stop = next((at for at, token in enumerate(row) if token in ends), len(row))
        rows.append(row[:stop])
    if config.max_new_tokens < asked and any(len(row) == found.shape[1] - length for row in rows):  # no end
        _tell(length + config.max_new_tokens, asked)
    return rows


@functools.cache
def _tell(limit: int, asked: int) -> None:
    told = "texts end at the %d tokens that the model takes, prompt included, before they have max_new_tokens %d more"
    log.warning(told, limit, asked)


def configure(model: Any, asked: Mapping[str, Any], *, start: int, end: int, pad: int, longest: int, seed: int) -> None:
    """Set how a model generates, which is saved with it.

    Args:
        model: a causal one, in place.
        asked: fields of GenerationConfig.
        start: id of the token that a text begins with.
        end: id of the token that ends a text.
        pad: id of padding.
        longest: tokens that the model takes.
        seed: of sampling.

    Raises:
        InputError: what does not go together.
    """
    config = copy.deepcopy(model.generation_config)
    config._from_model_config = False
    values = {"max_new_tokens": MORE, "bos_token_id": start, "eos_token_id": end, "pad_token_id": pad}
    put(config, {**values, **asked, **ONE_TEXT, "max_length": None, "most_tokens": longest, "seed": seed})
    check(model, config)
    model.generation_config = config
