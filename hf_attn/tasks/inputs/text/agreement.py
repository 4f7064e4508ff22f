"""Tokenizer and model brought together: what one has and the other lacks is made the same, or said in one line."""

from __future__ import annotations

import copy
import inspect
import logging
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ....errors import InputError
from ....models.input_length import (
    embedding_rows,
    half,
    longest_input,
    nominal_length,
    plain,
    position_tables,
    positions,
)
from .padding_read import tell_if_padding_is_read

logger = logging.getLogger(__name__)

SAVED = ("padding_side", "model_input_names", "split_special_tokens")
"""Settings that a tokenizer keeps when it is saved only if it was made with them."""

_copies: WeakKeyDictionary[PreTrainedTokenizerBase, PreTrainedTokenizerBase] = WeakKeyDictionary()


def bring_together(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None, *, kept: bool = True
) -> PreTrainedTokenizerBase:
    """Make model and tokenizer agree before training, both in place, and say in the log what was changed.

    Padding token and side, the longest input, rows for tokens that were added to the tokenizer, and the end token that
    encoder-decoders classify by. What is set is saved with both. A model that reads padding is told of.

    Args:
        model: with its head; not yet frozen or adapted.
        tokenizer: of its checkpoint.
        max_length: tokens of an input; None is the model's own limit.
        kept: whether inputs are of no more tokens afterwards; else ``max_length`` is of training alone.

    Returns:
        The tokenizer.

    Raises:
        InputError: all that cannot be made to agree.
    """
    wrong = vocabulary_faults(model, tokenizer) + end_faults(model, tokenizer)
    if tokenizer.pad_token_id is None:
        token = padding_token(model, tokenizer)
        if token is None:
            wrong.append(
                "the tokenizer has no padding token, and none that could serve as one: set tokenizer.pad_token"
            )
        else:
            logger.info("the tokenizer has no padding token: %r serves as one", token)
            tokenizer.pad_token = token
    if wrong:
        raise InputError(f"{tokenizer.name_or_path}: " + "; ".join(wrong))
    fit(tokenizer, model, max_length, kept=kept)
    add_rows(model, tokenizer)
    config = reading(model)
    if config.pad_token_id != tokenizer.pad_token_id and not counts_positions_by_padding(model):
        if config.pad_token_id is not None:
            logger.info("padding token %s of config.json is now %s", config.pad_token_id, tokenizer.pad_token_id)
        config.pad_token_id = tokenizer.pad_token_id
        if half(model, "encoder") is plain(model):  # a decoder apart has padding of its own
            model.config.pad_token_id = tokenizer.pad_token_id
    tell_if_padding_is_read(model, tokenizer)
    return tokenizer


