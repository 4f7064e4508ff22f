"""What is explained of an answer: where it begins and ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ....errors import InputError
from ...explained import Asked
from .answers import NO_ANSWER
from .found import tokens_of
from .gold import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from .found import Found, Rule

CHARACTERS = re.compile(r"characters? (\d+)(?:\s*(?:-|to|,)\s*(\d+))?")


def asked(rule: Rule, item: Found, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
    """Return what is explained of a question, of which the logits are known.

    Args:
        rule: how an answer is taken.
        item: the question, and the window that is explained.
        wanted: a part of the context as it is written, ``characters 10 to 15``, or ``no answer``; where a part stands
            several times, the one nearest to what the model says. By default what the model says.
        against: another, whose logits are subtracted.

    Raises:
        InputError: there is no such part, or it does not lie whole in the window that is explained.
    """
    best = item.best(rule.longest)
    if best is None:
        raise InputError("the context leaves no token: there is no answer to explain")
    if wanted is None:
        name, pair = NO_ANSWER, (item.whole, item.whole)
        if not item.says_none(rule):
            name, pair = _part(item, best.start, best.end)
    else:
        name, pair = _named(item, str(wanted), best.start, "target")
    if against is None:
        return Asked(name, _At(*pair), _At(*pair, shares=True), "probability")
    other, less = _named(item, str(against), best.start, "against")
    if less == pair:
        raise InputError(f"target and against are both {name}: expected two answers")
    difference = _At(*pair, less=less)
    return Asked(f"{name} − {other}", difference, difference, "difference of logits")


class _At:
    """Sum of the logits, or product of the probabilities, of two tokens, of outputs (rows, 2 x tokens)."""

    def __init__(self, first: int, last: int, *, shares: bool = False, less: tuple[int, int] | None = None) -> None:
        self.pair, self.shares, self.less = (first, last), shares, less

    def __call__(self, outputs: Tensor) -> Tensor:
        logits = outputs.unflatten(1, (2, -1))
        values = logits.log_softmax(-1) if self.shares else logits
        found = values[:, 0, self.pair[0]] + values[:, 1, self.pair[1]]
        if self.less is not None:
            found = found - values[:, 0, self.less[0]] - values[:, 1, self.less[1]]
        return found.exp() if self.shares else found


def _named(item: Found, wanted: str, near: int, what: str) -> tuple[str, tuple[int, int]]:
    """An answer by its words or its characters: what it is, and its first and last token."""
    context, text = item.context or "", wanted.strip()
    if text.lower() == NO_ANSWER:
        return NO_ANSWER, (item.whole, item.whole)
    if found := CHARACTERS.fullmatch(text):
        start = int(found[1])
        return _part(item, start, int(found[2] or start + 1), what)
    start_of = nearest(context, text, near) if text else None
    if start_of is None:
        raise InputError(
            f"{what} {wanted!r} does not stand in the context: expected a part of it as it is written, such as "
            "'characters 10 to 15', or 'no answer'"
        )
    return _part(item, start_of, start_of + len(text), what)


def _part(item: Found, start: int, end: int, what: str = "target") -> tuple[str, tuple[int, int]]:
    context = item.context or ""
    if not start < end <= len(context):
        raise InputError(f"{what}: characters {start} to {end} are no part of a context of {len(context)}")
    pair = tokens_of(item.places, start, end)
    if pair is None:
        raise InputError(
            f"{what} {context[start:end][:40]!r} lies in another window of the context than the one that is explained, "
            f"characters {item.places[0, 0]} to {item.places[-1, 1]}"
        )
    read = context[int(item.places[pair[0], 0]) : int(item.places[pair[1], 1])]  # whole tokens: what can be answered
    return f"answer {read.strip()!r}", (int(item.at[pair[0]]), int(item.at[pair[1]]))
