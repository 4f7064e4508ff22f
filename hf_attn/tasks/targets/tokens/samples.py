"""Samples of what a language model says, for the log of a run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from ..losses import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ....training.evaluation import Predictions

log = logging.getLogger(__name__)

SAMPLES, LONGEST = 2, 40
"""Texts that are shown, and tokens of each."""
BEGUN, GOES_ON = 4, 24
"""Tokens of a text that are given, and tokens that are generated."""


def tell_hidden(tokenizer: PreTrainedTokenizerBase, rows: Any, predictions: Predictions, said: int) -> None:
    """Log a few texts with hidden words, and what the model says in their place.

    Args:
        tokenizer: of the model.
        rows: that were predicted, one text each.
        predictions: of the texts.
        said: column of the most probable token in what is kept of one.
    """
    for row in range(min(SAMPLES, len(rows))):
        given, truth = rows[row]["asked"][0]
        hidden = truth != IGNORED
        answer = np.where(hidden, truth, given)
        answer[hidden] = predictions.outputs[int(rows.pieces.text[row])][: int(hidden.sum()), said]
        log.info(
            "sample: %s\n    said: %s\n    was:  %s",
            decoded(tokenizer, given[:LONGEST]),
            decoded(tokenizer, answer[:LONGEST]),
            decoded(tokenizer, np.where(hidden, truth, given)[:LONGEST]),
        )


def tell_following(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Any) -> None:
    """Log how a model goes on from the beginnings of a few texts, greedily."""
    from .generating import continued

    for row in range(min(SAMPLES, len(rows))):
        given, _ = rows[row]["asked"][0]
        begun = [int(token) for token in given[:BEGUN]]
        more = continued(model, tokenizer, begun, max_new_tokens=GOES_ON)
        log.info("sample: %s ▸ %s", decoded(tokenizer, begun), decoded(tokenizer, more))


def decoded(tokenizer: PreTrainedTokenizerBase, ids: Any) -> str:
    """Return token ids as text on one line, without what frames it; the mask stays."""
    frame = set(tokenizer.all_special_ids) - {tokenizer.mask_token_id, tokenizer.unk_token_id}
    kept = [int(token) for token in ids if int(token) not in frame]
    return " ".join(str(tokenizer.decode(kept)).split())
