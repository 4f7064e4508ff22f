"""What a model reads of a text at once: its tokens, where they stand, and which words they answer for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

NONE = -1


@dataclass(frozen=True)
class Window:
    """One of the windows that a text is read in; they overlap, and each word is answered in one of them.

    That is the window in which the word has most tokens on its poorer side, the first of such.

    Attributes:
        places: (tokens, 2) characters [start, end) of the text that a token stands in; -1 for tokens of none.
        words: (tokens,) number of the word that a token is of; -1 for tokens of none, and of words that another window
            answers for.
        text: the whole text; None in all its windows but the first.
        spans: (words, 2) characters of each word of the text; of none but in the first window.
        before: what was read before it, such as a question; None in all its windows but the first.
        whole: place of the token that stands for the whole window, such as ``[CLS]``.
    """

    places: np.ndarray
    words: np.ndarray
    text: str | None = None
    spans: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    before: str | None = None
    whole: int = 0

    @cached_property
    def firsts(self) -> np.ndarray:
        """Places of the tokens that begin a word which this window answers for, in their order."""
        _, first = np.unique(self.words, return_index=True)
        return np.sort(first[self.words[first] >= 0])

    @cached_property
    def ends(self) -> np.ndarray:
        """(firsts,) character behind the last token of each of these words, which may be in a word behind it."""
        last = len(self.words) - 1 - np.unique(self.words[::-1], return_index=True)[1]
        return np.asarray(self.places[np.sort(last[self.words[last] >= 0]), 1])

    @classmethod
    def of(cls, column: Mapping[str, Any]) -> Self:
        """Return a window as a table holds it: see :meth:`column`."""
        pairs = {name: np.asarray(column[name], np.int64).reshape(-1, 2) for name in ("places", "spans")}
        words = np.asarray(column["words"], np.int64)
        return cls(pairs["places"], words, column["text"], pairs["spans"], column["before"], column["whole"])

    def column(self) -> dict[str, Any]:
        """Return the window as a cell of a table."""
        flat = {name: getattr(self, name).ravel().tolist() for name in ("places", "words", "spans")}
        return {"text": self.text, "before": self.before, "whole": self.whole, **flat}


def windows_of(
    text: str,
    places: Sequence[Sequence[tuple[int, int] | None]],
    spans: Sequence[tuple[int, int]],
    before: str | None = None,
    wholes: Sequence[int] | None = None,
) -> list[Window]:
    """Return the windows of a text.

    Args:
        text: the whole one.
        places: characters of each token of each window; None where it is of another text, or the tokenizer's own.
        spans: characters of each word, in their order.
        before: what was read before each window.
        wholes: place of the token that stands for each window; by default the first.
    """
    span = np.asarray(spans, np.int64).reshape(-1, 2)
    arrays = [_array(one) for one in places]
    words = [_words_of(text, one, span) for one in arrays]
    owner = _owners(arrays, words, len(span))
    found = []
    for number, (array, word) in enumerate(zip(arrays, words, strict=True)):
        mine = np.where((word >= 0) & (owner[word] == number), word, NONE) if len(span) else word
        first: dict[str, Any] = {} if number else {"text": text, "spans": span, "before": before}
        found.append(Window(array, mine, **first, whole=wholes[number] if wholes else 0))
    return found


def _array(places: Sequence[tuple[int, int] | None]) -> np.ndarray:
    return np.array([(NONE, NONE) if place is None else place for place in places], np.int64).reshape(-1, 2)


def _words_of(text: str, places: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """(tokens,) the first word that each token shares a character with, blanks before the token left out."""
    found = np.full(len(places), NONE, np.int64)
    if not len(spans):
        return found
    for at, (start, end) in enumerate(places.tolist()):
        while start < end and text[start].isspace():
            start += 1
        if 0 <= start < end:
            word = int(np.searchsorted(spans[:, 1], start, side="right"))
            if word < len(spans) and spans[word, 0] < end:
                found[at] = word
    return found


def _owners(places: Sequence[np.ndarray], words: Sequence[np.ndarray], count: int) -> np.ndarray:
    """(words,) the window that answers for each: one that its beginning stands in, with most tokens on both sides."""
    found: list[tuple[int, int, int, int]] = []  # word, where its first token here starts, tokens on the poorer side
    for number, (place, word) in enumerate(zip(places, words, strict=True)):
        inside = np.flatnonzero(word >= 0)
        for one, at in zip(*(row.tolist() for row in np.unique(word, return_index=True)), strict=True):
            if one >= 0:
                found.append((one, int(place[at, 0]), -min(at - inside[0], inside[-1] - at), number))
    owner = np.zeros(count, np.int64)
    for one, _, _, number in sorted(found, reverse=True):
        owner[one] = number
    return owner


def answering(numbers: np.ndarray, ends: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Return (words,) the word whose tokens answer for each; -1 where none do.

    That is the word itself; or, where no token begins in it, the word before it whose last token reaches into it.

    Args:
        numbers: (answered,) of the words that a token begins in, in their order.
        ends: (answered,) character behind the last token of each.
        spans: (words, 2) characters of all words.
    """
    found = np.full(len(spans), NONE)
    for number, behind in zip(numbers.tolist(), np.searchsorted(spans[:, 0], ends).tolist(), strict=True):
        found[number:behind] = number
    found[numbers] = numbers
    return found
