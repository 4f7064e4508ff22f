"""Arguments of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ....data.options import DataOptions


@dataclass(kw_only=True)
class Options(DataOptions):
    """Texts"""

    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, for pairs."""
    rationale: str | None = None
    """Column of the rationales of the first text, which its attention shall follow: spans [start, end) as lists of
    two numbers, or such a list for each of several annotators; null or empty where there is none."""
    rationale_unit: Literal["characters", "tokens"] = "characters"
    """What the spans count: characters of the text, or its tokens, which are what blanks divide."""
    max_length: int | None = 256
    """Tokens of a text, or of a pair, special ones included; the rest is cut. null is the model's own limit."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = self.max_length is not None and self.max_length < 1
        return [f"max_length is {self.max_length}: it must be above 0, or null"] if wrong else []