def fitted(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """Return the tokenizer as a model needs it, as a copy where anything has to be set; the model is left as it is."""
    changes = settings(tokenizer, model, None)
    if all(getattr(tokenizer, name) == value for name, value in changes.items()):
        return tokenizer
    made = _copies.get(tokenizer)
    if made is None or len(made) != len(tokenizer) or any(getattr(made, name) != changes[name] for name in changes):
        made = _copies[tokenizer] = fit(copy.deepcopy(tokenizer), model, None)
    return made


def fit(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, max_length: int | None, *, kept: bool = True
) -> PreTrainedTokenizerBase:
    """Set the tokenizer's longest input, side of padding and kinds of input to what the model takes, in place."""
    changes = settings(tokenizer, model, max_length)
    longest = changes["model_max_length"]
    if max_length is not None and longest < max_length:
        of_model = positions(half(model, "encoder")) == longest
        who = "the model takes" if of_model else "model_max_length of its tokenizer is"
        logger.info("at most %d tokens were asked for: %s %d", max_length, who, longest)
    elif max_length is not None and longest > (nominal_length(model) or longest):
        logger.info("max_length %d is more than the %d tokens the model is made for", max_length, nominal_length(model))
    if not kept:
        changes["model_max_length"] = max(longest, settings(tokenizer, model, None)["model_max_length"])
    for name, value in changes.items():
        setattr(tokenizer, name, value)
        if name in SAVED:
            tokenizer.init_kwargs[name] = value
    return tokenizer


def settings(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, max_length: int | None) -> dict[str, Any]:
    """Return what a tokenizer must have for the model."""
    longest = longest_input(model, tokenizer, max_length)
    found: dict[str, Any] = {
        "padding_side": padding_side(model),
        "model_input_names": input_names(model, tokenizer),
        "model_max_length": tokenizer.model_max_length if longest is None else longest,
    }
    return found | ({"split_special_tokens": True} if getattr(tokenizer, "is_fast", False) else {})


def reading(model: PreTrainedModel) -> PreTrainedConfig:
    """Return the configuration of what reads texts: of a model made of two, the encoder's."""
    return half(model, "encoder").config.get_text_config()


def counts_positions_by_padding(model: PreTrainedModel) -> bool:
    """Whether positions are counted from the tokens that are no padding, as RoBERTa's are."""
    return any(getattr(table, "padding_idx", None) is not None for table in position_tables(half(model, "encoder")))


def padding_side(model: PreTrainedModel) -> str:
    """Return where padding never changes what a model says: on the right, but for heads that read the last place."""
    return "left" if getattr(model.config, "summary_type", "") == "last" else "right"


def input_names(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return which of a tokenizer's outputs the model takes; token types only where it has embeddings for two."""
    parameters = inspect.signature(plain(model).forward).parameters
    config = reading(model)
    types = getattr(config, "type_vocab_size", 2 if config.model_type.endswith("xlnet") else 0)
    takes = [name for name in tokenizer.model_input_names if name in parameters]
    return [name for name in takes if name != "token_type_ids" or types > 1]


def padding_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return a token that can pad: the one that the configuration names, else the end, the unknown or the start one."""
    names = vocabulary_size(tokenizer)
    stated = reading(model).pad_token_id
    if isinstance(stated, int) and 0 <= stated < names:
        return str(tokenizer.convert_ids_to_tokens(stated))
    counted = [tokenizer.eos_token] if counts_ends(model) else []
    found = (tokenizer.eos_token, tokenizer.unk_token, tokenizer.sep_token, tokenizer.bos_token)
    return next((str(token) for token in found if token and token not in counted), None)


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the greatest token id and one."""
    return max(len(tokenizer), max(tokenizer.added_tokens_decoder, default=-1) + 1)


def vocabulary_faults(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return why the tokenizer cannot be this model's; say what only makes it unlikely."""
    known, own = embedding_rows(model), vocabulary_size(tokenizer)
    if known is None:
        return []
    added = set(tokenizer.added_tokens_decoder)
    if any(token not in added for token in range(known, own)):
        return [f"the tokenizer has {own:,} tokens and the model {known:,}: it is the tokenizer of another model"]
    pads = reading(model).pad_token_id, tokenizer.pad_token_id
    if own < 0.9 * known:
        logger.warning("the tokenizer has %s tokens and the model %s: is it this model's?", f"{own:,}", f"{known:,}")
    elif None not in pads and pads[0] != pads[1] and counts_positions_by_padding(model):
        logger.warning("the model pads with token %s, the tokenizer with %s: is it this model's?", *pads)
    return []


def add_rows(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give tokens that were added to the tokenizer rows of their own, drawn like those that are there."""
    known, own = embedding_rows(model), vocabulary_size(tokenizer)
    if known is not None and own > known:
        model.resize_token_embeddings(own)
        logger.info("%d tokens were added to the tokenizer: the model has rows for them now, untrained", own - known)


def padding(model: PreTrainedModel) -> int | None:
    """Return the token id that a trained model knows as padding; None where it has none that it can embed."""
    pad, known = reading(model).pad_token_id, embedding_rows(model)
    return pad if isinstance(pad, int) and 0 <= pad < (known or pad + 1) else None


def check_token_ids(ids: list[list[int]], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse token ids that a trained model has no embeddings for.

    Raises:
        InputError: the tokenizer is another model's, or has tokens that were added after training.
    """
    known = embedding_rows(model)
    beyond = [] if known is None else [(row, i) for row, row_ids in enumerate(ids) for i in row_ids if i >= known]
    if beyond:
        (row, number), token = beyond[0], tokenizer.convert_ids_to_tokens(beyond[0][1])
        raise InputError(
            f"text {row} has the token {token!r} ({number}) and the model embeds {known:,} tokens, the tokenizer has "
            f"{vocabulary_size(tokenizer):,}: give the tokenizer that the model was trained with"
        )


def counts_ends(model: PreTrainedModel) -> bool:
    """Whether a head classifies by the end token, as those of BART and T5 do."""
    return bool(model.config.is_encoder_decoder) and "ForSequenceClassification" in type(plain(model)).__name__


def end_faults(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return what is wrong with the end token of an encoder-decoder; ``config.eos_token_id`` follows the tokenizer."""
    if not counts_ends(model):
        return []
    end, added = model.config.eos_token_id, tokenizer("")["input_ids"]
    if end in added:
        return (
            [] if tokenizer.pad_token_id != end else [f"padding and end are one token ({end}): set tokenizer.pad_token"]
        )
    if tokenizer.eos_token_id in added:
        model.config.eos_token_id = tokenizer.eos_token_id
        return []
    return [f"the tokenizer puts no end token ({end}) after a text, and {type(model).__name__} classifies by it"]
