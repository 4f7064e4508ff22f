"""The words of a text, in any script, and the tokens of each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .encoding import Place

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, Chinese and Japanese."""
MARKS = "".join(chr(number) for number in range(0x300, 0x11A00) if unicodedata.category(chr(number))[0] == "M")
"""Marks that stand on a letter, such as vowels of Indic scripts and of Arabic."""
LETTER = rf"(?:[^\W{UNSPACED}]|[{MARKS}\u200c\u200d])"
WORD = re.compile(rf"[{UNSPACED}][{MARKS}]*|{LETTER}+(?:['\u2019-]{LETTER}+)*|[^\w\s]")


def grouped(texts: Sequence[str], places: Sequence[Place | None]) -> list[list[int]]:
    """Return the tokens of each word; words that one token spans are one, and a blank belongs to the word after it."""
    words = [[match.span() for match in WORD.finditer(text)] for text in texts]
    groups: list[list[int]] = []
    blanks: list[int] = []
    last: tuple[int, int] | None = None  # the text and the word that the last group ends with
    for at, place in enumerate(places):
        if place is None:
            last, blanks = None, []
            continue
        source, start, end = place
        over = [number for number, (left, right) in enumerate(words[source]) if left < end and start < right]
        if not over:
            blanks.append(at)
            continue
        if last == (source, over[0]):
            groups[-1] += [*blanks, at]
        else:
            groups.append([*blanks, at])
        last, blanks = (source, over[-1]), []
    return groups
