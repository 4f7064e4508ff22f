"""Answers of a model of questions in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....interface.printable import printable
from ..words import Described
from .scoring import exact_of, golds_of

if TYPE_CHECKING:
    from .found import Candidate, Found, Rule

COLUMNS = ("answer", "score", "start", "end", "no_answer", "answers")
"""What an answer may hold."""
NO_ANSWER = "no answer"


def said_of(rule: Rule, item: Found, top_k: int | None = None) -> dict[str, Any]:
    """Return the answer to a question, and with ``top_k`` above 1 so many."""
    best = item.best(rule.longest)
    none = _none(item)
    answer = none if best is None or item.says_none(rule) else _answer(item, best)
    found = dict(answer)
    if rule.threshold is not None:
        found["no_answer"] = none["score"]
    if top_k is not None and top_k > 1:
        ranked = [_answer(item, one) for one in item.ranked(rule.longest, top_k)]
        if rule.threshold is not None and answer != none:
            ranked = sorted([*ranked[1:], none], key=lambda one: -one["score"])
            ranked = [answer, *ranked]
        elif answer == none:
            ranked = [none, *ranked]
        found["answers"] = ranked[:top_k]
    return found


def _answer(item: Found, one: Candidate) -> dict[str, Any]:
    return {"answer": one.of(item.context or ""), "score": math.exp(one.score), "start": one.start, "end": one.end}


def _none(item: Found) -> dict[str, Any]:
    return {"answer": "", "score": math.exp(item.none), "start": None, "end": None}


def described(rule: Rule, item: Found, truth: Sequence[Mapping[str, Any]] | None) -> Described:
    """Return what is said of a question beside the truth."""
    answer = said_of(rule, item)
    said = answer["answer"] or NO_ANSWER
    if truth is None:
        return Described(said, answer["score"])
    texts = [one["text"] for one in truth]
    true = " | ".join(dict.fromkeys(texts)) or NO_ANSWER
    return Described(said, answer["score"], true, not exact_of(answer["answer"], golds_of(texts)))


def printed(answer: dict[str, Any], given: str) -> str:
    """Return one answer, as of ``say``, as lines to read: the answers with their scores and characters."""
    lines = [_line(one) for one in answer.get("answers") or [answer]]
    return "\n".join([given, *(f"  {line}" for line in lines)])


def _line(one: Mapping[str, Any]) -> str:
    if one["start"] is None:
        return f"{one['score']:.4f}  {NO_ANSWER}"
    return f"{one['score']:.4f}  {printable(one['answer'])}  [{one['start']}, {one['end']})"
