"""How good tags are: entities, as seqeval counts them, and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ....errors import InputError
from .layouts import Layout

if TYPE_CHECKING:
    from ....training.evaluation import Predictions
    from .tagged import Tagged

METRICS = {
    "f1": ("f1", "Entity F1, strict"),
    "precision": ("precision", "Entity precision"),
    "recall": ("recall", "Entity recall"),
    "f1_macro": ("f1", "Macro F1"),
    "accuracy": ("accuracy", "Accuracy of words"),
    "loss": ("loss", "Loss of a word"),
}
"""Score name -> (identifier on the Hub, name to read)."""
ERRORS = ("type", "boundary", "both", "missed", "spurious")
"""How an entity may be wrong: right words and another type, right type and other words that overlap, both; a true one
of which nothing is said, a said one of which nothing is true."""


@dataclass(frozen=True)
class Counts:
    """What is right in each text; kinds are types of entities, or tags where these say none.

    Attributes:
        hits: (rows, kinds) that are said and true.
        said: (rows, kinds).
        true: (rows, kinds).
        right: (rows,) words with the right tag.
        words: (rows,).
        loss: (rows,) sum over the words that have a token.
        answered: (rows,) these words.
    """

    hits: np.ndarray
    said: np.ndarray
    true: np.ndarray
    right: np.ndarray
    words: np.ndarray
    loss: np.ndarray
    answered: np.ndarray

    def total(self, rows: np.ndarray | slice = slice(None)) -> Counts:
        """Sums over some rows."""
        return Counts(*(getattr(self, one.name)[rows].sum(0) for one in fields(self)))


def f1_of(hits: np.ndarray, said: np.ndarray, true: np.ndarray) -> np.ndarray:
    """F1 = 2·hits / (said + true); 0 where it has no value."""
    return np.asarray(2 * hits / np.maximum(said + true, 1))


def f1(c: Counts) -> float:
    """F1 over all entities: each is right if its words and its type are."""
    return float(f1_of(c.hits.sum(), c.said.sum(), c.true.sum())) if c.true.sum() else float("nan")


def precision(c: Counts) -> float:
    """Share of the entities said that are true; 0 where none is said."""
    return float(c.hits.sum() / max(1, c.said.sum())) if c.true.sum() else float("nan")


def recall(c: Counts) -> float:
    """Share of the true entities that are said."""
    return float(c.hits.sum() / c.true.sum()) if c.true.sum() else float("nan")


def f1_macro(c: Counts) -> float:
    """Mean F1 of the types, or tags, that are said or true."""
    seen = (c.said + c.true) > 0
    return float(f1_of(c.hits, c.said, c.true)[seen].mean()) if seen.any() else float("nan")


def accuracy(c: Counts) -> float:
    """Share of the words with the right tag."""
    return float(c.right / c.words)


def loss(c: Counts) -> float:
    """Mean cross-entropy of a word that has a token."""
    return float(c.loss / max(1, c.answered))


Score = Callable[[Counts], float]
OF_ENTITIES: Mapping[str, Score] = {one.__name__: one for one in (loss, f1, precision, recall, f1_macro, accuracy)}
OF_WORDS: Mapping[str, Score] = {one.__name__: one for one in (loss, accuracy, f1_macro)}


def counted(items: Sequence[Tagged], truth: Sequence[Sequence[int]], layout: Layout | None, kinds: int) -> Counts:
    """Count what is right in each text.

    Args:
        items: what a model says, one a text.
        truth: numbers of the true tags, likewise.
        layout: of the tags; None where they say no entities.
        kinds: types of entities, or tags.
    """
    rows = [
        _of_text(item.tags(layout), np.asarray(true, int), layout, kinds)
        for item, true in zip(items, truth, strict=True)
    ]
    losses = [_losses(item, np.asarray(true, int)) for item, true in zip(items, truth, strict=True)]
    hits, said, true = (
        np.array(column).reshape(len(items), kinds) for column in zip(*(row[:3] for row in rows), strict=True)
    )
    right, words = (np.array(column) for column in zip(*(row[3:] for row in rows), strict=True))
    return Counts(
        hits, said, true, right, words, np.array([sum(row) for row in losses]), np.array(list(map(len, losses)))
    )


def _losses(item: Tagged, true: np.ndarray) -> np.ndarray:
    return -item.log_probabilities[item.numbers, true[item.numbers]]


def _of_text(
    said: np.ndarray, true: np.ndarray, layout: Layout | None, kinds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    right = said == true
    if layout is None:
        found = (true[right], said[said >= 0], true)
    else:
        ours, theirs = layout.entities(said), layout.entities(true)
        both = {tuple(one) for one in ours.tolist()} & {tuple(one) for one in theirs.tolist()}
        found = (np.array([kind for *_, kind in both], int), ours[:, 2], theirs[:, 2])
    hits, of_said, of_true = (np.bincount(one, minlength=kinds) for one in found)
    return hits, of_said, of_true, int(right.sum()), len(true)


@dataclass(frozen=True)
class Pairs:
    """True and said entities beside each other, and how often each kind of mistake is made.

    Attributes:
        true: (pairs,) type of the true entity; the number of types where nothing is true.
        said: (pairs,) type of what is said there; the number of types where nothing is said.
        errors: of each of :data:`ERRORS`.
    """

    true: np.ndarray
    said: np.ndarray
    errors: dict[str, int]


def paired(items: Sequence[Tagged], truth: Sequence[Sequence[int]], layout: Layout) -> Pairs:
    """Put each true entity beside what is said of its words: the same words, else what shares most words with it."""
    nothing = len(layout.types)
    pairs: list[tuple[int, int]] = []
    errors = dict.fromkeys(ERRORS, 0)
    for item, tags in zip(items, truth, strict=True):
        said = layout.entities(item.tags(layout)).tolist()
        left = list(range(len(said)))
        theirs = layout.entities(np.asarray(tags)).tolist()
        exact = {(start, end): at for at, (start, end, _) in enumerate(said)}
        for start, end, kind in sorted(theirs, key=lambda one: (one[0], one[1]) not in exact):
            shared = [(min(end, said[at][1]) - max(start, said[at][0]), -at) for at in left]
            best = max(shared, default=(0, 0))
            at = exact.get((start, end), -best[1] if best[0] > 0 else None)
            if at is None:
                pairs.append((kind, nothing))
                errors["missed"] += 1
                continue
            left.remove(at)
            other_words, other_type = said[at][:2] != [start, end], said[at][2] != kind
            pairs.append((kind, said[at][2]))
            if other_words or other_type:
                errors["both" if other_words and other_type else "boundary" if other_words else "type"] += 1
        pairs += [(nothing, said[at][2]) for at in left]
        errors["spurious"] += len(left)
    table = np.array(pairs, int).reshape(-1, 2)
    return Pairs(table[:, 0], table[:, 1], errors)


def table(counts: Counts, kinds: Sequence[str]) -> str:
    """Return precision, recall and F1 of each kind as text, in the layout of scikit-learn's report."""
    total = counts.total()
    scores = np.stack([total.hits / np.maximum(total.said, 1), total.hits / np.maximum(total.true, 1)])
    scores = np.concatenate([scores, f1_of(total.hits, total.said, total.true)[None]]).T
    seen = (total.said + total.true) > 0
    width = max(map(len, [*kinds, "weighted avg"]))
    lines = [f"{'':>{width}}  precision    recall  f1-score   support", ""]

    def line(name: str, values: np.ndarray, support: int) -> str:
        return (
            f"{name:>{width}}"
            + "".join(f"{value:>{11 if at == 0 else 10}.4f}" for at, value in enumerate(values))
            + f"{support:>10}"
        )

    lines += [
        line(name, row, int(total.true[at]))
        for at, (name, row) in enumerate(zip(kinds, scores, strict=True))
        if seen[at]
    ]
    every, hits, said = int(total.true.sum()), total.hits.sum(), total.said.sum()
    micro = np.array([hits / max(1, said), hits / max(1, every), f1_of(hits, said, np.asarray(every))])
    lines += ["", line("micro avg", micro, every)]
    if seen.any():
        lines.append(line("macro avg", scores[seen].mean(0), every))
    if every:
        lines.append(line("weighted avg", np.average(scores, axis=0, weights=total.true), every))
    return "\n".join(lines) + "\n"


def checked(predictions: Predictions) -> Sequence[Sequence[int]]:
    """Return the true tags of predictions.

    Raises:
        InputError: these rows have no labels.
        FloatingPointError: logits that are not finite: the model has diverged.
    """
    if predictions.labels is None:
        raise InputError("these rows have no tags: there is nothing to compare the predictions with")
    odd = [
        row
        for row, item in zip(predictions.ids, predictions.outputs, strict=True)
        if not np.isfinite(item.logits).all()
    ]
    if odd:
        raise FloatingPointError(
            f"the logits of {len(odd)} of {len(predictions)} rows are not finite (first: row {odd[0]}): the model has "
            "diverged; train with a smaller lr"
        )
    return list(predictions.labels)
