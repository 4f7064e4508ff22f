"""A history as the items that an explanation weighs, and the same without some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ....errors import InputError
from ...explained import Leaf, Part
from ..coloured import attributes, shares, shown
from ..text.parts import chosen
from .batching import collate
from .given import Given, read
from .prediction import placed
from .shown import bars, lines, rated

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

SEGMENTS = ("items",)
REMOVALS = ("delete",)


@dataclass(frozen=True)
class HistoryParts:
    """One history and its candidate; the parts are the items of the history that the model reads, the oldest first.

    Attributes:
        parts: the items.
        ratings: (parts,) NaN where none is known.
        candidate: its text.
        unread: items of the history before those that the model reads.
        batch: the input as the model takes it, one row.
    """

    parts: list[Part]
    ratings: np.ndarray
    candidate: str
    unread: int
    batch: dict[str, Tensor]

    @property
    def aside(self) -> dict[str, Tensor]:
        """Nothing: a target is told of the batch alone."""
        return {}

    @property
    def rows_at_once(self) -> None:
        """None: a forward pass holds any number of rows."""

    @property
    def places(self) -> np.ndarray:
        """(parts,) where the parts stand in the padded history."""
        return np.flatnonzero(self.batch["history_mask"][0].cpu().numpy())

    def kept(self, keep: np.ndarray) -> dict[str, Tensor]:
        """Return the input with some of its items alone, a row for each row of ``keep``, (rows, parts) bool.

        An item that is taken away is nowhere: the others keep their order and close up.
        """
        batch = self.repeated(len(keep))
        width = batch["history"].shape[1]
        columns = np.zeros((len(keep), width), np.int64)
        mask = np.zeros((len(keep), width), bool)
        for row, some in enumerate(keep):
            there = self.places[some]
            columns[row, width - len(there) :], mask[row, width - len(there) :] = there, True
        at, seen = (torch.from_numpy(values).to(batch["history"].device) for values in (columns, mask))
        ratings = batch["ratings"].gather(1, at).masked_fill(~seen, torch.nan)
        return {**batch, "history": batch["history"].gather(1, at), "ratings": ratings, "history_mask": seen}

    def repeated(self, rows: int) -> dict[str, Tensor]:
        """Return the input in so many rows; its items stay one list."""
        return {
            name: values if name.startswith("item_") else values.expand(rows, *values.shape[1:])
            for name, values in self.batch.items()
        }

    def of_tokens(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (…, parts) of (…, items) weights over the padded history; None where they are of something else."""
        return weights[..., self.places] if weights.shape[-1] == self.batch["history"].shape[1] else None

    def of_map(self, weights: np.ndarray) -> None:
        """Return None: a history has no rows and columns."""

    def own_tokens(self, count: int) -> list[tuple[int, str]]:
        """Return nothing: each place is an item, or padding that nothing attends to."""
        return []

    @property
    def left_out(self) -> str:
        """What of the history the model does not read, in words; empty where it reads all."""
        return f"{self.unread:,} older items of the history are not read." if self.unread else ""

    @property
    def grid(self) -> None:
        """None: a history has no rows and columns."""

    def html(self, weights: np.ndarray) -> str:
        """Return the history as HTML, the newest item first, in colours of (parts,) weights."""
        share = shares(weights)
        items = "".join(
            f"<li><span {attributes(at, share[at])}>{shown(self.parts[at].name)}</span> {rated(self.ratings[at])}</li>"
            for at in reversed(range(len(self.parts)))
        )
        return f'<p class="text" dir="auto">{shown(self.candidate)}</p><ol class="text">{items}</ol>'

    def line(self, weights: np.ndarray, *, colour: bool | None = None) -> str:
        """Return the history for a terminal, the newest item first, with bars of (parts,) weights."""
        return lines([part.name for part in self.parts], self.ratings, weights, colour=colour)

    def draw(self, weights: np.ndarray) -> Figure:
        """Draw the history with bars of (parts,) weights."""
        return bars([part.name for part in self.parts], self.ratings, weights)

    def leaf(self, model: PreTrainedModel, outputs: Callable[[nn.Module, dict[str, Tensor]], Tensor]) -> Leaf:
        """Return the states of the history's items, at which gradients are taken; 0 is no text at all."""
        batch, there = self.batch, torch.from_numpy(self.places)
        value = batch["item_states"][batch["history"][0, there]].unsqueeze(0)  # (1, parts, channels)
        last = batch["item_states"][batch["candidate"][0]]
        keys = torch.cat([batch["item_keys"][batch["history"][0, there]], batch["item_keys"][batch["candidate"][0]]])
        parts = len(self.parts)

        def forward(states: Tensor) -> Tensor:
            rows = len(states)
            each = torch.arange(rows, device=states.device).unsqueeze(1) * (parts + 1)
            history = batch["history"].new_zeros(rows, batch["history"].shape[1])
            history[:, there] = each + torch.arange(parts, device=states.device)
            items = torch.cat([states, last.unsqueeze(0).expand(rows, -1, -1)], 1).flatten(0, 1)
            own = {"candidate": each + parts, "history": history, "item_states": items, "item_keys": keys.repeat(rows)}
            return outputs(model, {**self.repeated(rows), **own})

        return Leaf(value, torch.zeros_like(value), forward, lambda values: values.sum(-1))


def parted(
    model: PreTrainedModel,
    processor: Any,
    one: Any,
    text_pair: str | None = None,
    *,
    segments: str | None = None,
    removal: str | None = None,
) -> HistoryParts:
    """Return a history in its items.

    Args:
        model: that reads it.
        processor: its tokenizer.
        one: a dict of ``history``, ``candidate`` and ``ratings``; or a history as a form has it.
        text_pair: the candidate, with a form's history.
        segments: ``items``.
        removal: ``delete``: an item that is taken away is nowhere.

    Raises:
        InputError: another kind of segments or removal, or a history without items.
    """
    chosen(segments, SEGMENTS, "segments")
    chosen(removal, REMOVALS, "removal")
    given: Given = read([one], None if text_pair is None else [text_pair])
    if not given.histories[0]:
        raise InputError("the history to explain is empty: what a candidate gets without one comes from no part of it")
    rows, items = placed(given, processor, model)
    batch = {
        name: values.to(model.device)
        for name, values in collate(items, model.config.history_length)([rows[0]]).items()
        if name != "ids"
    }
    texts, ratings = given.histories[0], given.ratings[0]
    read_of_it = min(len(texts), model.config.history_length)
    parts = [Part(text) for text in texts[-read_of_it:]]
    return HistoryParts(parts, ratings[-read_of_it:], given.candidates[0], len(texts) - read_of_it, batch)
