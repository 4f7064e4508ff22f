"""Answers of a model in words: for a terminal, and beside a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....interface.printable import printable
from ..words import Described, brief

COLUMNS = ("label", "score", "probabilities", "value")
"""What an answer may hold."""


def ranked_by_name(shares: np.ndarray, names: tuple[str, ...]) -> list[dict[str, float]]:
    """Return the probabilities of each row, (rows, names), by name, greatest first."""
    orders = np.argsort(-shares, axis=1, kind="stable")
    return [{names[at]: float(row[at]) for at in order} for row, order in zip(shares, orders, strict=True)]


def described(answer: dict[str, Any], truth: Any) -> Described:
    """Return an answer, as of ``say``, beside the truth: a name, a list of names, a number, or None."""
    if "value" in answer:
        return Described(brief(answer["value"]), None, None if truth is None else brief(truth))
    label, score = answer["label"], answer["score"] if isinstance(answer["score"], float) else None
    if truth is None:
        return Described(brief(label), score)
    same = label == truth if isinstance(label, str) else sorted(label) == sorted(truth)
    return Described(brief(label), score, brief(truth), not same)


def printed(answer: dict[str, Any], given: str) -> str:
    """Return one answer, as of ``say``, as lines to read: probability, label, and what was given once."""
    if "value" in answer:
        return f"{answer['value']!s:>8.8}  {given}"
    lines = [f"{probability:.4f}  {printable(label)}" for label, probability in answer["probabilities"].items()]
    if isinstance(answer["label"], list) and len(lines) == 1:
        scored = zip(answer["label"], answer["score"], strict=True)
        lines = [f"{score:.4f}  {printable(label)}" for label, score in scored]
    return "\n".join([given, *(f"  {line}" for line in lines or ["no label"])])
