"""What a model says of a question: how probable it is that the answer begins, and ends, at each token."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ....errors import InputError
from ....training.step import Batch, model_inputs
from ...windows import Window


class Candidate(NamedTuple):
    """A part of the context: logarithm of its probability, and its characters, [start, end)."""

    score: float
    start: int
    end: int

    def of(self, context: str) -> str:
        """Return its text."""
        return context[self.start : self.end]


@dataclass(frozen=True)
class Rule:
    """How an answer is taken of what a model says.

    Attributes:
        longest: tokens of an answer at most.
        threshold: what the log-odds of no answer must exceed for none to be said; None always says one.
    """

    longest: int
    threshold: float | None = None


@dataclass(frozen=True)
class Found:
    """What is said of a question, in all windows of its context or in one.

    Probabilities are of a window's tokens: of one that holds no answer, most is at the token that stands for it. So
    windows can be compared, which logits of several cannot.

    Attributes:
        begins: (tokens,) log-probability that the answer begins at each token of the context, float32.
        ends: (tokens,) that it ends there.
        places: (tokens, 2) characters of each.
        at: (tokens,) its place in its window.
        window: (tokens,) number of its window.
        nones: (windows, 2) log-probabilities that it begins and ends at the token that stands for the window.
        whole: place of that token in the first window.
        context: the whole one; None where this is a window behind its first.
        question: likewise.
    """

    begins: np.ndarray
    ends: np.ndarray
    places: np.ndarray
    at: np.ndarray
    window: np.ndarray
    nones: np.ndarray
    whole: int = 0
    context: str | None = None
    question: str | None = None
    _known: dict[int, Candidate | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def joined(cls, items: Sequence[Found]) -> Found:
        """Return a question of its windows, in any order: the first one is that with the context."""
        first = next(item for item in items if item.context is not None)
        starts = np.cumsum([0, *(len(item.nones) for item in items)])
        columns: dict[str, Any] = {name: np.concatenate([getattr(item, name) for item in items]) for name in PARTS}
        window = np.concatenate([item.window + start for item, start in zip(items, starts, strict=False)])
        return cls(**columns, window=window, whole=first.whole, context=first.context, question=first.question)

    @property
    def none(self) -> float:
        """Log-probability that no window holds an answer: that of the window which says so least."""
        return float(self.nones.sum(axis=1).min())

    @cached_property
    def _spans(self) -> np.ndarray:
        """(tokens, 2) characters of each token without blanks around; start and end are one of a token of blanks."""
        text = self.context or ""
        solid = np.array([not character.isspace() for character in text] + [True], bool)
        numbers = np.arange(len(solid))
        behind = np.minimum.accumulate(np.where(solid, numbers, len(text))[::-1])[::-1]
        before = np.maximum.accumulate(np.where(solid[:-1], numbers[:-1] + 1, 0)) if len(text) else numbers
        before = np.concatenate([[0], before[: len(text)]])
        starts = behind[np.clip(self.places[:, 0], 0, len(text))]
        return np.stack([starts, np.maximum(before[np.clip(self.places[:, 1], 0, len(text))], starts)], 1)

    def _scores(self, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, longest) log-probability of the part that begins at a token and has so many more; where it ends."""
        count = len(self.begins)
        last = np.arange(count)[:, None] + np.arange(min(longest, max(1, count)))
        inside = last < count
        last = np.minimum(last, count - 1)
        solid = self._spans[:, 1] > self._spans[:, 0]
        fits = inside & (self.window[last] == self.window[:, None]) & solid[:, None] & solid[last]
        return np.where(fits, self.begins[:, None] + self.ends[last], -np.inf), last

    def best(self, longest: int) -> Candidate | None:
        """Return the most probable part of at most ``longest`` tokens; None where the context leaves no token."""
        if longest not in self._known:
            self._known[longest] = next(iter(self.ranked(longest, 1)), None)
        return self._known[longest]

    def margin(self, rule: Rule) -> float:
        """Return the log-odds of no answer against the most probable one, above the threshold."""
        best = self.best(rule.longest)
        return math.inf if best is None else self.none - best.score - (rule.threshold or 0.0)

    def says_none(self, rule: Rule) -> bool:
        """Return whether none is said."""
        return self.best(rule.longest) is None or (rule.threshold is not None and self.margin(rule) > 0)

    def ranked(self, longest: int, count: int) -> list[Candidate]:
        """Return the most probable parts of at most ``longest`` tokens, each once, the greatest first."""
        if not len(self.begins):
            return []
        scores, last = self._scores(longest)
        flat = scores.ravel()
        windows = len(self.nones)
        if count == 1:
            order = np.array([flat.argmax()])
        else:
            few = min(len(flat), count * windows)
            least = np.partition(flat, len(flat) - few)[len(flat) - few]
            order = np.flatnonzero(flat >= least)
            order = order[np.argsort(-flat[order], kind="stable")]
        seen: dict[tuple[int, int], Candidate] = {}
        for one in order.tolist():
            first, more = divmod(one, scores.shape[1])
            place = int(self._spans[first, 0]), int(self._spans[last[first, more], 1])
            if np.isfinite(flat[one]):
                seen.setdefault(place, Candidate(float(flat[one]), *place))
        return list(itertools.islice(seen.values(), count))

    def losses(self, answers: Sequence[tuple[int, int]]) -> np.ndarray:
        """(windows,) loss of each: mean over the answers that it holds of half of -log p(begin) - log p(end).

        Args:
            answers: characters of each, [start, end); a window that holds none should say so.
        """
        found = -self.nones.astype(np.float64).sum(axis=1) / 2
        for number in range(len(found)):
            mine = np.flatnonzero(self.window == number)
            pairs = [pair for answer in answers if (pair := tokens_of(self.places[mine], *answer))]
            if pairs:
                firsts, lasts = (mine[list(column)] for column in zip(*pairs, strict=True))
                found[number] = -(self.begins[firsts].astype(np.float64) + self.ends[lasts]).mean() / 2
        return found

    @property
    def finite(self) -> bool:
        """Whether all is finite."""
        return all(np.isfinite(values).all() for values in (self.begins, self.ends, self.nones))


