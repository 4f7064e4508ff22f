"""Where a model attends in a question and its context, and both in the parts that an explanation weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ....attention.modes import evaluation_mode
from ....errors import InputError
from ..text import examples as of_text
from ..text.agreement import fitted
from ..text.parts import TextParts, in_parts
from ..text.pieces import Piece, in_windows
from ..text.windowed import BEFORE, windows_for
from .given import read, stride_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ..example import AttentionExample


@dataclass(frozen=True)
class Examples(of_text.Examples):
    """Questions of a split with their contexts, as they may be shown."""

    def texts(self, row: int) -> tuple[str, str | None]:
        """Return the question of a row and its context."""
        return self.split[row][BEFORE], self.split[row]["text"]

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the row to look at: one that is right, where that is known, with a context of few words."""
        lengths = [len(text.split()) for text in self.split["text"][:]]
        rows = [row for row in range(len(lengths)) if right is None or right[row]] or list(range(len(lengths)))
        return [min(rows, key=lengths.__getitem__)]


def attend(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    one: Any,
    text_pair: Any = None,
    *,
    prediction: str = "",
    label: str | None = None,
) -> AttentionExample:
    """Run a question and its context through a model and return where its first token attends."""
    given = read([one], None if text_pair is None else [text_pair])
    return of_text.attend(model, tokenizer, given.questions[0], given.contexts[0], prediction=prediction, label=label)


def parted(
    model: PreTrainedModel,
    tokenizer: Any,
    one: Any,
    text_pair: Any = None,
    *,
    segments: str | None = None,
    removal: str | None = None,
) -> TextParts:
    """Return a question and its context in parts, and the window that says where their tokens stand.

    Args:
        model: that reads them.
        tokenizer: of the model.
        one: a dict of both, or the question; of a long context the window in which the model is surest of an answer.
        text_pair: the context.
        segments: as of :func:`.text.parts.parted`.
        removal: ``mask``, what stands for a part that is removed.

    Raises:
        InputError: another removal, or what :func:`.text.parts.parted` refuses.
    """
    if removal not in (None, "mask"):
        raise InputError(f"removal {removal!r}: an answer stands at its words, which would move: expected mask")
    given = read([one], None if text_pair is None else [text_pair])
    tokenizer, row = fitted(tokenizer, model), given.rows[0]
    pieces = in_windows(tokenizer, given.contexts, given.questions, overlap=stride_of(model, tokenizer))[0]
    piece = pieces[0] if len(pieces) == 1 else max(pieces, key=lambda piece: _certainty(model, piece))
    texts = [given.questions[0], given.contexts[0]]
    made = in_parts(model, tokenizer, texts, *piece, segments=segments, removal=removal)
    window = windows_for(row, [piece], tokenizer.cls_token_id)[0]
    return replace(made, aside={"window": [window.column()]})


@torch.no_grad()
def _certainty(model: PreTrainedModel, piece: Piece) -> float:
    """Logarithm of the greatest probabilities that an answer begins, and ends, at a token of the context."""
    inputs, places = piece
    with evaluation_mode(model):
        found = model(**{name: torch.tensor([ids], device=model.device) for name, ids in inputs.items()})
    inside = torch.tensor([place is not None and place[0] == 1 for place in places], device=model.device)
    ends = (found.start_logits, found.end_logits)
    return sum(float(logits[0].float().log_softmax(-1)[inside].max()) for logits in ends)
