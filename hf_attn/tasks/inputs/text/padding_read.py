"""Models whose answer for a text changes with padding, whatever the attention mask says: FNet and others."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ....attention.modes import evaluation_mode
from ....training.randomness import random_state_kept
from .encoding import encode
from .tokens import Padding, collate

logger = logging.getLogger(__name__)

PROBES = ("a", "a short text")
"""Texts that a model is asked about: what padding changes at the end of one may not reach its answer."""
MORE = 8
"""Tokens of padding that a model is tried with."""
SAME = {torch.float32: 1e-3, torch.float64: 1e-3}
"""How far apart, as a share of the greatest output, two answers may be that rounding alone keeps apart; else 0.03."""


def reads_padding(model: PreTrainedModel, row: dict[str, list[int]], padding: Padding) -> bool:
    """Whether a model says something else of a row once it is padded; it is asked, in evaluation mode.

    Args:
        model: with a head, or an encoder alone.
        row: token ids and what goes with them, of one text.
        padding: pads as the model's batches are padded.

    Returns:
        False as well where the model cannot take the row.
    """
    width = -(-(len(row["input_ids"]) + MORE) // padding.multiple) * padding.multiple
    longer = replace(padding, multiple=width)
    with evaluation_mode(model), torch.inference_mode(), random_state_kept():
        try:
            alone, padded = (
                _said(model(**{name: tensor.to(model.device) for name, tensor in made([row]).items()})).double()
                for made in (padding, longer)
            )
        except (RuntimeError, ValueError, IndexError):
            return False
    if alone.dim() == 3:  # an answer for each token: those of the row itself are compared
        tokens = alone.shape[1]
        padded = padded[:, -tokens:] if padding.side == "left" else padded[:, :tokens]
    return bool((alone - padded).abs().max() > SAME.get(model.dtype, 0.03) * alone.abs().max() + 1e-5)


def _said(found: Any) -> torch.Tensor:
    """What a model says: its logits, those that a part begins and ends at each token, or an encoder's states."""
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits], -1)
    said: torch.Tensor = found.logits if hasattr(found, "logits") else found.last_hidden_state
    return said


def tell_if_padding_is_read(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Warn, before training, of a model whose answers change with padding."""
    padding = collate(tokenizer, getattr(model.config, "downsampling_rate", 1))
    columns = encode(tokenizer, list(PROBES))
    rows = [{name: values[at] for name, values in columns.items()} for at in range(len(PROBES))]
    if any(reads_padding(model, row, padding) for row in rows):
        logger.warning(
            "%s reads padding: what it says of a text changes with the longer texts of its batch. Scores in training "
            "hold for batches of like length; hf_attn.predict gives it texts of one length at a time",
            type(model).__name__,
        )
