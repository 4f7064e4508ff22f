"""Texts as the scores of summaries see them: words of any script, and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable

SINGLE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts that put no blanks between words, of which each character counts as one."""
WORD = re.compile(rf"[{SINGLE}]|[^\W_{SINGLE}]+")
LETTER = re.compile(r"[^\W\d_]")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)]*\s+(?=\S)|(?<=[\u3002\uff01\uff1f\u0964])")


def words(text: str) -> list[str]:
    """Return the words of a text in small letters: on ASCII those of rouge-score, elsewhere no letter is lost."""
    return WORD.findall(text.lower())


def unspaced(texts: Iterable[str]) -> bool:
    """Return whether most letters of texts are of scripts that put no blanks between words."""
    letters = "".join(letter for text in texts for letter in LETTER.findall(text))
    return 2 * len(re.findall(f"[{SINGLE}]", letters)) > len(letters)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text: its lines where it has several, else what ends with a full stop or its like."""
    parts = text.split("\n") if "\n" in text.strip() else SENTENCE_END.split(text)
    return [part.strip() for part in parts if part and part.strip()]
