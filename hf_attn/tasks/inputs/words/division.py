"""Texts and their words: a list of tokens as one text, a text as words, each word by its characters."""

from __future__ import annotations

from collections.abc import Sequence

from ..text.words import WORD

Spans = list[tuple[int, int]]


def joined(tokens: Sequence[str]) -> tuple[str, Spans]:
    """Return tokens as one text, a blank between them, and the characters of each."""
    spans, at = [], 0
    for token in tokens:
        spans.append((at, at + len(token)))
        at += len(token) + 1
    return " ".join(tokens), spans


def divided(text: str) -> Spans:
    """Return the characters of each word of a text: what stands between blanks and punctuation, and each mark of it."""
    return [match.span() for match in WORD.finditer(text)]


def flat(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return spans as one list of numbers, starts and ends in turn, as a table holds them."""
    return [place for span in spans for place in span]
