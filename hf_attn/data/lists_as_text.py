"""Lists of labels that a file holds as text: ``['joy', 'anger']``, ``[0, 1, 0]``, ``joy|anger``."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BRACKETS = re.compile(r"\s*(\[.*\]|\(.*,.*\)|\{.*\}|set\(\)|array\(\[.*\].*\))\s*", re.DOTALL)
SEPARATORS = "|;,"
NUMBERS = re.compile(r"\s*\d{1,9}( +\d{1,9})*\s*")
ITEM = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s,'"]+))\s*,?""")
LONGEST = 100_000
OBJECT = re.compile(r"\s*[\[{].*[\]}]\s*", re.DOTALL)
ARRAY = re.compile(r"\barray\((\[.*?\])(?:,\s*dtype=[\w'\"<>.]+)?\)", re.DOTALL)


def lists_as_text(found: Mapping[str, Sequence[Any]], *, wanted: bool = False) -> str | None:
    """How the texts of a column seem to hold lists: ``brackets``, the character between the labels, or None.

    A character separates labels if one of those it separates is a label elsewhere too: alone, or (but for a comma,
    which names may have) in another list. A blank separates whole numbers only.

    Args:
        found: values of a column, by split.
        wanted: whether lists are expected, so that a character which no label shares separates them too.
    """
    values = Counter(value for rows in found.values() for value in rows if isinstance(value, str))
    if not values:
        return None
    if any(BRACKETS.fullmatch(value) for value in values):
        return "brackets"
    alone = {str(value).strip() for rows in found.values() for value in rows if value is not None}
    for separator in SEPARATORS:
        lists = [parts for value in values if len(parts := _parts(value, separator)) > 1]
        among = Counter(part for parts in lists for part in set(parts))
        if any(part in alone or (separator != "," and times > 1) for part, times in among.items()):
            return separator
    if all(map(NUMBERS.fullmatch, values)) and any(" " in value.strip() for value in values):
        return " "
    return next((mark for mark in SEPARATORS if wanted and any(mark in value for value in values)), None)


def parsed(values: Iterable[Any], how: str) -> list[list[Any] | None]:
    """The lists that texts hold; None for a text that is blank."""
    return [_list(value, how) for value in values]


def written(value: str) -> Any:
    """Return the object or the list that a text holds, as JSON, Python or numpy write it; None where it is none."""
    if not OBJECT.fullmatch(value):
        return None
    try:
        return json.loads(value)
    except ValueError:
        try:
            return ast.literal_eval(ARRAY.sub(r"\1", value))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None


def _list(value: Any, how: str) -> Any:
    if not isinstance(value, str):
        return value if value is None or isinstance(value, list) else [value]
    if not value.strip():
        return None
    if how == "brackets" and BRACKETS.fullmatch(value):
        return _literal(value.strip())
    parts = _parts(value, how) if how in (*SEPARATORS, " ") else [value.strip()]
    return [int(part) if re.fullmatch(r"\d{1,9}", part) and part == str(int(part)) else part for part in parts if part]


def _literal(text: str) -> list[Any]:
    """A list as Python, JSON or numpy writes it."""
    if text == "set()" or text == "{}":
        return []
    if len(text) <= LONGEST and not re.search(r"""['"]\s+['"]""", text):  # numpy puts no commas
        try:
            value = ast.literal_eval(text)
            if isinstance(value, list | tuple | set):
                return sorted(value, key=str) if isinstance(value, set) else list(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    inside = re.sub(r"^(array\()?[\[({]|[\])}](, *dtype=[^)]*)?\)?$", "", text).strip()
    words = [single or double or bare for single, double, bare in ITEM.findall(inside)]
    numbers = all(re.fullmatch(r"-?\d{1,18}\.?0*", word) for word in words)
    return [int(float(word)) for word in words] if numbers else words


def _parts(value: str, separator: str) -> list[str]:
    return [part.strip() for part in value.split(separator)]
