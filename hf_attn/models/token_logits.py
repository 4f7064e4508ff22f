"""Logits of some tokens alone: a vocabulary is wide, and most tokens of a masked text are not predicted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .input_length import plain


def logits_at(model: nn.Module, inputs: dict[str, Tensor], where: Tensor) -> Tensor:
    """Return the logits of the tokens ``where``, (chosen, vocabulary), in their order.

    The head sees the states of these tokens alone; a model whose head does not stand on the states of its base model
    gives all logits, of which these are taken.

    Args:
        model: with a head that gives logits for each token; wrapped by accelerate or PEFT, or not.
        inputs: of the model.
        where: (rows, tokens) bool.
    """
    inner: Any = plain(getattr(model, "module", model))
    with only(inner, where):
        logits: Tensor = model(**inputs).logits
    return logits[where] if logits.shape[:2] == where.shape else logits[0]


@contextmanager
def only(model: PreTrainedModel, where: Tensor) -> Iterator[None]:
    """Let the base model of a model give its head the states of the tokens ``where``, as one row."""
    base = model.base_model
    if base is model or where.sum() == where.numel():
        yield
        return

    def chosen(_: nn.Module, __: Any, output: Any) -> Any:
        states = output[0]
        if not torch.is_tensor(states) or states.shape[:2] != where.shape:
            return output
        output["last_hidden_state"] = states[where][None]
        return output

    handle = base.register_forward_hook(chosen)
    try:
        yield
    finally:
        handle.remove()
