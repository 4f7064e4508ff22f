"""Words that are hidden from a model, which tells them from those on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from ....errors import InputError
from ....interface.printable import printable
from ....models.token_logits import logits_at
from . import masking
from .explanation import masked as masked_explained
from .options import Options
from .samples import tell_hidden
from .tokens import SAID, Tokens, ordinary

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ....training.evaluation import Predictions
    from ....training.step import Batch
    from ...explained import Said

__all__ = ["COLUMNS", "USAGE", "Masked", "Options", "encode", "explained", "of_model", "outputs", "printed"]
COLUMNS = ("token_str", "score", "sequence", "tokens")
"""What an answer may hold."""
USAGE = ""
"""The snippet of the input fits."""
KEPT, SHOWN = 100, 5
"""Most probable tokens that are kept of each mask, and that are shown by default."""


@dataclass(frozen=True)
class Masked(Tokens):
    """Masked language modelling: the hidden tokens of a text (Devlin et al. 2019, section 3.1)."""

    task = "fill-mask"
    causal = False
    what = "masked tokens"
    METRICS: ClassVar = {
        "loss": ("loss", "Loss"),
        "perplexity": ("perplexity", "Perplexity of masked tokens"),
        "accuracy": ("accuracy", "Accuracy on masked tokens"),
    }

    @property
    def sentence(self) -> str:
        """What the model gives each example, in words."""
        return "the words that are hidden in it"

    @cached_property
    def ordinary(self) -> np.ndarray:
        """Ids of all tokens that are not special."""
        return np.array(ordinary(self.tokenizer))

    def check(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Refuse a tokenizer without a mask; one that has it reads it in texts once it is saved, as pipelines do.

        Raises:
            InputError: it has none.
        """
        if tokenizer.mask_token_id is None:
            raise InputError(
                f"{tokenizer.name_or_path}: the tokenizer has no mask token, by which words are hidden: choose "
                "--objective causal, or another model"
            )
        tokenizer.split_special_tokens = tokenizer.init_kwargs["split_special_tokens"] = False

    def ask(
        self, ids: np.ndarray, words: np.ndarray, following: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hide words of a piece."""
        return masking.masked(ids, words, self.share, self.tokenizer.mask_token_id, self.ordinary, random)

    def tell(self, model: PreTrainedModel, rows: Any, predictions: Predictions) -> None:
        """Log what the model says of a few texts."""
        tell_hidden(self.tokenizer, rows, predictions, SAID)

    def outputs(self, model: nn.Module, inputs: Batch) -> Sequence[Any]:
        """What is kept of each row: of its predicted tokens; of a text with masks, ids and what may stand there.

        A text is (its token ids, the places of its masks, ids of the most probable tokens there, their probabilities).
        """
        if "predicted" in inputs:
            return super().outputs(model, inputs)
        masks = inputs["masks"]
        shares = logits_at(model, {n: v for n, v in inputs.items() if n != "masks"}, masks).float().softmax(-1)
        best = shares.topk(min(KEPT, shares.shape[-1]))
        ends = masks.sum(1).cumsum(0).tolist()[:-1]
        found = (np.split(part.cpu().numpy(), ends) for part in (best.indices, best.values))
        whole = inputs.get("attention_mask", torch.ones_like(masks)).bool()
        texts = [
            (ids[kept].cpu().numpy(), mask[kept].nonzero()[:, 0].cpu().numpy())
            for ids, mask, kept in zip(inputs["input_ids"], masks, whole, strict=True)
        ]
        return [(*text, *top) for text, *top in zip(texts, *found, strict=True)]

    def say(self, outputs: Any, top_k: int | None = None) -> list[dict[str, Any]]:
        """What may stand at the mask of each text, as the pipeline of transformers names it.

        ``token_str``, its ``score`` (its probability), the whole ``sequence`` with it, and ``tokens``: the ``top_k``
        most probable ones, 5 by default, greatest first, likewise. Where one of the texts has several masks,
        ``token_str``, ``score`` and ``tokens`` are lists in all answers, an entry a mask; a sequence has the best of
        each.

        Raises:
            InputError: ``top_k`` is more than is kept.
        """
        if top_k is not None and top_k > KEPT:
            raise InputError(f"top_k is {top_k}, expected at most {KEPT} tokens a mask")
        several = any(len(places) > 1 for _, places, _, _ in outputs)
        said = []
        for ids, places, tokens, shares in outputs:
            filled = ids.copy()
            filled[places] = tokens[:, 0]
            listed = [
                [self._answer(filled, place, int(token), float(share)) for token, share in zip(*both, strict=True)]
                for place, *both in zip(places, tokens[:, : top_k or SHOWN], shares[:, : top_k or SHOWN], strict=True)
            ]
            first = [one[0] for one in listed]
            answer: dict[str, Any] = {name: [one[name] for one in first] for name in ("token_str", "score")}
            answer |= {"sequence": first[0]["sequence"], "tokens": listed}
            if not several:
                answer |= {name: answer[name][0] for name in ("token_str", "score", "tokens")}
            said.append(answer)
        return said

    def _answer(self, filled: np.ndarray, place: int, token: int, score: float) -> dict[str, Any]:
        ids = filled.copy()
        ids[place] = token
        sequence = self.tokenizer.decode(ids.tolist(), skip_special_tokens=True)
        return {"score": score, "token": token, "token_str": self.tokenizer.decode([token]), "sequence": sequence}


def encode(splits: Any, args: Options) -> tuple[Any, Masked]:
    """Return the splits as they are, and what is predicted of them."""
    return splits, Masked(share=args.mlm_probability)


def outputs(model: nn.Module, inputs: Batch) -> Sequence[Any]:
    """Return what is kept of each row, as :meth:`Masked.outputs` does."""
    return Masked().outputs(model, inputs)


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Masked:
    """Return what a trained model says; ``processor`` is its tokenizer."""
    return Masked(tokenizer=processor)


def explained(
    model: PreTrainedModel,
    processor: Any,
    parted: Any,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Said:
    """Return what is explained of what a model says, as :func:`.explanation.masked` does."""
    return masked_explained(of_model(model, 0, processor), model, parted, wanted, against)


def printed(answer: dict[str, Any], given: str) -> str:
    """Return an answer, as of ``say``, as lines for a terminal."""
    tokens = answer["tokens"] if isinstance(answer["tokens"][0], list) else [answer["tokens"]]
    lines = [given]
    for number, some in enumerate(tokens, start=1):
        lines += [f"  mask {number}"] * (len(tokens) > 1)
        lines += [f"  {one['score']:.4f}  {printable(one['token_str'].strip())}" for one in some]
    return "\n".join(lines)
