"""Texts that a model writes, and all that follows from them: the loss, scores, words."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ....errors import InputError
from ....training.evaluation import Predictions
from ....training.step import model_inputs
from .. import bootstrap, losses
from ..generation import check_top_k, in_words
from ..words import Described
from . import generation
from .kinds import OF_LOSS, Kind
from .metrics import METRICS, SCORES, Compared
from .options import Options
from .words import words

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import GenerationConfig

    from ....interface.plotting import Picture
    from ....training.step import Batch

log = logging.getLogger(__name__)

SHOWN = 3
"""Texts that an evaluation prints."""
WORST = 5
"""Texts that a report shows."""


class Output(NamedTuple):
    """What is kept of a row: the token ids that were written, and the loss of the target's tokens with their number."""

    ids: np.ndarray | None = None
    loss: float | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Texts:
    """Texts that an encoder-decoder writes.

    Attributes:
        kind: of the task.
        tokenizer: makes texts of token ids.
        options: of the run.
        generation: how texts are written.
        start: id of the token that the decoder starts with.
        pad: id of padding.
        tokenize: sacreBLEU's way to divide texts into words.
        targets: the tokenizer that makes token ids of targets.
    """

    kind: Kind
    tokenizer: Any
    options: Options = field(default_factory=Options)
    generation: GenerationConfig | None = None
    start: int = 0
    pad: int = 0
    tokenize: str = "13a"
    targets: Any = None

    # What a model is made with

    names: tuple[str, ...] = ()
    num_labels: int = 1
    problem_type: str = ""
    METRICS = METRICS

    @property
    def id2label(self) -> dict[int, str]:
        """No names."""
        return {}

    @property
    def sentence(self) -> str:
        """What the model gives each text, in words."""
        return self.kind.sentence

    # Training

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy summed over the target's tokens, smoothed (Szegedy et al. 2016; Vaswani et al. 2017, 5.4)."""
        logits = model(**model_inputs(batch), use_cache=False).logits
        return losses.cross_entropy(logits, batch["labels"], label_smoothing=self.options.label_smoothing)

    def count(self, batch: Batch) -> Tensor:
        """Tokens of the targets."""
        return losses.item_count(batch["labels"])

    # Evaluation

    def outputs(self, model: nn.Module, batch: Batch) -> list[Output]:
        """Return texts and, where there are targets, their losses; of a whole batch."""
        written = generation.outputs(model, model_inputs(batch), self.generation)
        known = self.row_losses_of(model, batch) if "labels" in batch else [Output()] * len(written)
        return [one._replace(ids=ids) for one, ids in zip(known, written, strict=True)]

    def row_losses_of(self, model: nn.Module, batch: Batch) -> list[Output]:
        """Return the loss of each row's target by teacher forcing, without smoothing; of a whole batch."""
        labels = batch["labels"]
        logits = model(**model_inputs(batch), use_cache=False).logits.float()
        found = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        rows = zip(found.sum(1).tolist(), (labels != losses.IGNORED).sum(1).tolist(), strict=True)
        return [Output(None, loss, tokens) for loss, tokens in rows]

    def quick(self, model: nn.Module, batch: Batch) -> list[Output]:
        """Return texts, written greedily; of a whole batch."""
        assert self.generation is not None
        made = generation.outputs(model, model_inputs(batch), generation.greedy(self.generation))
        return [Output(ids) for ids in made]

    def sample(self, rows: Any) -> Any:
        """Return the rows of validation that are written at each evaluation, spread evenly over it."""
        count = min(self.options.eval_generated, len(rows))
        return rows.select([at * len(rows) // count for at in range(count)])

    def beside(self, predictions: Predictions, split: Any, source: str) -> Predictions:
        """Return predictions :class:`.metrics.Compared` with the texts of a split, as they are in the file.

        Args:
            predictions: of the rows of the split, by their ids.
            split: with the texts; without a column of targets there is nothing to compare with.
            source: column of the sources.
        """
        column = self.options.target
        if column not in split.column_names:
            return replace(predictions, labels=None)
        sources, references = (split.select(predictions.ids)[name][:] for name in (source, column))
        written = [self.text(one) if one.ids is not None else "" for one in predictions.outputs]
        compared = Compared(sources, references, written, self.tokenize, self.options.bleu_lowercase)
        return replace(predictions, labels=compared)

    def sampled(self, predictions: Predictions) -> dict[str, float]:
        """Return the scores of texts, and log some of them beside their sources and references."""
        step = max(1, len(predictions) // SHOWN)
        for row in range(0, len(predictions), step)[:SHOWN]:
            truth = predictions.labels[row]
            told = truth.source, self.text(predictions.outputs[row]), truth.reference
            log.info("%s\n  written   %s\n  reference %s", *map(_short, told))
        return self.scores(predictions)

    # Scores

    def choose_metric(self, asked: str | None, validation: Any = None) -> str:
        """Return the score that chooses the best model: the usual one, or the loss where no texts are written."""
        return asked or (self.kind.scores[0] if self.options.eval_generated else "loss")

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Return the loss, where targets were read, and the scores of texts, where they were written.

        Raises:
            InputError: no targets.
            FloatingPointError: a loss that is not finite: the model has diverged.
        """
        rows = np.arange(len(predictions))
        found = {name: self.score(predictions, name)(rows) for name in self.computed(predictions)}
        return {name: value for name, value in found.items() if value == value}

    def computed(self, predictions: Predictions) -> list[str]:
        """Return the scores that these predictions have."""
        one = predictions.outputs[0]
        return [*(OF_LOSS if one.loss is not None else ()), *(self.kind.scores if one.ids is not None else ())]

    def score(self, predictions: Predictions, name: str) -> Any:
        """Return what computes a score of rows by their numbers."""
        if name not in OF_LOSS:
            return SCORES[name](self.compared(predictions))
        pairs = np.array([(one.loss, one.tokens) for one in predictions.outputs], dtype=float)
        odd = predictions.ids[~np.isfinite(pairs[:, 0])]
        if len(odd):
            raise FloatingPointError(
                f"the loss of {len(odd)} of {len(predictions)} rows is not finite (first: row {odd[0]}): the model has "
                "diverged; train with a smaller lr"
            )
        if name == "loss":
            return lambda rows: float(np.divide(*pairs[rows].sum(0)))
        return lambda rows: math.exp(min(float(np.divide(*pairs[rows].sum(0))), 700.0))

    def compared(self, predictions: Predictions) -> Compared:
        """Return the texts that were written beside what they should be.

        Raises:
            InputError: no targets.
        """
        if predictions.labels is None:
            raise InputError("these rows have no target texts: there is nothing to compare the predictions with")
        return predictions.labels

    def interval(self, predictions: Predictions, metric: str) -> tuple[float, float] | None:
        """Return where a score lies for other rows like these, at 95 %."""
        return bootstrap.interval(self.score(predictions, metric.removeprefix("-")), len(predictions))

    def report(self, predictions: Predictions) -> str:
        """Return the signatures of the scores, and the texts that are worst."""
        texts = self.compared(predictions)
        lines = []
        for name in ("bleu", "chrf", "ter"):
            if name in self.kind.scores:
                metric, counts = texts.sacre(name)
                total = counts.sum(0) if name == "ter" else counts.sum(0).astype(int)
                lines.append(f"{metric._compute_score_from_stats(total.tolist())}  {metric.get_signature()}")
        if "rouge1" in self.kind.scores:
            from importlib.metadata import version

            lines.append(
                f"ROUGE: mean of F1 of the rows, stemmed, words of any script, rouge-score {version('rouge-score')}"
            )
        how = "as generate does by default" if self.generation is None else in_words(self.generation)
        lines.append(f"Test texts: {how}; those of validation: {self.options.eval_generated} at most, greedy")
        lines.append(f"\nThe {WORST} worst texts, by chrF:")
        for row in np.argsort(texts.chrf_of_rows, kind="stable")[:WORST]:
            lines.append(f"{texts.chrf_of_rows[row]:5.1f}  {_short(texts.sources[row])}")
            lines += [f"       → {_short(texts.written[row])}", f"       = {_short(texts.references[row])}"]
        return "\n".join(lines)

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """Return how wrong each row is, (rows,): 1 - chrF / 100."""
        return 1 - self.compared(predictions).chrf_of_rows / 100

    def right(self, predictions: Predictions) -> np.ndarray:
        """Return which rows are at least as good as the median, (rows,) bool."""
        lost = self.row_losses(predictions)
        return lost <= np.median(lost)

    # Words, columns and pictures

    def text(self, output: Output | np.ndarray) -> str:
        """Return token ids as text."""
        ids = output.ids if isinstance(output, Output) else output
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def say(self, outputs: Sequence[Any], top_k: int | None = None) -> list[dict[str, Any]]:
        """Return one dict a row: ``translation_text`` or ``summary_text``.

        Raises:
            InputError: ``top_k``, which one text does not have.
        """
        check_top_k(top_k, "a text")
        return [{self.kind.answer: self.text(one)} for one in outputs]

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """Return what is written for some rows, and what should be."""
        said = [self.text(predictions.outputs[row]) for row in rows]
        if predictions.labels is None:
            return [Described(one) for one in said]
        true = [predictions.labels[row].reference for row in rows]
        return [Described(one, None, other, one != other) for one, other in zip(said, true, strict=True)]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Return the columns of ``predictions.parquet``: reference, prediction, the row's chrF and loss of a token."""
        said = {"prediction": [self.text(one) for one in predictions.outputs]}
        if predictions.labels is None:
            return said
        found: dict[str, Any] = {"reference": [truth.reference for truth in predictions.labels], **said}
        found["chrf"] = self.compared(predictions).chrf_of_rows
        if predictions.outputs[0].loss is not None:
            found["loss"] = np.array([one.loss / max(one.tokens, 1) for one in predictions.outputs])
        return found

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Return how good texts are by the length of their source."""
        from functools import partial

        from ....interface.plotting import Picture
        from .figures import by_length

        texts = self.compared(predictions)
        lengths = np.array([len(words(source)) for source in texts.sources])
        draw = partial(by_length, lengths, texts.chrf_of_rows)
        return [Picture("lengths.png", "chrF of the test texts by the words of their sources", draw)]

    def summary(self, predictions: Predictions) -> str:
        """Return the signatures."""
        return "" if predictions.labels is None else self.report(predictions).split("\n\n")[0]


def _short(text: str, most: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
