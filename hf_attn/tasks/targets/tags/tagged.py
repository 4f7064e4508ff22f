"""What a model says of the words of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from torch import Tensor, nn

from ....training.step import Batch, model_inputs
from ...windows import NONE, Window, answering
from .layouts import Layout


@dataclass(frozen=True)
class Tagged:
    """Logits of the words of a text, or of those that one window of it answers for.

    Attributes:
        numbers: (answered,) of the words.
        logits: (answered, tags) float32.
        places: (answered,) of the first token of each word in its window.
        ends: (answered,) character behind the last token of each word.
        text: the text; None where this is a window behind its first.
        spans: (words, 2) characters of all words of the text.
    """

    numbers: np.ndarray
    logits: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    text: str | None = None
    spans: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @classmethod
    def joined(cls, items: Sequence[Tagged]) -> Tagged:
        """Return a text of its windows: each word is answered in one of them, where it has most context."""
        first = next(item for item in items if item.text is not None)
        numbers = np.concatenate([item.numbers for item in items])
        order = np.argsort(numbers)
        logits, places, ends = (
            np.concatenate([getattr(item, name) for item in items])[order] for name in ("logits", "places", "ends")
        )
        return cls(numbers[order], logits, places, ends, first.text, first.spans)

    @cached_property
    def table(self) -> np.ndarray:
        """(words, tags) logits; NaN for a word that no token begins in."""
        found = np.full((len(self.spans), self.logits.shape[-1]), np.nan)
        found[self.numbers] = self.logits
        return found

    @cached_property
    def words(self) -> list[str]:
        """The words of the text."""
        text = self.text or ""
        return [text[start:end] for start, end in self.spans.tolist()]

    @cached_property
    def log_probabilities(self) -> np.ndarray:
        """(words, tags) logarithms of probabilities, float64; NaN as in :attr:`table`."""
        shifted = self.table - self.table.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @cached_property
    def by(self) -> np.ndarray:
        """(words,) the word whose tokens answer for each, as of :func:`hf_attn.tasks.windows.answering`."""
        return answering(self.numbers, self.ends, self.spans)

    def tags(self, layout: Layout | None, none: int = NONE) -> np.ndarray:
        """(words,) number of the tag of each word.

        A word that shares a token with the one before it goes on with its entity, or has its tag where tags say no
        entities. One without any token is outside of entities, or has ``none``.
        """
        said = np.where(np.isnan(self.table), 0, self.table).argmax(axis=1)[self.by]
        return layout.spread(said, self.by) if layout else np.where(self.by >= 0, said, none)


def outputs(model: nn.Module, inputs: Batch) -> Tensor | list[Tagged]:
    """Return what a model says of the words of each window of a batch: the logits of their first tokens.

    Where the batch has no ``window`` that says where they stand, all logits: (rows, tokens x tags).
    """
    found = model(**model_inputs(inputs)).logits
    if "window" not in inputs:
        return found.flatten(1)
    logits = found.float().cpu().numpy()
    mask = inputs.get("attention_mask")
    lefts = [False] * len(logits) if mask is None else (mask[:, 0] == 0).tolist()
    items = []
    for row, column, padded_left in zip(logits, inputs["window"], lefts, strict=True):
        window = Window.of(column)
        tokens, firsts = row[len(row) - len(window.places) :] if padded_left else row, window.firsts
        items.append(Tagged(window.words[firsts], tokens[firsts], firsts, window.ends, window.text, window.spans))
    return items
