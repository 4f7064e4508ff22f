"""Arguments of answers that are parts of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ALSO = ("is_impossible",)
"""Columns that are read where they are: whether a question has no answer."""


@dataclass(kw_only=True)
class Options:
    """Answers"""

    answers: str = "answers"
    """Column of the answers, one or several a question: {text, answer_start} of lists or a list of such, texts, or one
    text. A question without any is one that its context does not answer; is_impossible, where it is, must agree."""
    answer_start: str | None = None
    """Column of where answers begin, where --answers holds texts alone. null looks for them in the context: what stands
    there several times is taken where it stands first, and counted."""
    offsets: Literal["characters", "bytes", "utf16", "search"] = "characters"
    """What answers' places count: characters, bytes of UTF-8, or units of UTF-16 (JavaScript, Java, C#). search takes
    the text where it stands nearest to the given place."""
    learn_from: Literal["all", "first"] = "all"
    """Which answers of a question are learnt: all alike, as its annotators gave them, or the first."""
    max_answer_length: int = 30
    """Tokens of an answer at most."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = self.max_answer_length < 1
        return [f"max_answer_length is {self.max_answer_length}: it must be at least 1"] if wrong else []


def columns_of(args: Options) -> list[str]:
    """Return the columns that the arguments name as those of the answers."""
    return [args.answers, *([args.answer_start] if args.answer_start else [])]
