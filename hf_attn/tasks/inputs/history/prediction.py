"""Predictions for histories: what is given, made batches that a trained model takes."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ....models.tokenizer import check_text_model, load_tokenizer
from ..text.agreement import bring_together as bring_together
from ..text.agreement import check_token_ids, fitted
from .batching import HistoryRows, collate
from .given import Given
from .items import Catalogue, catalogue, with_states
from .past import Past, older_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

check_folder, load_processor = check_text_model, load_tokenizer


def takes(model: PreTrainedModel) -> bool:
    """Return whether a model's input is a history and a candidate."""
    return {"candidate", "history"} <= set(inspect.signature(model.forward).parameters)


def batches(
    given: Given, tokenizer: PreTrainedTokenizerBase, model: Any, batch_size: int
) -> Iterator[dict[str, Tensor]]:
    """Yield batches of histories and candidates with their ``ids``; each text is encoded once.

    Raises:
        InputError: texts with tokens that the model has no embeddings for.
    """
    rows, items = placed(given, tokenizer, model)
    together = collate(items, model.config.history_length)
    for at in range(0, len(rows), batch_size):
        yield together([rows[row] for row in range(at, min(at + batch_size, len(rows)))])


def placed(given: Given, tokenizer: Any, model: Any) -> tuple[HistoryRows, Catalogue]:
    """Return what is given as rows, and its texts, each once, with their states."""
    tokenizer = fitted(tokenizer, model.encoder)
    length = model.config.history_length
    histories = [one[-length:] for one in given.histories]
    ratings = [one[-length:] for one in given.ratings]
    rated = any(np.isfinite(one).any() for one in ratings)
    if rated != model.config.reads_ratings and any(histories):
        how = (
            "with ratings, and those given have none"
            if model.config.reads_ratings
            else "without ratings: none are read"
        )
        logger.warning("the model was trained on histories %s", how)
    number: dict[str, int] = {}
    items = [number.setdefault(text, len(number)) for one in histories for text in one]
    candidate = np.array([number.setdefault(text, len(number)) for text in given.candidates], np.int64)
    items_of = catalogue(list(number), tokenizer)
    check_token_ids(items_of.tokens["input_ids"], model.encoder, tokenizer)
    end = np.cumsum([len(one) for one in histories])
    start = end - np.array([len(one) for one in histories])
    past = Past(list(number), np.array(items, np.int32), np.concatenate([np.zeros(0), *ratings]).astype(np.float32))
    older = np.array([older_of(one[: len(one) - len(kept)]) for one, kept in zip(given.ratings, ratings, strict=True)])
    made = HistoryRows(past, length, candidate, start, end, None, np.arange(len(candidate)), older=older)
    return made, with_states(items_of, model)
