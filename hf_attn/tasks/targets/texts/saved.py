"""What a trained model writes, as its configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...table import named_in
from .kinds import KINDS
from .languages import tell_unsaid
from .texts import Texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Texts:
    """Return what a trained model writes.

    Args:
        model: with its configuration, that may name its task.
        outputs: not used: texts differ in length.
        processor: its tokenizer, which makes texts of token ids.
    """
    tell_unsaid(processor, model.generation_config)
    return Texts(KINDS[named_in(model.config, KINDS) or "translation"], processor, generation=model.generation_config)
