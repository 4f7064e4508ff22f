"""How many tokens an input of a model may have: what its positions, its tokenizer and the user allow."""

from __future__ import annotations

import re
from typing import Any

import torch
from transformers import EncoderDecoderModel, PreTrainedModel, PreTrainedTokenizerBase

UNLIMITED = 10**6
"""A tokenizer's ``model_max_length`` from here on says that nobody stated one."""
POSITIONS = re.compile(r"(^|\.)(char_)?(position_embeddings|embed_positions|positions_embed|wpe|pos_encoding)$")
"""Tables of absolute positions; those of relative ones have other names, and set no limit."""


def longest_input(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None
) -> int | None:
    """Return how many tokens an input may have, special ones included; None where nothing sets a limit.

    The least of what was asked for, what the tokenizer states and the positions that the model has. A model whose
    positions are computed or relative runs beyond ``max_position_embeddings``: that is its limit only where nothing
    else is stated.

    Args:
        model: whose positions count.
        tokenizer: whose ``model_max_length`` counts, if it was stated.
        max_length: what was asked for.
    """
    model = half(model, "encoder")
    stated = tokenizer.model_max_length if tokenizer.model_max_length < UNLIMITED else None
    known = [limit for limit in (max_length, stated, positions(model)) if limit is not None]
    return int(min(known)) if known else nominal_length(model)


def nominal_length(model: PreTrainedModel) -> int | None:
    """Return ``max_position_embeddings`` of a configuration, which binds only models with a table of positions."""
    nominal = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return nominal if isinstance(nominal, int) and 0 < nominal < UNLIMITED else None


def positions(model: PreTrainedModel) -> int | None:
    """Return for how many tokens a model has absolute positions; None where they are relative or computed."""
    tables = position_tables(model)
    limits = [rows(table) - first_position(table) for table in tables if rows(table)]
    for owner in plain(model).modules():
        for name in ("embed_positions", "pos_encoding"):  # GPT-J's and CTRL's, which are no modules
            table = {**vars(owner), **owner._buffers}.get(name)
            limits += [len(table)] if torch.is_tensor(table) and table.ndim == 2 else []
    nominal = nominal_length(model)
    if nominal is not None and (tables or limits):
        limits.append(nominal)
    if not limits:
        return None
    config = model.config.get_text_config()
    block = config.block_size if getattr(config, "attention_type", "") == "block_sparse" else 1  # BigBird fills blocks
    return min(limits) // block * block or min(limits)


def position_tables(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Return a model's tables of absolute positions."""
    return [module for name, module in plain(model).named_modules() if POSITIONS.search(name)]


def rows(table: torch.nn.Module) -> int:
    """Return the rows of an embedding; 0 where it is none."""
    weight = getattr(table, "weight", None)
    return len(weight) if weight is not None and weight.ndim == 2 else 0


def first_position(table: torch.nn.Module) -> int:
    """Return the row of the first token: RoBERTa's positions begin after that of its padding, BART's after two."""
    padding = getattr(table, "padding_idx", None)
    return int(getattr(table, "offset", 0) if padding is None else padding + 1)


def half(model: Any, name: str) -> PreTrainedModel:
    """Return the ``encoder`` or ``decoder`` of a model made of two, each with positions of its own; any other whole."""
    model = plain(model)
    return getattr(model, name) if isinstance(model, EncoderDecoderModel) else model  # type: ignore[no-any-return]


def plain(model: Any) -> PreTrainedModel:
    """Return the model inside PEFT's wrapper; any other as it is."""
    inside = getattr(model, "get_base_model", None)
    return model if inside is None else inside()


def embedding_rows(model: PreTrainedModel) -> int | None:
    """Return for how many token ids a model has embeddings; None where it computes them (CANINE)."""
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        return None
    return rows(table) or None if isinstance(table, torch.nn.Module) else None
