"""Predictions for texts: what is given, made batches that a trained model takes."""

import inspect
import itertools
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from ....models.prefixes import prefix_of, tell_unprefixed
from ....models.tokenizer import check_text_model, load_tokenizer
from .agreement import check_token_ids, fitted, padding
from .encoding import UNLIMITED, encode, limit
from .given import Texts
from .padding_read import reads_padding
from .tokens import Padding

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)
check_folder, load_processor = check_text_model, load_tokenizer


def takes(model: "PreTrainedModel") -> bool:
    """Return whether a model's input is a text."""
    return "input_ids" in inspect.signature(model.forward).parameters and model.main_input_name != "pixel_values"


def batches(
    given: Texts,
    tokenizer: "PreTrainedTokenizerBase",
    model: "PreTrainedModel",
    batch_size: int,
    known: tuple[str, ...] = (),
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches of token ids with the ``ids`` of their texts, longest first.

    Where model and tokenizer have no padding in common, texts go one by one; where the model reads padding, those of
    one length go together.

    Args:
        given: texts, or pairs.
        tokenizer: of the model.
        model: that is to be given them.
        batch_size: texts of a batch.
        known: special tokens that a text may hold, such as the mask.

    Raises:
        InputError: texts with tokens that the model has no embeddings for.
    """
    tokenizer = fitted(tokenizer, model)
    prefix = prefix_of(model)
    if not prefix and model.can_generate():
        tell_unprefixed(model.config, given.texts, "write the one of your task before each")
    encoded = encode(tokenizer, [prefix + text for text in given.texts], given.text_pair, known=known)
    check_token_ids(encoded["input_ids"], model, tokenizer)
    longest = limit(tokenizer)
    if full := sum(len(ids) >= (longest or UNLIMITED) for ids in encoded["input_ids"]):
        log.warning("%d of %d texts reach the %s tokens that are read and may be cut", full, len(given.texts), longest)
    pad = padding(model)
    batch_size = 1 if pad is None else batch_size
    values = {"input_ids": pad or 0, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
    multiple = getattr(model.config, "downsampling_rate", 1)  # CANINE takes so many characters together
    collate = Padding(values, tokenizer.padding_side, multiple, limit=2**31)
    rows = [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
    lengths = [len(row["input_ids"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda index: -lengths[index])
    shortest, longest = lengths[order[-1]], lengths[order[0]]
    alike = batch_size > 1 and longest > shortest and reads_padding(model, rows[order[-1]], collate)
    for some in in_batches(order, batch_size, lengths if alike else None):
        yield {**collate([rows[row] for row in some]), "ids": torch.tensor(some)}


def in_batches(order: list[int], batch_size: int, lengths: list[int] | None) -> Iterator[list[int]]:
    """Yield the rows in batches; of one length each, where lengths are given, by which the rows are ordered."""
    for _, group in itertools.groupby(order, key=lengths.__getitem__ if lengths else lambda row: 0):
        rows = list(group)
        yield from (rows[at : at + batch_size] for at in range(0, len(rows), batch_size))
