"""In which precision weights are kept while they are trained: float32, so that small updates are not rounded away."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch
from torch import nn

from ..errors import InputError

log = logging.getLogger(__name__)

HALF = {torch.bfloat16, torch.float16}


def prepare(model: nn.Module, dtype: str) -> None:
    """Make a model whose trained weights are half precision float32, unless ``dtype`` asks for half; in place.

    Raises:
        InputError: float16 is asked for, whose gradients vanish and which no scaler can scale.
    """
    half = {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} & HALF
    if half and dtype == "float32":
        model.float()
    elif torch.float16 in half:
        raise InputError(
            "dtype float16 is for frozen weights (--lora, --linear_probe, --freeze encoder): train in float32 with "
            "--precision fp16, or in bfloat16"
        )
    elif half:
        log.warning("weights are trained in %s: updates smaller than their last digit are lost", dtype)


def finish(parameters: Iterable[nn.Parameter], dtype: str) -> None:
    """Make weights that were trained in float32 beside a half-precision encoder of its ``dtype``, to be saved so."""
    if dtype != "float32":
        for parameter in parameters:
            parameter.data = parameter.data.to(getattr(torch, dtype))
