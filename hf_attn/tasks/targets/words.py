"""What targets say of an example, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Described:
    """What a model says of an example, and what it is, in words.

    Attributes:
        said: a label, several of them, or a number.
        score: probability of the one label that is said; None where there is none.
        true: what the example is, or None where that is not known.
        wrong: whether a label that is said is not the true one.
    """

    said: str
    score: float | None = None
    true: str | None = None
    wrong: bool = False


def brief(value: str | float | Sequence[Any]) -> str:
    """Return a label, several of them, or a number as text."""
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if isinstance(value, float) else ", ".join(map(brief, value)) or "no label"
