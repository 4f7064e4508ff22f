"""Where a model attends in a text, and the text in the parts that an explanation weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ..text import examples as of_text
from ..text.agreement import fitted
from ..text.parts import TextParts
from ..text.parts import parted as of_parts
from ..text.pieces import in_windows
from ..text.windowed import windows_for
from .division import flat
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
    """Return a text, or a list of tokens, in parts, and the window that says where its words stand.

    Args:
        model: that reads it.
        tokenizer: of the model.
        one: a text, or a list of tokens; of a long one what the first window holds.
        text_pair: None.
        segments: as of :func:`.text.parts.parted`.
        removal: ``mask``, what stands for a part that is removed.

    Raises:
        InputError: another removal, or what :func:`.text.parts.parted` refuses.
    """
    if removal not in (None, "mask"):
        raise InputError(f"removal {removal!r}: a tag stands at its word, which would move: expected mask")
    given = read([one], text_pair)
    row = {"text": given.texts[0], "words": flat(given.words[0])}
    made = of_parts(model, tokenizer, row["text"], segments=segments, removal=removal)
    pieces = in_windows(fitted(tokenizer, model), [given.texts[0]])[0][:1]
    return replace(made, aside={"window": [windows_for(row, pieces)[0].column()]})
