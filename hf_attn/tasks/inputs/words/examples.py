"""Where a model attends in a text, and the text in the parts that an explanation weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..text import examples as of_text
from ..text.parts import TextParts
from ..text.parts import parted as of_parts
from .given import read

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ..example import AttentionExample


@dataclass(frozen=True)
class Examples(of_text.Examples):
    """Texts of a split, as they may be shown."""

    def texts(self, row: int) -> tuple[str, str | None]:
        """Return the text of a row."""
        return self.split[row]["text"], None

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the row to look at: one that is right, where that is known, and has a readable number of words."""
        return [of_text.typical(self.split["text"], right)]


def attend(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    one: Any,
    text_pair: Any = None,
    *,
    prediction: str = "",
    label: str | None = None,
) -> AttentionExample:
    """Run a text, or a list of tokens, through a model and return where its first token attends."""
    return of_text.attend(model, tokenizer, read([one], text_pair).texts[0], prediction=prediction, label=label)


def parted(
    model: PreTrainedModel,
    tokenizer: Any,
    one: Any,
    text_pair: Any = None,
    *,
    segments: str | None = None,
    removal: str | None = None,
) -> TextParts:
    """Return a text, or a list of tokens, in parts; see :func:`.text.parts.parted`."""
    return of_parts(model, tokenizer, read([one], text_pair).texts[0], segments=segments, removal=removal)
