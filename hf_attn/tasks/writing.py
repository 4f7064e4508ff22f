"""How a trained model writes, for a while."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def writing(model: PreTrainedModel, asked: Mapping[str, Any] | None) -> Iterator[None]:
    """Let a model write as is asked for inside the block.

    Args:
        model: a trained one.
        asked: fields of GenerationConfig; None leaves all as it is.

    Raises:
        InputError: the model does not write, or its configuration has no such field or does not take the value.
    """
    if asked is None:
        yield
        return
    before = getattr(model, "generation_config", None)
    if before is None or not model.can_generate():
        raise InputError(f"generation is for models that write, and this is a {type(model).__name__}")
    config = copy.deepcopy(before)
    wrong = [f"GenerationConfig has no {name!r}" for name in asked if not hasattr(config, name)]
    for name, value in asked.items():
        setattr(config, name, value)
    try:
        config.validate(strict=True)
    except (ValueError, TypeError) as error:
        wrong.append(" ".join(str(error).split())[:300])
    if wrong:
        raise InputError(f"generation: {'; '.join(wrong)}")
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = before
