"""Several texts in one row of a batch: masks that keep them apart, and which models honour them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..attention.modes import evaluation_mode
from .input_length import plain, position_tables

SAME = {torch.float32: 1e-3, torch.float64: 1e-3}
"""How far apart, as a share of the greatest logit, two answers may be that rounding alone keeps apart; else 0.03."""
SHORT = 4
"""Tokens of the short texts that a model is tried with, before and after a long one."""

MaskForm = Literal["bool", "float"]


@dataclass(frozen=True)
class Packing:
    """How a model takes several texts a row.

    Attributes:
        causal: whether a token sees only what stands before it.
        form: of the mask, (rows, 1, tokens, tokens): True where a token may see another, or 0 there and else the least
            number there is.
        positions: whether the model is given positions; where it counts none of its own, it needs none.
    """

    causal: bool = False
    form: MaskForm = "bool"
    positions: bool = True

    def __call__(self, inputs: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Return what a model takes, of a batch with ``segments``, (rows, tokens) numbers of the texts, 0 is padding.

        Attention is block-diagonal: a token sees those of its own text alone. Padding sees padding, so that no row of
        the mask is empty.
        """
        found = {name: value for name, value in inputs.items() if name not in ("segments", "position_ids")}
        segments = inputs["segments"]
        keep = segments[:, None, :, None] == segments[:, None, None, :]
        if self.causal:
            keep = keep.tril()
        least = torch.zeros((), dtype=dtype).new_full((), torch.finfo(dtype).min).to(segments.device)
        mask = keep if self.form == "bool" else torch.where(keep, torch.zeros_like(least), least)
        return {**found, "attention_mask": mask, **({"position_ids": inputs["position_ids"]} if self.positions else {})}


def first_position_of(model: nn.Module) -> int:
    """Return the position of a text's first token as ``position_ids`` count it: RoBERTa's follow that of padding."""
    found = [getattr(table, "padding_idx", None) for table in position_tables(plain(model))]
    return max((number + 1 for number in found if number is not None), default=0)


def packing_of(model: PreTrainedModel, tokens: Iterable[int], length: int, *, causal: bool) -> Packing | None:
    """Return how a model takes several texts a row, found by trying; None where it mixes them, whatever it is given.

    Three texts are given in one row, and each alone: what a model says of a text must be the same. It is tried at the
    whole ``length``, where windows of attention and relative positions would show.

    Args:
        model: with a head that gives logits for each token.
        tokens: ids of ordinary tokens to make the texts of.
        length: tokens of a row.
        causal: whether a token may see only what stands before it.
    """
    if length < 3 * SHORT:
        return None
    ordinary = torch.tensor(list(tokens))
    drawn = ordinary[torch.randint(len(ordinary), (length,), generator=torch.Generator().manual_seed(0))]
    texts = drawn.to(model.device).split([SHORT, length - 2 * SHORT, SHORT])
    try:
        alone = [logits_of(model, input_ids=text[None], attention_mask=torch.ones_like(text)[None]) for text in texts]
    except (RuntimeError, ValueError, IndexError, TypeError):
        return None
    inputs = together(texts, first_position_of(model))
    named = inspect.signature(plain(model).forward).parameters
    forms: tuple[MaskForm, ...] = ("bool", "float")
    for packing in (Packing(causal, form, positions) for positions in (True, False) for form in forms):
        if packing.positions and "position_ids" not in named:
            continue
        try:
            found = logits_of(model, **packing(inputs, model.dtype))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError, KeyError):
            continue
        if found.shape[1] == length and all(map(alike, found[0].split([len(text) for text in texts]), alone)):
            return packing
    return None


def together(texts: Iterable[Tensor], first: int = 0) -> dict[str, Tensor]:
    """Return one row of token ids, with the number of each token's text and its position there."""
    numbered = [(text, torch.full_like(text, number)) for number, text in enumerate(texts, start=1)]
    places = [torch.arange(len(text), device=text.device) + first for text, _ in numbered]
    columns = {"input_ids": [text for text, _ in numbered], "segments": [number for _, number in numbered]}
    return {name: torch.cat(parts)[None] for name, parts in {**columns, "position_ids": places}.items()}


def looks_ahead(model: PreTrainedModel, tokens: Iterable[int], length: int = 8) -> bool:
    """Return whether what a model says of a token changes with those after it."""
    ordinary = torch.tensor(list(tokens))
    text, other = ordinary[torch.randint(len(ordinary), (2, length), generator=torch.Generator().manual_seed(0))]
    other = torch.cat([text[: length // 2], other[length // 2 :]])
    one, two = (logits_of(model, input_ids=ids[None].to(model.device))[0, : length // 2] for ids in (text, other))
    return not alike(one, two)


def logits_of(model: PreTrainedModel, **inputs: Any) -> Tensor:
    """Return the logits of a model in evaluation mode, (rows, tokens, vocabulary)."""
    with evaluation_mode(model), torch.no_grad():
        found: Tensor = model(**inputs).logits
    return found.float()


def alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two logits, float32, differ by rounding alone."""
    limit = SAME.get(one.dtype, 0.03)
    return bool((one - other).abs().max() <= limit * other.abs().max() + 1e-5)
