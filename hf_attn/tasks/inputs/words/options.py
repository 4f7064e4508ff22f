"""Arguments of texts as words."""

from __future__ import annotations

from dataclasses import dataclass

from ....data.options import DataOptions


@dataclass(kw_only=True)
class Options(DataOptions):
    """Texts as words"""

    tokens: str = "tokens"
    """Column of the tokens of a text: a list, or a text in which blanks divide them. Of a .conll file, the first."""
    text: str | None = None
    """Column of raw texts, in place of tokens; they are divided into words at blanks and punctuation."""
    max_length: int | None = 256
    """Tokens of the tokenizer in a window, special ones included. A longer text is read in several, which overlap by a
    quarter; nothing is cut off. null is the model's own limit."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = []
        if self.max_length is not None and self.max_length < 1:
            wrong.append(f"max_length is {self.max_length}: it must be above 0, or null")
        if self.text is not None and self.tokens != Options.tokens:
            wrong.append(f"tokens {self.tokens} is given beside text {self.text}: words are read from one of them")
        return wrong