PARTS = ("begins", "ends", "places", "at", "nones")
"""What of :class:`Found` is one after the other where windows are joined."""


def tokens_of(places: np.ndarray, start: int, end: int) -> tuple[int, int] | None:
    """Return the first and the last token of some characters; None where they do not lie whole in the tokens.

    Args:
        places: (tokens, 2) characters of each token, in their order; below 0 for tokens of another text.
        start: first character.
        end: the one behind the last.
    """
    inside = np.flatnonzero(places[:, 0] >= 0)
    if not len(inside) or start < places[inside[0], 0] or end > places[inside[-1], 1]:
        return None
    over = inside[(places[inside, 1] > start) & (places[inside, 0] < end)]
    return (int(over[0]), int(over[-1])) if len(over) else None


def outputs(model: nn.Module, inputs: Batch) -> Tensor | list[Found]:
    """Return what a model says of each window of a batch.

    Where the batch has no ``window`` that says where tokens stand, its logits, (rows, 2 x tokens): that an answer
    begins at each token, and that it ends there.

    Raises:
        InputError: a model that does not say both of each token.
    """
    begins, ends = logits_of(model, inputs)
    if "window" not in inputs:
        return torch.cat([begins, ends], 1)
    shares = [log_probabilities(one, inputs).cpu().numpy() for one in (begins, ends)]
    items = []
    for row, column in enumerate(inputs["window"]):
        window = Window.of(column)
        shift = shifts(inputs)[row] if "attention_mask" in inputs else 0
        own = [share[row, shift : shift + len(window.places)] for share in shares]
        inside = np.flatnonzero(window.places[:, 0] >= 0)
        items.append(
            Found(
                begins=own[0][inside],
                ends=own[1][inside],
                places=window.places[inside],
                at=inside,
                window=np.zeros(len(inside), np.int64),
                nones=np.array([[one[window.whole] for one in own]], np.float32),
                whole=window.whole,
                context=window.text,
                question=window.before,
            )
        )
    return items


def logits_of(model: nn.Module, inputs: Batch) -> tuple[Tensor, Tensor]:
    """Return the logits that an answer begins, and ends, at each token of a batch, (rows, tokens) each, float32.

    Raises:
        InputError: a model that does not say both of each token.
    """
    found = model(**model_inputs(inputs))
    begins, ends = getattr(found, "start_logits", None), getattr(found, "end_logits", None)
    shape = inputs["input_ids"].shape if "input_ids" in inputs else None
    if begins is None or ends is None or (shape is not None and not begins.shape == ends.shape == shape):
        what = "no start_logits and end_logits" if begins is None else f"logits of shape {tuple(begins.shape)}"
        raise InputError(f"{type(model).__name__} gives {what}: expected of each token whether an answer begins there")
    return begins.float(), ends.float()


def log_probabilities(logits: Tensor, inputs: Batch) -> Tensor:
    """Return log softmax over the tokens that are no padding, (rows, tokens)."""
    mask = inputs.get("attention_mask")
    masked = logits if mask is None else logits.masked_fill(mask == 0, torch.finfo(logits.dtype).min)
    return masked.log_softmax(-1)


def shifts(inputs: Batch) -> list[int]:
    """Return how many tokens of padding stand before each row."""
    return inputs["attention_mask"].argmax(1).tolist()
