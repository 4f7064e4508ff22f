"""The tokens that follow, each told from those before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....errors import InputError
from ....interface.printable import printable
from ....models.framing import end_token, start_token
from ....models.input_length import longest_input, plain
from ....models.packed import looks_ahead
from ..generation import check_top_k
from ..losses import IGNORED
from .explanation import following as following_explained
from .generating import configure, generated
from .options import Options
from .samples import tell_following
from .tokens import Tokens, ordinary

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ....training.evaluation import Predictions
    from ....training.step import Batch
    from ...explained import Said

__all__ = ["COLUMNS", "USAGE", "Following", "Options", "encode", "explained", "of_model", "outputs", "printed"]
COLUMNS = ("generated_text", "continuation")
"""What an answer may hold."""
USAGE = ""
"""The snippet of the input fits."""


@dataclass(frozen=True)
class Following(Tokens):
    """Causal language modelling: each token of a text and its end, from the tokens before it.

    Attributes:
        generation: fields of GenerationConfig, saved with the model.
        seed: of sampling.
    """

    generation: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    task = "text-generation"
    causal = True
    what = "tokens"
    METRICS: ClassVar = {
        "loss": ("loss", "Loss"),
        "perplexity": ("perplexity", "Perplexity of a token"),
        "bits_per_byte": ("bits_per_byte", "Bits a byte of UTF-8"),
        "accuracy": ("accuracy", "Accuracy on the next token"),
    }

    @property
    def sentence(self) -> str:
        """What the model gives each example, in words."""
        return "the text that goes on from it"

    def check(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Refuse a model whose tokens see those that they shall predict.

        Raises:
            InputError: it is one.
        """
        if looks_ahead(model, ordinary(tokenizer)):
            raise InputError(
                f"{type(model).__name__} sees the tokens that it is to predict: choose --objective masked, or a model "
                "that reads from left to right"
            )
        frame: dict[str, int] = {"start": start_token(tokenizer), "end": end_token(tokenizer)}
        longest = longest_input(model, tokenizer) or 2**31
        frame |= {"pad": int(tokenizer.pad_token_id), "longest": longest, "seed": self.seed}
        configure(plain(model), self.generation, **frame)

    def ask(
        self, ids: np.ndarray, words: np.ndarray, following: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give a piece as it is; what follows each token is predicted."""
        return ids, np.where(words < 0, IGNORED, following)

    def scores_of(self, sums: np.ndarray) -> dict[str, float]:
        """Scores of the sums of some rows, (4,): also bits a byte, of the text and its end, log2(e) · nats / bytes."""
        found = super().scores_of(sums)
        bits = float(sums[2] / math.log(2) / sums[3]) if sums[3] else math.nan
        return {name: bits if name == "bits_per_byte" else found[name] for name in self.METRICS}

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Columns of ``predictions.parquet``: also the bytes of each text."""
        rows = self.sums(predictions)
        return {**super().columns(predictions), "bytes": rows[:, 3].astype(np.int64)}

    def tell(self, model: PreTrainedModel, rows: Any, predictions: Predictions) -> None:
        """Log how the model goes on from a few beginnings."""
        tell_following(model, self.tokenizer, rows)

    def outputs(self, model: nn.Module, inputs: Batch) -> Sequence[Any]:
        """What is kept of each row: of its predicted tokens; of a prompt, its token ids and those that follow."""
        if "predicted" in inputs:
            return super().outputs(model, inputs)
        return [(ids, more) for ids, more in zip(inputs["input_ids"].tolist(), generated(model, inputs), strict=True)]

    def say(self, outputs: Any, top_k: int | None = None) -> list[dict[str, Any]]:
        """``generated_text``, the prompt and what follows it, and ``continuation``, what follows alone.

        Raises:
            InputError: ``top_k``, which one text does not have.
        """
        check_top_k(top_k, "a prompt")
        decode = partial(self.tokenizer.decode, skip_special_tokens=True)
        return [
            {"generated_text": decode(begun + more), "continuation": _following(decode, begun, more)}
            for begun, more in outputs
        ]


def _following(decode: Callable[[list[int]], str], begun: list[int], more: list[int]) -> str:
    """What is added to a text; cut from the whole, since the first token may begin with a blank."""
    whole, before = decode(begun + more), decode(begun)
    return whole[len(before) :] if whole.startswith(before) else decode(more)


def encode(splits: Any, args: Options) -> tuple[Any, Following]:
    """Return the splits as they are, and what is predicted of them."""
    return splits, Following(generation=args.asked(), seed=args.seed)  # type: ignore[attr-defined]


def outputs(model: nn.Module, inputs: Batch) -> Sequence[Any]:
    """Return what is kept of each row, as :meth:`Following.outputs` does."""
    return Following().outputs(model, inputs)


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Following:
    """Return what a trained model says; ``processor`` is its tokenizer."""
    return Following(tokenizer=processor)


def explained(
    model: PreTrainedModel,
    processor: Any,
    parted: Any,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Said:
    """Return what is explained of what a model says, as :func:`.explanation.following` does."""
    return following_explained(of_model(model, 0, processor), model, parted, wanted, against)


def printed(answer: dict[str, Any], given: str) -> str:
    """Return an answer, as of ``say``, as lines for a terminal."""
    return f"{given}\n  {printable(answer['generated_text'])}"
