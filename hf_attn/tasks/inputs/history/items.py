"""The items of a run: their texts as tokens, and as states of the encoder, computed once where that is frozen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from ....attention.modeling_history import keys_of
from ....interface import progress
from ....training.evaluation import in_order, run
from ..text.encoding import encode
from ..text.prediction import in_batches
from ..text.tokens import Padding

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

AT_ONCE = 128
"""Texts of a forward pass."""


@dataclass(frozen=True)
class Catalogue:
    """The items that rows name by number.

    Attributes:
        tokens: of each item, lists by name, as of :func:`text.encoding.encode`.
        padding: makes a batch of some of them.
        keys: (items,) int64, by which the model knows them.
        states: (items, channels) of the encoder; None where it is trained, so that they change.
    """

    tokens: dict[str, list[list[int]]]
    padding: Padding
    keys: Tensor
    states: Tensor | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def some(self, numbers: np.ndarray) -> dict[str, Tensor]:
        """Return what the model takes of these items: states and keys, or tokens."""
        if self.states is not None:
            chosen = torch.from_numpy(numbers)
            return {"item_states": self.states[chosen], "item_keys": self.keys[chosen]}
        return self.padding([{name: rows[at] for name, rows in self.tokens.items()} for at in numbers.tolist()])

    def __iter__(self) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Yield numbers and tokens of all items, the longest first; texts of one length together, without padding."""
        lengths = [len(ids) for ids in self.tokens["input_ids"]]
        order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
        for numbers in in_batches(order, AT_ONCE, lengths):
            yield numbers, self.padding([{n: rows[one] for n, rows in self.tokens.items()} for one in numbers])


def catalogue(texts: Sequence[str], tokenizer: Any, max_length: int | None = None) -> Catalogue:
    """Return the tokens of items.

    Args:
        texts: of the items.
        tokenizer: of the model.
        max_length: tokens of a text; the tokenizer's by default.

    Raises:
        InputError: a text of which no token is left.
    """
    tokens = encode(tokenizer, list(texts), None, max_length)
    values = {"input_ids": tokenizer.pad_token_id or 0, "attention_mask": 0}
    values |= {"token_type_ids": tokenizer.pad_token_type_id} if "token_type_ids" in tokens else {}
    made = Catalogue(
        tokens, Padding(values, tokenizer.padding_side, 1, 2**31), torch.zeros(len(texts), dtype=torch.int64)
    )
    for numbers, batch in made:
        made.keys[numbers] = keys_of(batch["input_ids"], batch.get("attention_mask"))
    return made


def with_states(made: Catalogue, model: PreTrainedModel, accelerator: Accelerator | None = None) -> Catalogue:
    """Return a catalogue with the states of its items: the encoder runs once over each text.

    Args:
        made: of the tokens.
        model: whose encoder it is, on its device.
        accelerator: of a run, whose precision it takes and whose first process shows how far it is.
    """
    batches: Any = [{**batch, "ids": torch.tensor(numbers)} for numbers, batch in made]
    if accelerator is not None:
        batches = progress.bar(batches, desc="items", disable=not accelerator.is_main_process, leave=False)
    precision = None if accelerator is None else accelerator.autocast()

    def encode(model: Any, batch: dict[str, Tensor]) -> Tensor:
        return cast("Tensor", model.encode(**batch))

    found = in_order(run(model, batches, model.device, encode, precision))
    return replace(made, states=torch.from_numpy(found.outputs))
