"""Where a model attends in the history of a row: which row is shown, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ....attention.maps import attention_map
from ....attention.watching import layers_in_order
from ....errors import InputError
from ....interface.plotting import Picture
from ....interface.printable import printable
from .batching import collate
from .given import read
from .past import CANDIDATE, END, START, seen_by
from .prediction import placed
from .shown import WeighedHistory, history_picture, lines

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from .options import Options
    from .past import Past

READABLE = (8, 25)
"""Items of a history that fill a picture and no more."""


@dataclass(frozen=True)
class Examples:
    """Rows of a split, as they may be shown.

    Attributes:
        split: with what each row may see.
        past: what there is to be seen.
        tokenizer: of the model.
        args: of the run.
    """

    split: Any
    past: Past
    tokenizer: Any
    args: Options

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the row to look at: one that is right, where that is known, with a history that can be read."""
        _, start, end = seen_by(self.split)
        length = end - start
        correct = np.ones(len(length), bool) if right is None else np.asarray(right, bool)
        readable = (length >= READABLE[0]) & (length <= READABLE[1])
        for wanted in (correct & readable, readable, correct & (length > 1), length > 0):
            if wanted.any():
                return [int(wanted.argmax())]
        return []

    def one(self, row: int) -> dict[str, Any]:
        """Return a row as :func:`hf_attn.predict` takes it."""
        candidate, start, end = (int(self.split[row][name]) for name in (CANDIDATE, START, END))
        items, ratings = self.past.before(start, end, self.args.history_length)
        texts = [self.past.texts[item] for item in items.tolist()]
        return {"history": texts, "ratings": ratings.astype(float), "candidate": self.past.texts[candidate]}

    def attended(
        self, model: PreTrainedModel, rows: Sequence[int], said: Sequence[str], true: Sequence[str | None]
    ) -> list[WeighedHistory]:
        """Return where a model attends in these rows."""
        return [
            attend(model, self.tokenizer, self.one(row), prediction=prediction, label=label)
            for row, prediction, label in zip(rows, said, true, strict=True)
        ]

    def pictures(self, seen: Sequence[WeighedHistory]) -> list[Picture]:
        """Return what draws the first of them."""
        caption = "What of the history one candidate of the test split attends to"
        return [Picture("history.png", caption, partial(history_picture, one)) for one in seen[:1]]

    def text(self, seen: Sequence[WeighedHistory]) -> str:
        """Return the first of them for a terminal; empty where there is none."""
        if not seen:
            return ""
        one = seen[0]
        said = " ".join(
            [f"predicted: {printable(one.prediction)}", *([f"true: {printable(one.label)}"] if one.label else [])]
        )
        return f"{printable(one.candidate)}\n{said}\n{lines(one.texts, one.ratings, one.mean)}"

    def sheet(self, rows: Sequence[int], titles: Sequence[str], wrong: Sequence[bool]) -> list[Picture]:
        """Return no picture: many histories on one sheet cannot be read."""
        return []


def attend(
    model: PreTrainedModel,
    processor: Any,
    one: Any,
    text_pair: Any = None,
    *,
    prediction: str = "",
    label: str | None = None,
) -> WeighedHistory:
    """Run one history and its candidate through a model and return what the candidate attends to.

    Raises:
        InputError: a history without items.
    """
    given = read([one], None if text_pair is None else [text_pair])
    texts, ratings = (
        given.histories[0][-model.config.history_length :],
        given.ratings[0][-model.config.history_length :],
    )
    if not texts:
        raise InputError("the history is empty: there is nothing to attend to")
    rows, items = placed(given, processor, model)
    batch = {
        name: values.to(model.device)
        for name, values in collate(items, model.config.history_length)([rows[0]]).items()
        if name != "ids"
    }
    layer = layers_in_order(model).index(model.cross_attention)  # type: ignore[arg-type]
    weights = attention_map(model, batch, layers=[layer])[0][0, :, 0].float().cpu().numpy()
    there = batch["history_mask"][0].cpu().numpy()
    return WeighedHistory(texts, ratings, weights[:, there], given.candidates[0], prediction, label)
