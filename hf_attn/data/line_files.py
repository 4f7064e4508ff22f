"""Read a file of texts, one a line."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from ..errors import InputError
from .reading import Rows, rows_of

logger = logging.getLogger(__name__)


def read_text_lines(text: str, path: Path, column: str = "text") -> Rows:
    """Return the lines of a file that are not blank; those left out between texts are told.

    A carriage return ends a line before a line feed, or where the file has no line feed.

    Raises:
        InputError: there is none.
    """
    text = text.rstrip()
    lines = re.split("\r*\n", text) if "\n" in text else text.split("\r")
    there = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if not there:
        raise InputError(f"{path} is empty: expected a text a line")
    if blank := len(lines) - len(there):
        first = next(number for number, line in enumerate(lines, start=1) if not line.strip())
        logger.warning("%s: %d blank lines are left out, the first is line %d", path, blank, first)
    return rows_of({column: [lines[number - 1] for number in there]}, there, "line")
