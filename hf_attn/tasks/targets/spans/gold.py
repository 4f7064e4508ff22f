"""Answers as files hold them, and where they stand in their contexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....data.lists_as_text import written
from ..offsets import in_characters

Answer = tuple[str, "int | None"]
"""A text, and where it begins as the file says; None where that says nothing."""
Placed = tuple[str, int, int]
"""A text, and its characters in the context, [start, end)."""
TEXTS = ("text", "texts")
STARTS = ("answer_start", "answer_starts", "start", "starts")
ELSEWHERE, CASED, ABSENT = "elsewhere", "in other case", "not in their context"


def answers_of(values: Sequence[Any], starts: Sequence[Any] | None) -> list[list[Answer] | None]:
    """Return the answers of each row; None where a value is none: neither a list nor an object nor a text.

    Args:
        values: of the column of answers; null is a row without any.
        starts: of the column of their places, where there is one.
    """
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    held = [written(value) for value in texts]
    if texts and all(one is not None for one in held):  # such as a csv file has them
        read = iter(held)
        values = [next(read) if isinstance(value, str) and value.strip() else value for value in values]
    beside = [None if _is_blank(start) else start for start in starts or [None] * len(values)]
    return [_answers(value, start) for value, start in zip(values, beside, strict=True)]


def _answers(value: Any, starts: Any) -> list[Answer] | None:
    if value is None or value == "":
        return []
    if isinstance(value, dict):
        if value and not set(TEXTS) & set(value):
            return None
        text, start = (next((value[name] for name in names if name in value), None) for names in (TEXTS, STARTS))
        return [] if text is None else _paired(text, start)
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        found = [_answers(one, None) for one in value]
        return None if any(one is None for one in found) else [pair for one in found for pair in one or ()]
    return _paired(value, starts)


def _paired(texts: Any, starts: Any) -> list[Answer] | None:
    texts = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, list | tuple) else None
    if texts is None or not all(isinstance(text, str) for text in texts):
        return None
    if starts is None:
        return [(text, None) for text in texts]
    starts = list(starts) if isinstance(starts, list | tuple) else [starts]
    if len(starts) != len(texts):
        return None
    try:
        return [(text, None if start is None else _whole(start)) for text, start in zip(texts, starts, strict=True)]
    except (TypeError, ValueError):
        return None


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _whole(number: Any) -> int:
    if isinstance(number, bool) or not float(number).is_integer():
        raise ValueError(number)
    return int(float(number))


def place(context: str, answer: Answer, offsets: str) -> tuple[int | None, str]:
    """Return where an answer begins, in characters, and what is odd about that; None where it cannot be told.

    Args:
        context: that the answer is of.
        answer: as the file has it.
        offsets: what its place counts, as of ``Options``.
    """
    text, start = answer
    if start is None:
        first = context.find(text)
        several = "several times in their context" if context.find(text, first + 1) >= 0 else ""
        return (first, several) if first >= 0 else (None, _absence(context, text))
    start = in_characters(context, start, offsets)
    if start >= 0 and context.startswith(text, start):
        return start, ""
    if offsets == "search" and (near := nearest(context, text, start)) is not None:
        return near, ""
    return None, _absence(context, text)


def _absence(context: str, text: str) -> str:
    if text in context:
        return ELSEWHERE
    return CASED if text.casefold() in context.casefold() else ABSENT


def nearest(context: str, text: str, start: int) -> int | None:
    """Return where a text stands nearest to a place, the first of such; None where it stands nowhere."""
    found, at = [], context.find(text)
    while at >= 0:
        found.append(at)
        at = context.find(text, at + 1)
    return min(found, key=lambda one: abs(one - start), default=None)
