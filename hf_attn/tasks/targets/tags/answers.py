"""Answers of a model of tags in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....interface.printable import printable
from ..words import Described, brief
from .layouts import Entity, Layout
from .tagged import Tagged

COLUMNS = ("entities", "words", "tags", "scores", "ranked")
"""What an answer may hold."""
SHOWN = 8
"""Entities, or words, of an answer in one line."""


def entities_of(item: Tagged, layout: Layout) -> list[dict[str, Any]]:
    """Return the entities of a text as dicts: label, score, characters and words."""
    tags = item.tags(layout)
    scores = scores_of(item, tags)
    found = []
    for first, last, kind in layout.named(tags.tolist()):
        start, end = int(item.spans[first, 0]), int(item.spans[last - 1, 1])
        score = float(np.nanmean(scores[first:last]))
        place = {"start": start, "end": end, "text": (item.text or "")[start:end], "words": [first, last]}
        found.append({"label": kind, "score": score, **place})
    return found


def scores_of(item: Tagged, tags: np.ndarray) -> np.ndarray:
    """(words,) probability of the tag of each; NaN of one without a token."""
    return np.asarray(np.exp(item.log_probabilities[np.arange(len(tags)), tags]))


def tags_said(item: Tagged, names: Sequence[str], layout: Layout | None, top_k: int | None) -> dict[str, Any]:
    """Return the words of a text with their tags."""
    tags = item.tags(layout)
    scores = scores_of(item, tags)
    found: dict[str, Any] = {
        "words": item.words,
        "tags": [names[tag] if tag >= 0 else None for tag in tags],
        "scores": [None if np.isnan(score) else float(score) for score in scores],
    }
    if top_k is not None and top_k > 1:
        found["ranked"] = [_ranked(row, names, top_k) for row in np.exp(item.log_probabilities)]
    return found


def _ranked(shares: np.ndarray, names: Sequence[str], top_k: int) -> list[dict[str, Any]] | None:
    if np.isnan(shares).any():
        return None
    order = np.argsort(-shares, kind="stable")[:top_k]
    return [{"tag": names[at], "score": float(shares[at])} for at in order]


def described(item: Tagged, truth: Sequence[int] | None, names: Sequence[str], layout: Layout | None) -> Described:
    """Return what is said of a text beside the truth."""
    tags = item.tags(layout).tolist()
    said = _in_words(item, tags, names, layout)
    if truth is None:
        return Described(said)
    return Described(said, None, _in_words(item, list(truth), names, layout), tags != list(truth))


def _in_words(item: Tagged, tags: Sequence[int], names: Sequence[str], layout: Layout | None) -> str:
    if layout is None:
        told = [names[tag] if tag >= 0 else "?" for tag in tags]
    else:
        told = [f"{_text(item, one)} ({one[2]})" for one in layout.named(tags)] or ["no entity"]
    more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return brief(told[:SHOWN]) + more


def _text(item: Tagged, entity: Entity) -> str:
    first, last, _ = entity
    return (item.text or "")[item.spans[first, 0] : item.spans[last - 1, 1]]


def printed(answer: dict[str, Any], given: str) -> str:
    """Return one answer, as of ``say``, as lines to read: entities with their places, else a tag a word."""
    if "entities" not in answer:
        words = zip(answer["words"], answer["tags"], strict=True)
        return "\n".join([given, "  " + " ".join(f"{printable(word)}/{printable(tag or '?')}" for word, tag in words)])
    lines = [
        f"{one['score']:.4f}  {printable(one['label'])}  {printable(one['text'])}  [{one['start']}, {one['end']})"
        for one in answer["entities"]
    ]
    return "\n".join([given, *(f"  {line}" for line in lines or ["no entity"])])
