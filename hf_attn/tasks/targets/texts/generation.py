"""What a model writes: token ids of one text a row, as its GenerationConfig says."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....training.randomness import random_state_kept
from ..generation import ONE_TEXT, check, generate, put

if TYPE_CHECKING:
    from torch import nn
    from transformers import GenerationConfig

    from ....training.step import Batch

GREEDY: dict[str, Any] = {"num_beams": 1, "do_sample": False}


def outputs(model: nn.Module, inputs: Batch, generation: GenerationConfig | None = None) -> list[np.ndarray]:
    """Return the token ids that a model writes for each row, without start, end and padding.

    Weights are taken as they are, outside autocast, so that a run scores what :func:`hf_attn.predict` will give.

    Args:
        model: an encoder-decoder.
        inputs: what its encoder reads.
        generation: how; None is as the model's own says.
    """
    config: Any = generation or model.generation_config
    given = {name: value for name, value in inputs.items() if not name.startswith("decoder_")}
    seed = getattr(config, "seed", None)
    with random_state_kept(), torch.autocast(given["input_ids"].device.type, enabled=False):
        if config.do_sample and seed is not None:
            torch.manual_seed(seed)
        found = generate(model, given, config)
    return [_own(row, config) for row in found.cpu().numpy()]


def _own(row: np.ndarray, config: Any) -> np.ndarray:
    """The ids of a text alone."""
    written = row[1:] if config.decoder_start_token_id is not None else row
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    at = np.flatnonzero(np.isin(written, [end for end in ends if end is not None]))
    written = written[: at[0]] if len(at) else written
    return written[written != config.pad_token_id].astype(np.int64)


def configured(
    model: Any, asked: dict[str, Any], *, start: int, end: int, longest: int, first: int | None, seed: int
) -> GenerationConfig:
    """Return a model's GenerationConfig with what was asked for.

    Args:
        model: an encoder-decoder.
        asked: fields of the configuration.
        start: id of the token that the decoder starts with.
        end: id of the token that ends a text.
        longest: tokens of a text where nothing else is asked for.
        first: id of the token that a text starts with, by its language; None leaves the model's own.
        seed: of sampling.

    Raises:
        InputError: what does not go together.
    """
    config: GenerationConfig = copy.deepcopy(model.generation_config)
    config._from_model_config = False
    values = {"max_new_tokens": longest, **asked, **ONE_TEXT, "max_length": None, "decoder_start_token_id": start}
    if "min_new_tokens" in asked:
        values["min_length"] = None
    if first is not None:
        values["forced_bos_token_id"] = first
    if config.eos_token_id is None:
        values["eos_token_id"] = end
    if config.pad_token_id is None:
        values["pad_token_id"] = model.config.pad_token_id
    put(config, values)
    if config.do_sample:
        put(config, {"seed": seed})
    check(model, config)
    return config


def greedy(config: GenerationConfig) -> GenerationConfig:
    """Return the same that takes the most probable token each time, which is fast."""
    made = copy.deepcopy(config)
    put(made, GREEDY)
    return made
