"""Histories and candidates that are given to :func:`hf_attn.predict`, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....data.columns import listing
from ....data.reading import characters
from ....errors import InputError
from ..given import as_list
from .flat import numbers_in, texts_in

KEYS = ("history", "candidate", "ratings")
SHOWN = 3


@dataclass(frozen=True)
class Given:
    """Histories and a candidate for each.

    Attributes:
        histories: texts, the oldest first.
        candidates: a text each.
        ratings: (items,) float64 of each history; NaN where none is known.
    """

    histories: list[list[str]]
    candidates: list[str]
    ratings: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.candidates)


def read(inputs: Any, text_pair: Any = None, run: Any = None) -> Given:
    """Return what is given as histories and candidates.

    Args:
        inputs: dicts of ``history``, a list of texts, ``candidate``, a text, and ``ratings``, a number or None for each
            text of the history, which may be left out. Or texts as a form has them: a line each, the rating behind a
            tab; the candidates then are ``text_pair``.
        text_pair: see there.
        run: the model; it is not asked.

    Raises:
        InputError: all that is wrong with them, by their places.
    """
    given = as_list(inputs, "inputs")
    if text_pair is not None:
        candidates = as_list(text_pair, "text_pair")
        if len(candidates) != len(given):
            raise InputError(
                f"{len(given)} histories but {len(candidates)} in text_pair: expected a candidate for each"
            )
        given = [_of_form(one, candidate) for one, candidate in zip(given, candidates, strict=True)]
    found, wrong = [], []
    for at, one in enumerate(given):
        row, why = _row(one)
        found.append(row)
        wrong += [f"input {at}: {why}"] if why else []
    if wrong:
        raise InputError(
            f"{listing(wrong, SHOWN)}; such as {{'history': ['a text'], 'ratings': [4.0], 'candidate': 'another'}}"
        )
    histories, candidates, ratings = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
    return Given([characters(one) for one in histories], characters(candidates), ratings)


def _row(one: Any) -> tuple[tuple[list[str], str, np.ndarray], str]:
    """Return history, candidate and ratings of one input, and why it cannot be used, empty where it can."""
    nothing: tuple[list[str], str, np.ndarray] = ([], "", np.zeros(0))
    if not isinstance(one, Mapping):
        return nothing, f"is {type(one).__name__}: expected a dict of {', '.join(KEYS)}"
    if unknown := [name for name in one if name not in KEYS]:
        return nothing, f"has {unknown[0]!r}: expected {', '.join(KEYS)}"
    if "history" not in one or "candidate" not in one:
        return nothing, f"has no {'history' if 'history' not in one else 'candidate'}"
    candidate = one["candidate"]
    if not isinstance(candidate, str) or not candidate.strip():
        return (
            nothing,
            f"its candidate is {'empty' if isinstance(candidate, str) else type(candidate).__name__}: expected a text",
        )
    history, why = texts_in(one["history"], None)
    if why:
        return nothing, f"its history {why}"
    ratings, why = numbers_in(one.get("ratings"), len(history), None)
    return (history, candidate, ratings), f"ratings: {why}" if why else ""


def _of_form(text: Any, candidate: Any) -> dict[str, Any]:
    """Return what was typed into a form as a dict."""
    if not isinstance(text, str):
        return text  # type: ignore[no-any-return]
    lines = [line for line in text.split("\n") if line.strip()]
    texts, ratings = [], []
    for line in lines:
        before, tab, after = line.rpartition("\t")
        try:
            rating = float(after) if tab else None
        except ValueError:
            rating, before = None, line
        texts.append((before if tab else line).strip())
        ratings.append(rating)
    return {"history": texts, "ratings": ratings, "candidate": candidate}


def trained_on_pairs(source: str) -> bool | None:
    """Return that a history goes with a candidate."""
    return True


def marks(table: Any, column: str, inputs: Sequence[Any]) -> list[list[tuple[int, int]]]:
    """Refuse rationales: nobody marks characters in a history.

    Raises:
        InputError: always.
    """
    raise InputError(
        f"--rationale {column}: the parts of a history are its items, and people mark characters of a text"
    )


def one_of(given: Given, at: int) -> dict[str, Any]:
    """Return one of them as :func:`read` takes it."""
    return {name: getattr(given, field.name)[at] for name, field in zip(KEYS, dataclasses.fields(given), strict=True)}
