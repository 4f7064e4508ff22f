"""Where a model attends in a text of a split: which text is shown, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....attention import attention_map, supported
from ....errors import InputError
from ....interface.plotting import Picture
from ..example import AttentionExample
from .agreement import fitted
from .encoding import encode
from .shown import attention_heat, attention_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .options import Options


@dataclass(frozen=True)
class Examples:
    """Texts of a split, as they may be shown.

    Attributes:
        split: of datasets, with columns of texts.
        tokenizer: of the model.
        args: that name the columns.
        row: the token whose attention is shown; -1 is the last.
    """

    split: Any
    tokenizer: PreTrainedTokenizerBase
    args: Options
    row: int = 0

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the row to look at: one that is right, where that is known, and has a readable number of words."""
        return [typical(self.split[self.args.text], right)]

    def attended(
        self, model: PreTrainedModel, rows: Sequence[int], said: Sequence[str], true: Sequence[str | None]
    ) -> list[AttentionExample]:
        """Return where a model attends in these rows; an empty list if it cannot be watched."""
        if not supported(type(model)):
            return []
        found = []
        for row, prediction, label in zip(rows, said, true, strict=True):
            how: dict[str, Any] = {"prediction": prediction, "label": label, "row": self.row}
            found.append(attend(model, self.tokenizer, *self.texts(row), **how))
        return found

    def texts(self, row: int) -> tuple[str, str | None]:
        """Return the text of a row, and the second one of a pair."""
        example = self.split[row]
        return example[self.args.text], example[self.args.text_pair] if self.args.text_pair else None

    def pictures(self, seen: Sequence[AttentionExample]) -> list[Picture]:
        """Return what draws the first of them."""
        caption = "Where the model attends in one test example"
        return [Picture("attention.png", caption, partial(attention_heat, example)) for example in seen[:1]]

    def text(self, seen: Sequence[AttentionExample]) -> str:
        """Return the first of them for a terminal; empty where there is none."""
        return attention_text(seen[0]) if seen else ""

    def sheet(self, rows: Sequence[int], titles: Sequence[str], wrong: Sequence[bool]) -> list[Picture]:
        """Return no picture: many texts on one sheet cannot be read."""
        return []


def attend(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    text_pair: str | None = None,
    *,
    prediction: str = "",
    label: str | None = None,
    row: int = 0,
) -> AttentionExample:
    """Run one text, or a pair, through a model and return where token ``row`` attends, in all layers and heads.

    Raises:
        InputError: no layer sees each of the tokens.
    """
    tokenizer = fitted(tokenizer, model)
    encoded = encode(tokenizer, [text], None if text_pair is None else [text_pair])
    inputs = {name: torch.tensor(rows, device=model.device) for name, rows in encoded.items()}
    maps = attention_map(model, inputs, rows=[row])
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    fitting = [layer[0, :, 0] for layer in maps if layer.shape[-1] == len(tokens)]
    if not fitting:
        raise InputError(f"{type(model).__name__} has no attention layer that sees each of the {len(tokens)} tokens")
    return AttentionExample(
        tokens=tokens,
        weights=np.stack([layer.float().cpu().numpy() for layer in fitting]),
        special=frozenset(tokenizer.all_special_tokens) - {tokenizer.unk_token},
        row=row,
        prediction=prediction,
        label=label,
    )


def typical(texts: Sequence[str], right: Sequence[bool] | None) -> int:
    """Return the first row that is right and has 5 to 20 words; else right and several, else right, else several."""
    words = np.array([len(text.split()) for text in texts])
    correct = np.ones(len(words), bool) if right is None else np.asarray(right, bool)
    for wanted in (correct & (words >= 5) & (words <= 20), correct & (words > 1), correct, words > 1):
        if wanted.any():
            return int(wanted.argmax())
    return 0
