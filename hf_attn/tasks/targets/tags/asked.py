"""What is explained of the tags of a text: an entity, or the tag of a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....data.columns import listing
from ....errors import InputError
from ...explained import Asked
from ...windows import NONE
from ..asked import number_of
from .answers import scores_of
from .layouts import Layout

if TYPE_CHECKING:
    from torch import Tensor

    from .tagged import Tagged

WORD = re.compile(r"word (\d+)(?:\s*[:=]?\s*(\S.*))?")


def asked(
    item: Tagged,
    names: Sequence[str],
    layout: Layout | None,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Asked:
    """Return what is explained of a text, of which the logits are known.

    Args:
        item: the text.
        names: of the tags.
        layout: how they say entities.
        wanted: ``word 3`` (from 0) or a number, the word's tag, or ``word 3 B-PER``, another tag of it; a type, the
            most certain entity of it; a tag, the word that has it most probably; or a word itself. By default the most
            certain entity; where there is none, or tags say none, the most certain word.
        against: a tag, whose logit at the same word is subtracted.

    Raises:
        InputError: there is no such word, type or tag, or the word is not in the window that is explained.
    """
    if not len(item.numbers):
        raise InputError("there is no word whose tag could be explained")
    tags = item.tags(layout)
    words, chosen, name = _chosen(item, names, layout, tags, wanted)
    first = int(item.by[words[0]])  # words behind it that share its token are said by it
    pairs = [pair for pair in zip(words, chosen, strict=True) if item.by[pair[0]] in (pair[0], NONE)]
    words, chosen = map(list, zip(*(pairs or [(first, int(tags[first]))]), strict=True))
    missing = [word for word in words if word not in item.numbers]
    if missing:
        raise InputError(f"word {missing[0]} has no token in the first window of the text, which is what is explained")
    places = item.places[np.searchsorted(item.numbers, words)]
    if against is None:
        return Asked(name, _At(places, chosen, len(names)), _At(places, chosen, len(names), shares=True), "probability")
    other = number_of(against, names, "against")
    if other in chosen:
        raise InputError(f"target and against are both {names[other]!r}: expected two tags")
    difference = _At(places, chosen, len(names), less=other)
    return Asked(f"{name} − {names[other]}", difference, difference, "difference of logits")


class _At:
    """The mean of logits, or probabilities, of some tags at some tokens, of outputs (rows, tokens x tags)."""

    def __init__(
        self, places: np.ndarray, tags: Sequence[int], count: int, *, shares: bool = False, less: int | None = None
    ) -> None:
        self.places, self.tags, self.count, self.shares, self.less = places.tolist(), list(tags), count, shares, less

    def __call__(self, outputs: Tensor) -> Tensor:
        logits = outputs.unflatten(1, (-1, self.count))[:, self.places]
        values = logits.softmax(-1) if self.shares else logits
        if self.less is not None:
            values = values - values[..., self.less, None]
        return values[:, range(len(self.tags)), self.tags].mean(1)


def _chosen(
    item: Tagged, names: Sequence[str], layout: Layout | None, tags: np.ndarray, wanted: str | int | None
) -> tuple[list[int], list[int], str]:
    """The words that are asked about, the tag of each, and what is asked, in words."""
    text = "" if wanted is None else str(wanted).strip()
    scores = scores_of(item, tags)
    if layout is not None and (not text or text in layout.types):
        found = [one for one in layout.named(tags.tolist()) if not text or one[2] == text]
        if found:
            first, last, kind = max(found, key=lambda one: float(np.nanmean(scores[one[0] : one[1]])))
            chosen = list(range(first, last))
            said = (item.text or "")[item.spans[first, 0] : item.spans[last - 1, 1]]
            return chosen, [int(tags[word]) for word in chosen], f"{kind} of {said!r}"
        if text:
            raise InputError(f"target {text!r}: the model says no entity of this type here")
    if (place := WORD.fullmatch(text)) or text.isdecimal():
        word = int(place[1] if place else text)
        if word >= len(item.spans):
            raise InputError(f"target {text!r}: the text has {len(item.spans)} words, numbered from 0")
        tag = number_of(place[2], names) if place and place[2] else int(tags[word])
        return [word], [tag], _said(item, word, names[tag])
    if text in names:
        tag = list(names).index(text)
        word = int(np.nanargmax(item.log_probabilities[:, tag]))
        return [word], [tag], _said(item, word, text)
    if text and text in item.words:
        word = item.words.index(text)
        return [word], [int(tags[word])], _said(item, word, names[tags[word]])
    if text:
        known = [*(layout.types if layout else ()), *names]
        raise InputError(f"target {text!r}: expected 'word 3', a word of the text, or one of {listing(known)}")
    word = int(np.nanargmax(scores))
    return [word], [int(tags[word])], _said(item, word, names[tags[word]])


def _said(item: Tagged, word: int, tag: str) -> str:
    return f"{tag} of {item.words[word]!r} (word {word})"
