"""How good answers are by their length and by the kind of question, as text, and how often none is said."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .scoring import best_share, mean

if TYPE_CHECKING:
    from ....training.evaluation import Predictions
    from .found import Rule
    from .scoring import Judged

LENGTHS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, math.inf))
"""Words of an answer, by which scores are shown."""
KINDS = re.compile(r"\b(what|which|whom?|whose|when|where|why|how (?:many|much|long|old|far)|how)\b")
OTHER = "other"


def length_of(answers: Sequence[Mapping[str, Any]]) -> str:
    """Return how long the first answer is, in words."""
    if not answers:
        return "no answer"
    words = len(answers[0]["text"].split())
    low, high = next(one for one in LENGTHS if one[0] <= max(1, words) <= one[1])
    if high == math.inf:
        return f"{low} words and more"
    return f"{low} word{'s' * (low > 1)}" if low == high else f"{low} to {high} words"


def kind_of(question: str) -> str:
    """Return the first English question word of a question."""
    found = KINDS.search(question.lower())
    return found[1] if found else OTHER


def grouped(judged: Judged, predictions: Predictions) -> dict[str, dict[str, np.ndarray]]:
    """Return rows by the length of their answer, and by the kind of their question, the most frequent first."""
    lengths = [length_of(answers) for answers in predictions.labels]
    kinds = [kind_of(item.question or "") for item in predictions.outputs]
    order = [length_of([{"text": "a " * low}]) for low, _ in LENGTHS] + ["no answer"]
    by_kind = [name for name, _ in Counter(kinds).most_common()]
    found = {"answer": [one for one in order if one in lengths], "question": by_kind if set(kinds) != {OTHER} else []}
    columns = {"answer": np.array(lengths), "question": np.array(kinds)}
    return {what: {one: np.flatnonzero(columns[what] == one) for one in names} for what, names in found.items()}


def report(rule: Rule, judged: Judged, predictions: Predictions) -> str:
    """Return the scores of groups of questions as text."""
    groups = {"all": np.arange(len(judged.f1))}
    for what, some in grouped(judged, predictions).items():
        groups |= {f"{what}: {name}": rows for name, rows in some.items()}
    width = max(map(len, groups))
    lines = [f"{'':<{width}}  questions  exact match      F1"]
    for name, rows in groups.items():
        one = judged.of(rows)
        lines.append(f"{name:<{width}}  {len(rows):>9,}  {mean(one.exact):>11.4f}  {mean(one.f1):>6.4f}")
    if rule.threshold is not None or judged.of_both:
        lines += ["", _of_none(rule, judged)]
    return "\n".join(lines) + "\n"


def _of_none(rule: Rule, judged: Judged) -> str:
    right = int((judged.none & ~judged.has).sum())
    told = f"no answer: said of {int(judged.none.sum()):,} questions, right of {right:,}; it holds of "
    told += f"{int((~judged.has).sum()):,}. "
    if rule.threshold is None:
        return told + "Trained on questions that all have one, the model always gives an answer."
    told += f"Threshold {rule.threshold:.4f}, tuned on the validation split."
    if not judged.of_both:
        return told
    exact, f1 = best_share(judged, judged.part_exact), best_share(judged, judged.part_f1)
    return f"{told} By the best one for these rows exact match {exact:.4f} and F1 {f1:.4f}."
