"""What a trained model of answers says, as its configuration has it, and what is noted there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ....models.input_length import plain
from .options import Options
from .spans import Spans

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

TASK = "question-answering"
THRESHOLD, LONGEST, STRIDE = "no_answer_threshold", "max_answer_length", "stride"


def keep(model: nn.Module, target: Spans, stride: int) -> None:
    """Note in a model's configuration, as ``task_specific_params``, what prediction needs.

    Args:
        model: trained.
        target: with its threshold; that of a model which always answers is null.
        stride: tokens that windows share.
    """
    noted = {
        THRESHOLD: float(target.threshold) if target.unanswerable else None,
        LONGEST: target.options.max_answer_length,
        STRIDE: stride,
    }
    inner: Any = plain(model)
    inner.config.task_specific_params = {TASK: noted}


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Spans:
    """Return what a trained model says of a question; one that notes no threshold is taken to answer always."""
    told = (getattr(model.config, "task_specific_params", None) or {}).get(TASK) or {}
    if THRESHOLD not in told:
        log.info("config.json notes no threshold of saying that there is no answer: one is always given")
    threshold = told.get(THRESHOLD)
    options = Options(max_answer_length=int(told.get(LONGEST, Options.max_answer_length)))
    return Spans(threshold is not None, float(threshold or 0.0), options=options)
