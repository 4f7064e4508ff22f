"""What a trained model writes, as its configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....models.decoder_tokenizer import writer
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
        processor: its tokenizer, which makes texts of token ids, or has a decoder's own one beside it that does.

    Raises:
        InputError: the decoder's own one is not there.
    """
    tokenizer = writer(processor, model.config)
    tell_unsaid(tokenizer, model.generation_config)
    return Texts(KINDS[named_in(model.config, KINDS) or "translation"], tokenizer, generation=model.generation_config)
