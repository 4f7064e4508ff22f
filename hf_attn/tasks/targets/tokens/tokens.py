"""Tokens that a model predicts, and all that follows from it: loss, scores, words."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ....errors import InputError
from ....models.packed import Packing, packing_of
from ....models.token_logits import logits_at
from ....training.step import model_inputs
from .. import bootstrap
from ..losses import IGNORED, cross_entropy
from ..words import Described

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions
    from ....training.step import Batch

TRUE, SAID, NATS = range(3)
"""Columns of what is kept of a predicted token: its id, the most probable id, and -log p of its own."""


@dataclass(frozen=True)
class Tokens:
    """What a language model predicts; the base of the two ways.

    Attributes:
        share: of the tokens that are predicted, where some are hidden.
        tokenizer: once it is known.
        packing: how the model takes several texts a row; None where each has a row of its own.
    """

    task: ClassVar[str]
    """As the Hub has it."""
    causal: ClassVar[bool]
    METRICS: ClassVar[dict[str, tuple[str, str]]]
    what: ClassVar[str]
    """What perplexity and accuracy are of."""

    share: float = 0.15
    tokenizer: Any = field(default=None, compare=False)
    packing: Packing | None = None

    num_labels: ClassVar[int] = 0
    problem_type: ClassVar[str] = ""
    names: ClassVar[tuple[str, ...]] = ()

    @property
    def id2label(self) -> dict[int, str]:
        """None: what is predicted stands in the tokenizer."""
        return {}

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What the model gives each example, in words."""

    # Before training

    def fitted(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, block_size: int, *, pack: bool = True
    ) -> Self:
        """Return the same for a model and its tokenizer, with the packing that it honours, found by trying.

        Raises:
            InputError: a tokenizer that lacks what is needed, or a model that cannot learn this.
        """
        self.check(model, tokenizer)
        if not pack:
            return replace(self, tokenizer=tokenizer)
        length = min(block_size, int(tokenizer.model_max_length))
        found = packing_of(model, ordinary(tokenizer), length, causal=self.causal)
        return replace(self, tokenizer=tokenizer, packing=found)

    @abstractmethod
    def check(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Refuse a model or tokenizer that cannot do this."""

    @abstractmethod
    def ask(
        self, ids: np.ndarray, words: np.ndarray, following: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the token ids to give, and those to predict; -100 is none."""

    @abstractmethod
    def tell(self, model: PreTrainedModel, rows: Any, predictions: Predictions) -> None:
        """Log a few samples of what the model says of rows that are scored."""

    # Training

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of a batch, summed over the predicted tokens."""
        logits, truth = self._predicted(model, model_inputs(batch))
        return cross_entropy(logits, truth)

    def count(self, batch: Batch) -> Tensor:
        """Predicted tokens."""
        return (batch["predicted"] != IGNORED).sum()

    def _predicted(self, model: nn.Module, inputs: Batch) -> tuple[Tensor, Tensor]:
        """Logits of the predicted tokens, (tokens, vocabulary), and what they are, (tokens,)."""
        truth = inputs["predicted"]
        given = {name: value for name, value in inputs.items() if name != "predicted"}
        if "segments" in given:
            assert self.packing is not None
            given = self.packing(given, next(model.parameters()).dtype)
        where = truth != IGNORED
        return logits_at(model, given, where), truth[where]

    def outputs(self, model: nn.Module, inputs: Batch) -> Sequence[Any]:
        """What is kept of each row: (predicted tokens, 3) float64, as :data:`TRUE`, :data:`SAID` and :data:`NATS`."""
        import torch

        logits, truth = self._predicted(model, inputs)
        logits = logits.float()
        nats = logits.logsumexp(-1) - logits.gather(-1, truth[:, None])[:, 0]
        kept = torch.stack([truth.double(), logits.argmax(-1).double(), nats.double()], -1).cpu().numpy()
        ends = (inputs["predicted"] != IGNORED).sum(1).cumsum(0).tolist()
        return np.split(kept, ends[:-1])

    # Scores

    def sums(self, predictions: Predictions) -> np.ndarray:
        """(rows, 4): predicted tokens, those that are right, nats, and bytes of the text.

        Raises:
            FloatingPointError: a loss that is not finite.
        """
        rows = [(len(row), (row[:, TRUE] == row[:, SAID]).sum(), row[:, NATS].sum()) for row in predictions.outputs]
        sizes = np.zeros(len(rows)) if predictions.labels is None else np.asarray(predictions.labels)
        found = np.column_stack([np.array(rows, dtype=np.float64).reshape(-1, 3), sizes])
        odd = predictions.ids[~np.isfinite(found).all(1)]
        if len(odd):
            raise FloatingPointError(
                f"the loss of {len(odd)} of {len(predictions)} rows is not finite (first: row {odd[0]}): the model has "
                "diverged; train with a smaller lr"
            )
        return found

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """All scores."""
        return self.scores_of(self.sums(predictions).sum(0))

    def scores_of(self, sums: np.ndarray) -> dict[str, float]:
        """Scores of the sums of some rows, (4,); not a number where nothing was predicted."""
        tokens, right, nats, _ = map(float, sums)
        tokens = tokens or math.nan
        loss = nats / tokens
        return {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "accuracy": right / tokens}

    def choose_metric(self, asked: str | None, validation: Any = None) -> str:
        """The score that chooses the best model: the loss, or the one asked for.

        Raises:
            InputError: there is no such score.
        """
        name = asked or "loss"
        if name.removeprefix("-") not in self.METRICS:
            raise InputError(f"metric {name!r}: choose one of {', '.join(self.METRICS)}")
        return name

    def interval(self, predictions: Predictions, metric: str) -> tuple[float, float] | None:
        """Where a score lies for other texts like these, at 95 %."""
        rows, name = self.sums(predictions), metric.removeprefix("-")
        return bootstrap.interval(lambda some: self.scores_of(rows[some].sum(0))[name], len(rows))

    def report(self, predictions: Predictions) -> str:
        """How much the scores are of."""
        tokens, _, nats, size = self.sums(predictions).sum(0)
        texts = len(predictions)
        return f"{tokens:,.0f} {self.what} of {texts:,} texts ({size:,.0f} bytes of UTF-8), {nats:,.1f} nats in all"

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """(rows,) mean loss of a token."""
        rows = self.sums(predictions)
        return rows[:, 2] / np.maximum(rows[:, 0], 1)

    def right(self, predictions: Predictions) -> np.ndarray:
        """(rows,) bool: the loss is at most the median."""
        losses = self.row_losses(predictions)
        return losses <= np.median(losses)

    # Words, columns and pictures

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """The perplexity of some rows."""
        losses = self.row_losses(predictions)
        return [Described(f"perplexity {math.exp(min(losses[row], 700.0)):.3g}") for row in rows]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Columns of ``predictions.parquet``, a row a text: loss, tokens that were predicted, accuracy."""
        rows = self.sums(predictions)
        tokens = np.maximum(rows[:, 0], 1)
        return {
            "loss": rows[:, 2] / tokens,
            "tokens": rows[:, 0].astype(np.int64),
            "accuracy": rows[:, 1] / tokens,
        }

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """The tokens that cost the most."""
        from functools import partial

        from ....interface.plotting import Picture
        from .figures import costly

        rows = np.concatenate(predictions.outputs)
        caption = "Tokens of the test split that cost the most: their share of the loss, and how often they are right"
        columns = rows[:, TRUE].astype(int), rows[:, SAID], rows[:, NATS]
        return [Picture("tokens.png", caption, partial(costly, *columns, partial(token_names, self.tokenizer)))]

    def summary(self, predictions: Predictions) -> str:
        """What the scores are of."""
        return self.report(predictions)


def ordinary(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the ids of all tokens that are not special."""
    special = {*tokenizer.all_special_ids, *(n for n, t in tokenizer.added_tokens_decoder.items() if t.special)}
    return sorted(set(tokenizer.get_vocab().values()) - special)


def token_names(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """Return tokens as they are read: as text, a piece of a word with the sign that its tokenizer gives it."""
    found = tokenizer.convert_ids_to_tokens(list(map(int, ids)))
    return [str(token).replace("Ġ", "▁").replace("Ċ", "⏎") for token in found]
