"""What an encoder-decoder writes, as what is explained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....training.step import model_inputs
from ...explained import Said
from ..written import asked_for, differing, given_words, log_probabilities, question, written
from . import generation
from .saved import of_model
from .texts import Output

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def explained(
    model: PreTrainedModel,
    tokenizer: Any,
    parted: Any,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Said:
    """Return what a model writes for a source, and what of it is explained, given the source and the words before.

    Args:
        model: an encoder-decoder.
        tokenizer: of the model.
        parted: the source.
        wanted: a word that it writes, or several, or the number of one; all by default.
        against: what might stand there instead.

    Raises:
        InputError: it writes nothing, or not that.
    """
    target = of_model(model, 0, tokenizer)
    (ids,) = (row.tolist() for row in generation.outputs(model, model_inputs(parted.batch)))
    said = written(lambda some: target.text(np.array(some)), ids)
    tokens, (start, end) = asked_for(said, wanted)
    places, chosen = list(tokens), [ids[one] for one in tokens]
    other = None if against is None else given_words(against, "against")
    if other is not None:

        def encode(texts: list[str], **how: Any) -> Any:
            return target.tokenizer(text_target=texts, **how)

        place, token = differing(target.tokenizer, ids, said.text, (start, end), tokens, other, encode)
        places, chosen = [place, place], [ids[place], token]
    begun = torch.tensor([[model.generation_config.decoder_start_token_id, *ids[:-1]]], device=model.device)

    def outputs(model: Any, batch: dict[str, Tensor]) -> Tensor:
        given = model_inputs(batch)
        rows = len(given["input_ids"])
        logits = model(**given, decoder_input_ids=begun.expand(rows, -1), use_cache=False).logits
        return log_probabilities(logits[:, places], chosen)

    asked = question(said.text[start:end], len(tokens) if other is None else 1, other)
    kept, read = [Output(np.array(ids))], tuple(sorted(set(places)))
    return Said(replace(parted, read_once=True), outputs, asked, target, kept, said.text, read)
