"""Beginnings of texts, from which a model goes on: texts that are not ended."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from ...data.columns import listing
from ...errors import InputError
from ...interface.lazy import handed_on
from ...models.framing import start_token
from .text import COLUMNS, FORM
from .text import __all__ as OF_TEXT
from .text.agreement import check_token_ids, fitted
from .text.encoding import UNLIMITED, encode, special_ids
from .text.given import one_each
from .text.parts import TextParts
from .text.parts import parted as text_parted
from .text.unlabelled import split_frame

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from .text.given import Texts

OWN = ("batches", "parted", "read")
__all__ = ["COLUMNS", "FORM", "NOUN", "USAGE", *OWN, *(name for name in OF_TEXT if name not in OWN)]
NOUN = "beginning of a text"
USAGE = """\
texts = hf_attn.predict(model_id, ["a text"])

# the same by transformers alone
from transformers import {auto}, AutoTokenizer, pipeline

model = {auto}.from_pretrained(model_id{trust})
write = pipeline("text-generation", model=model, tokenizer=AutoTokenizer.from_pretrained(model_id))
texts = write("a text")"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, _ = handed_on(__package__, dict.fromkeys(OF_TEXT, "text"))

read = one_each("a model that goes on from a text takes one each")


def batches(given: Texts, tokenizer: Any, model: PreTrainedModel, batch_size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches of prompts with the ``ids`` of their texts: each batch of one length, so that none is padded.

    A prompt begins as texts do in training, and is not ended.

    Raises:
        InputError: prompts that leave no room for an answer, or tokens that the model does not have.
    """
    tokenizer = fitted(tokenizer, model)
    special, start = special_ids(tokenizer), start_token(tokenizer)
    whole = copy.copy(tokenizer)
    whole.model_max_length = UNLIMITED
    rows = []
    for ids in encode(whole, given.texts)["input_ids"]:
        before, own, _ = split_frame(ids, special)
        rows.append((before or [start]) + own)
    check_token_ids(rows, model, tokenizer)
    longest = tokenizer.model_max_length
    full = [row for row, ids in enumerate(rows) if len(ids) >= longest]
    if full:
        raise InputError(
            f"{len(full)} texts fill the {longest:,} tokens that the model takes (rows {listing(full)}, from 0): "
            "nothing can be added; shorten them"
        )
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(rows):
        by_length.setdefault(len(ids), []).append(row)
    for length in sorted(by_length, reverse=True):
        some = by_length[length]
        for at in range(0, len(some), batch_size):
            chosen = some[at : at + batch_size]
            prompts = torch.tensor([rows[row] for row in chosen])
            yield {"input_ids": prompts, "attention_mask": torch.ones_like(prompts), "ids": torch.tensor(chosen)}


def parted(model: PreTrainedModel, tokenizer: Any, text: Any, text_pair: str | None = None, **how: Any) -> TextParts:
    """Return a text in parts, as :func:`.text.parted` does, begun as texts are in training, and not ended."""
    found = text_parted(model, tokenizer, text, **how)
    longest = fitted(tokenizer, model).model_max_length
    if found.batch["input_ids"].shape[1] >= longest:
        raise InputError(
            f"the text fills the {longest:,} tokens that the model takes: nothing can be added; shorten it"
        )
    before, own, _ = split_frame(found.batch["input_ids"][0].tolist(), special_ids(tokenizer))
    own_tokens = slice(len(before), len(before) + len(own))
    return found.between(own_tokens, before or [start_token(tokenizer)], names=tokenizer.convert_ids_to_tokens)
