"""Columns that hold a list for each text, an item a word, however a file writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .lists_as_text import BRACKETS, parsed

ITEM = re.compile(r"[^ \t\r\n]+")
"""What other blanks divide is one: a word may hold a blank that does not break."""


def token_lists(values: Sequence[Any]) -> list[Any]:
    """Return a column's values as lists: of lists, of lists written as text, or of texts that blanks divide.

    What is neither a list nor a text stays as it is.
    """
    texts = [value for value in values if isinstance(value, str)]
    if texts and all(map(BRACKETS.fullmatch, texts)):
        return parsed(values, "brackets")
    return [ITEM.findall(value) if isinstance(value, str) else value for value in values]
