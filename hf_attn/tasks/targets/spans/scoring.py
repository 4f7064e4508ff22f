"""How right answers are: exact match and F1 of words, as SQuAD's own scripts count them."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError

if TYPE_CHECKING:
    from ....training.evaluation import Predictions
    from .found import Found, Rule

METRICS = {
    "f1": ("f1", "F1 of words"),
    "exact_match": ("exact_match", "Exact match"),
    "has_answer_f1": ("f1", "F1 where there is an answer"),
    "has_answer_exact_match": ("exact_match", "Exact match where there is an answer"),
    "no_answer_accuracy": ("accuracy", "Share of none where there is no answer"),
    "best_f1": ("f1", "F1 by the best threshold for these rows"),
    "best_exact_match": ("exact_match", "Exact match by the best threshold for these rows"),
    "loss": ("loss", "Loss of a window"),
}
"""Score name -> (identifier on the Hub, name to read)."""
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str) -> str:
    """Return a text in lower case without punctuation, English articles and blanks of other kinds.

    As SQuAD's scripts have it (Rajpurkar et al. 2016): in this order, so that articles before punctuation stay.
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def golds_of(texts: Sequence[str]) -> list[str]:
    """Return the answers that something is left of, normalised; one that is empty where there is none."""
    return [one for one in map(normalized, texts) if one] or [""]


def exact_of(said: str, golds: Sequence[str]) -> float:
    """Return 1 where what is said is one of the answers, which are normalised; else 0."""
    return float(normalized(said) in golds)


def f1_of(said: str, golds: Sequence[str], *, empty: bool = True) -> float:
    """Return the greatest F1 of words over the answers, which are normalised: 2·common / (said + true).

    Args:
        said: in words.
        golds: of :func:`golds_of`.
        empty: whether nothing said of nothing is right, as of SQuAD 2.0; in 1.1 it is wrong.
    """
    ours = normalized(said).split()
    found = 0.0
    for gold in golds:
        theirs = gold.split()
        if not ours or not theirs:
            found = max(found, float(empty and ours == theirs))
            continue
        common = sum((Counter(ours) & Counter(theirs)).values())
        precision, recall = common / len(ours), common / len(theirs)
        found = max(found, 2 * precision * recall / (precision + recall) if common else 0.0)
    return found


@dataclass(frozen=True)
class Judged:
    """How right each question is, (rows,) each.

    Attributes:
        exact: 1 where what is said is an answer.
        f1: of words.
        part_exact: the same of the most probable part of the context, also where none is said.
        part_f1: likewise.
        part: whether there is such a part with words.
        margin: log-odds of no answer above the threshold.
        none: whether none is said.
        has: whether there is an answer.
        loss: sum over the windows of the context.
        windows: these.
    """

    exact: np.ndarray
    f1: np.ndarray
    part_exact: np.ndarray
    part_f1: np.ndarray
    part: np.ndarray
    margin: np.ndarray
    none: np.ndarray
    has: np.ndarray
    loss: np.ndarray
    windows: np.ndarray

    def of(self, rows: np.ndarray) -> Judged:
        """Return some rows."""
        return Judged(*(getattr(self, one.name)[rows] for one in fields(self)))

    @property
    def of_both(self) -> bool:
        """Whether some questions have an answer and some have none."""
        return bool(self.has.any() and not self.has.all())


def judged(rule: Rule, items: Sequence[Found], truth: Sequence[Sequence[Mapping[str, Any]]]) -> Judged:
    """Return how right each question is.

    Args:
        rule: how an answer is taken.
        items: what a model says, one a question.
        truth: the answers, likewise; empty where there is none.
    """
    second = rule.threshold is not None or not all(truth)  # scored as SQuAD 2.0
    rows = []
    for item, answers in zip(items, truth, strict=True):
        texts = [one["text"] for one in answers]
        golds = golds_of(texts) if second else [normalized(text) for text in texts]
        best, none = item.best(rule.longest), item.says_none(rule)
        text = "" if best is None else best.of(item.context or "")
        part = exact_of(text, golds), f1_of(text, golds, empty=second)
        empty = exact_of("", golds), f1_of("", golds, empty=second)
        losses = item.losses([(one["start"], one["end"]) for one in answers])
        said = empty if none else part
        rows.append((*said, *part, bool(text), item.margin(rule), none, bool(answers), losses.sum(), len(losses)))
    return Judged(*(np.array(column) for column in zip(*rows, strict=True)))


def _swept(judged: Judged, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by their margin, and the sum of a score where none is said of all rows behind each of them.

    As ``find_best_thresh`` of SQuAD 2.0's script; the first sum is that of saying none to all.
    """
    order = np.argsort(judged.margin, kind="stable")
    gain = np.where(judged.has, part, np.where(judged.part, -1.0, 0.0))[order]
    return order, np.concatenate([[0.0], np.cumsum(gain)]) + (~judged.has).sum()


def best_share(judged: Judged, part: np.ndarray) -> float:
    """Return the greatest mean of a score over all thresholds of saying none."""
    return float(_swept(judged, part)[1].max() / len(part)) if judged.of_both else math.nan


def best_threshold(judged: Judged) -> float:
    """Return the threshold of the greatest F1, in the middle between two margins; the least of several."""
    order, sums = _swept(judged, judged.part_f1)
    margins = judged.margin[order]
    ends = np.concatenate([[margins[0] - 2], margins, [margins[-1] + 2]])
    apart = ends[1:] > ends[:-1]  # questions of one margin are told apart by no threshold
    at = int(np.where(apart, sums, -np.inf).argmax())
    return float(ends[at : at + 2].mean())


Score = Callable[[Judged], float]


def mean(values: np.ndarray) -> float:
    """Return the mean; NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan


SCORES: Mapping[str, Score] = {
    "loss": lambda one: float(one.loss.sum() / one.windows.sum()),
    "f1": lambda one: mean(one.f1),
    "exact_match": lambda one: mean(one.exact),
    "has_answer_f1": lambda one: mean(one.f1[one.has]) if one.of_both else math.nan,
    "has_answer_exact_match": lambda one: mean(one.exact[one.has]) if one.of_both else math.nan,
    "no_answer_accuracy": lambda one: mean(one.exact[~one.has]) if one.of_both else math.nan,
    "best_f1": lambda one: best_share(one, one.part_f1),
    "best_exact_match": lambda one: best_share(one, one.part_exact),
}
OF_BOTH = ("has_answer_f1", "has_answer_exact_match", "no_answer_accuracy", "best_f1", "best_exact_match")
"""Scores of rows of which some have an answer and some none."""


def checked(predictions: Predictions) -> Sequence[Sequence[Mapping[str, Any]]]:
    """Return the true answers of predictions.

    Raises:
        InputError: these rows have no labels.
        FloatingPointError: logits that are not finite: the model has diverged.
    """
    if predictions.labels is None:
        raise InputError("these rows have no answers: there is nothing to compare the predictions with")
    odd = [row for row, item in zip(predictions.ids, predictions.outputs, strict=True) if not item.finite]
    if odd:
        raise FloatingPointError(
            f"the logits of {len(odd)} of {len(predictions)} rows are not finite (first: row {odd[0]}): the model has "
            "diverged; train with a smaller lr"
        )
    return list(predictions.labels)
