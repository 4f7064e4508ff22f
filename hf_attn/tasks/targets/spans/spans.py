"""The part of a text that answers a question: what a model predicts, and all that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from ....errors import InputError, nearest
from .. import bootstrap
from ..words import Described
from . import scoring
from .answers import described, said_of
from .found import Found, Rule, log_probabilities, logits_of, outputs, tokens_of
from .groups import report
from .options import Options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions
    from ....training.step import Batch
    from ...explained import Asked
    from ...windows import Window
    from .scoring import Judged

NO_LABEL = -100


@dataclass(frozen=True)
class Spans:
    """The part of a context that answers a question: a softmax over tokens for where it begins, one for where it ends.

    Attributes:
        unanswerable: whether questions may have no answer.
        threshold: by how much the logarithm of the odds of no answer must exceed 0 for none to be said.
        most: answers of a window that are learnt, at most.
        options: of answers.
    """

    unanswerable: bool = False
    threshold: float = 0.0
    most: int = 1
    options: Options = field(default_factory=Options, compare=False)

    METRICS: ClassVar[Mapping[str, tuple[str, str]]] = scoring.METRICS
    problem_type: ClassVar[str] = ""
    """A model of answers has none."""
    num_labels: ClassVar[int] = 2
    """Where an answer begins, and where it ends."""
    id2label: ClassVar[dict[int, str]] = {}
    """The two have no names: transformers gives them none."""
    names: ClassVar[tuple[str, ...]] = ()
    """What is predicted has no names."""
    outputs = staticmethod(outputs)

    @property
    def sentence(self) -> str:
        """What the model gives each question, in words."""
        return "the part of its context that answers it" + (", or none" if self.unanswerable else "")

    # Training

    def align(self, row: Mapping[str, Any], window: Window) -> list[int]:
        """Return what a window learns: how many answers it holds, and first and last token of each.

        Of ``most`` answers; those that are not there have -100. A window that holds none whole points at the token that
        stands for it, twice.
        """
        answers = row["labels"][:1] if self.options.learn_from == "first" else row["labels"]
        pairs = [tokens_of(window.places, one["start"], one["end"]) for one in answers]
        found = [pair for pair in pairs if pair is not None][: self.most]
        pairs_learnt = found or [(window.whole, window.whole)]
        flat = [place for pair in pairs_learnt for place in pair]
        return [len(found), *flat, *[NO_LABEL] * (2 * (self.most - len(pairs_learnt)))]

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch, summed over its windows: mean over a window's answers of half of -log p(begin) - log p(end).

        Raises:
            InputError: a model that does not say of each token whether an answer begins, and ends, there.
        """
        pairs = batch["labels"][:, 1:].unflatten(1, (-1, 2))
        if "attention_mask" in batch:
            pairs = torch.where(pairs >= 0, pairs + batch["attention_mask"].argmax(1)[:, None, None], pairs)
        there = (pairs[..., 0] >= 0).float()
        total = torch.zeros((), device=pairs.device)
        for side, logits in enumerate(logits_of(model, batch)):
            shares = log_probabilities(logits, batch).gather(1, pairs[..., side].clamp(min=0))
            total = total - (shares * there).sum(1).div(there.sum(1)).sum()
        return total / 2

    def count(self, batch: Batch) -> Tensor:
        """Windows."""
        return torch.tensor(len(batch["labels"]))

    # Scores

    def choose_metric(self, asked: str | None, validation: Any) -> str:
        """Return the score that chooses the best model, by default F1.

        Raises:
            InputError: no such score, or one of questions that the validation split has none of.
        """
        name = (asked or "f1").removeprefix("-")
        if name not in scoring.SCORES:
            known = list(scoring.SCORES)
            raise InputError(f"unknown metric {name!r}: expected one of {', '.join(known)}{nearest(name, known)}")
        without = sum(not answers for answers in validation)
        if name in scoring.OF_BOTH and not 0 < without < len(validation):
            lacks = "without an answer" if not without else "with an answer"
            raise InputError(f"metric {name!r} has no value on the validation split: it has no question {lacks}")
        return asked or name

    @property
    def rule(self) -> Rule:
        """How an answer is taken of what a model says."""
        return Rule(self.options.max_answer_length, self.threshold if self.unanswerable else None)

    def judged(self, predictions: Predictions) -> Judged:
        """Return how right each question is."""
        return scoring.judged(self.rule, predictions.outputs, scoring.checked(predictions))

    def tuned(self, predictions: Predictions) -> Spans:
        """Return the same with the threshold that gives these predictions, of the validation split, their best F1."""
        if not self.unanswerable or all(predictions.labels):
            return self
        plain = replace(self, threshold=0.0)
        return replace(self, threshold=scoring.best_threshold(plain.judged(predictions)))

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Return the scores of predictions whose truth is known: those of SQuAD's own scripts, as shares of 1.

        Raises:
            InputError: no answers.
            FloatingPointError: logits that are not finite: the model has diverged.
        """
        judged = self.judged(predictions)
        found = {name: score(judged) for name, score in scoring.SCORES.items()}
        return {name: value for name, value in found.items() if value == value}

    def interval(self, predictions: Predictions, metric: str, **how: Any) -> tuple[float, float] | None:
        """Return where a score lies for other questions like these, by :func:`.bootstrap.interval` over questions."""
        judged, score = self.judged(predictions), scoring.SCORES[metric.removeprefix("-")]
        return bootstrap.interval(lambda rows: score(judged.of(rows)), len(predictions), **how)

    def report(self, predictions: Predictions) -> str:
        """Return the scores by length of answer and by kind of question, and of both kinds of answer, as text."""
        return report(self.rule, self.judged(predictions), predictions)

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """(rows,) mean loss of the windows of each context."""
        judged = self.judged(predictions)
        return np.asarray(judged.loss / judged.windows)

    def right(self, predictions: Predictions) -> np.ndarray:
        """(rows,) bool: questions whose answer is said exactly."""
        return np.asarray(self.judged(predictions).exact == 1)

    # Words, columns and pictures

    def asked(self, outputs: Found, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """Return what is explained of a question: an answer; see :func:`.asked.asked`."""
        from .asked import asked

        return asked(self.rule, outputs, wanted, against)

    def say(self, outputs: Sequence[Found], top_k: int | None = None) -> list[dict[str, Any]]:
        """Return the answer to each question, one dict each.

        ``answer`` (empty where none is said), ``score`` (the probability that the model begins it there, times that it
        ends it there), ``start`` and ``end`` in characters of the context, None where none is said. ``no_answer``, of
        a model that may say so: the probability of none, likewise. ``answers``, with ``top_k`` above 1: the best so
        many, what is said first.
        """
        return [said_of(self.rule, item, top_k) for item in outputs]

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """Return what is said of some questions, and what answers them, in words."""
        truth = predictions.labels
        return [described(self.rule, predictions.outputs[row], None if truth is None else truth[row]) for row in rows]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Columns of ``predictions.parquet``: question, label (texts), prediction, score and its characters."""
        said = self.say(predictions.outputs)
        truth = predictions.labels
        found: dict[str, Any] = {
            "question": [item.question for item in predictions.outputs],
            "label": None if truth is None else [[one["text"] for one in answers] for answers in truth],
            "prediction": [answer["answer"] for answer in said],
        }
        found |= {name: [answer[name] for answer in said] for name in ("score", "start", "end")}
        if self.unanswerable:
            found["no_answer"] = [answer["no_answer"] for answer in said]
        if truth is not None:
            judged = self.judged(predictions)
            found |= {"exact_match": judged.exact, "f1": judged.f1}
        return {name: column for name, column in found.items() if column is not None}

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """F1 by length of answer and by kind of question; how sure the model is that there is none."""
        from .figures import pictures

        return pictures(self.rule, self.judged(predictions), predictions)

    def summary(self, predictions: Predictions) -> str:
        """Return the report for a terminal."""
        return "" if predictions.labels is None else self.report(predictions).rstrip()
