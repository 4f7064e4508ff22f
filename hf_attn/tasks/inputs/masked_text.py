"""Texts with masks, in whose place a model says words: texts but for the mask, which is read as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...data.columns import listing
from ...errors import InputError
from ...interface.lazy import handed_on
from .text import COLUMNS, FORM
from .text import __all__ as OF_TEXT
from .text.given import one_each
from .text.parts import TextParts
from .text.parts import parted as text_parted
from .text.prediction import batches as text_batches

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from .text.given import Texts

OWN = ("batches", "parted", "read")
__all__ = ["COLUMNS", "FORM", "NOUN", "USAGE", *OWN, *(name for name in OF_TEXT if name not in OWN)]
NOUN = "text with a mask"
USAGE = """\
from transformers import AutoTokenizer

mask = AutoTokenizer.from_pretrained(model_id).mask_token
answers = hf_attn.predict(model_id, [f"a {{mask}} text"])

# the same by transformers alone
from transformers import {auto}, pipeline

model = {auto}.from_pretrained(model_id{trust})
fill = pipeline("fill-mask", model=model, tokenizer=AutoTokenizer.from_pretrained(model_id))
answers = fill(f"a {{mask}} text")"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, _ = handed_on(__package__, dict.fromkeys(OF_TEXT, "text"))

read = one_each("a model of masks takes one text each")


def batches(given: Texts, tokenizer: Any, model: PreTrainedModel, batch_size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Yield batches of token ids with the ``ids`` of their texts, longest first.

    Raises:
        InputError: texts without a mask, or whose mask is cut away.
    """
    mask = tokenizer.mask_token
    lacking = [row for row, text in enumerate(given.texts) if mask not in text]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {len(given.texts)} texts have no {mask} (rows {listing(lacking)}, from 0): put it "
            "where a word is wanted"
        )
    for batch in text_batches(given, tokenizer, model, batch_size, known=(mask,)):
        masks = batch["input_ids"] == tokenizer.mask_token_id
        cut = batch["ids"][~masks.any(1)].tolist()
        if cut:
            raise InputError(
                f"the {mask} of {len(cut)} texts is beyond what the model takes (rows {listing(cut)}, from 0)"
            )
        yield {**batch, "masks": masks}


def parted(model: PreTrainedModel, tokenizer: Any, text: Any, text_pair: str | None = None, **how: Any) -> TextParts:
    """Return a text in parts, as :func:`.text.parted` does; its masks are none."""
    return text_parted(model, tokenizer, text, **how, known=(tokenizer.mask_token,))
