"""Answers in words: for a terminal."""

from __future__ import annotations

from typing import Any

from ....interface.printable import printable

COLUMNS = ("translation_text", "summary_text")
"""What an answer may hold."""


def printed(answer: dict[str, Any], given: str) -> str:
    """Return one answer, as of ``say``, as lines to read, below what was given."""
    return "\n".join([given, *(f"  {printable(str(text))}" for text in answer.values())])
