"""Pieces of texts in rows of one length, and the batches that a language model is trained and scored on."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....training.evaluation import Predictions

if TYPE_CHECKING:
    from .unlabelled import Pieces

log = logging.getLogger(__name__)

Ask = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""What is asked of a piece, of its token ids, their words, the next tokens' ids, and a generator of random numbers:
the token ids to give the model, and those to predict at each token; -100 is none."""
SCORED = 2**32
"""In place of a seed: what is drawn of texts that are scored is the same in every run."""


def fill(lengths: Sequence[int] | np.ndarray, room: int) -> list[list[int]]:
    """Put pieces whole into rows of ``room`` tokens: each, longest first, where the least room is left that holds it.

    Best-fit decreasing (Ding et al. 2024, section 3.1).

    Args:
        lengths: of the pieces, at most ``room``.
        room: tokens of a row.

    Returns:
        The numbers of the pieces of each row.
    """
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(room + 1)]  # rows by the room that is left in them
    open_rooms: list[int] = []  # which of those lists hold a row, ascending
    for piece in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = int(lengths[piece])
        at = bisect.bisect_left(open_rooms, length)
        if at < len(open_rooms):
            left = open_rooms[at]
            row = with_room[left].pop()
            if not with_room[left]:
                open_rooms.pop(at)
        else:
            left, row = room, len(rows)
            rows.append([])
        rows[row].append(piece)
        left -= length
        if left and not with_room[left]:
            bisect.insort(open_rooms, left)
        with_room[left].append(row)
    return rows


@dataclass(frozen=True)
class Rows:
    """Rows of pieces: a dataset, asked for by the numbers of draws, ``epoch * rows + row``.

    Attributes:
        pieces: of a split.
        groups: the pieces of each row.
        ask: what is asked of a piece.
        seed: of what is drawn of a piece, with the epoch and the piece's number: it hangs on nothing else.
        shared: whether a row may hold several.
    """

    pieces: Pieces
    groups: list[list[int]]
    ask: Ask
    seed: int
    shared: bool = False

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        each = self.pieces.lengths
        return np.array([each[group].sum() for group in self.groups])

    def __getitem__(self, draw: int) -> dict[str, Any]:
        """Return one row: what is given and predicted of each of its pieces, and the row's number."""
        epoch, row = divmod(int(draw), len(self))
        asked = []
        for piece in self.groups[row]:
            random = np.random.default_rng([self.seed, epoch, piece])
            asked.append(self.ask(*self.pieces.of(piece), random))
        return {"asked": asked, "ids": row}


def shared_rows(pieces: Pieces, target: Any, args: Any) -> Rows:
    """Return rows that several texts share; one text a row where the target knows no packing, which the log says.

    Args:
        pieces: of the split.
        target: what is predicted: its ``ask`` and its ``packing``.
        args: of the run.
    """
    if target.packing is None:
        if args.packing:
            log.warning("the model mixes texts that share a row: each has a row of its own, padded")
        return own_rows(pieces, target, args.seed)
    room = min(args.block_size, int(target.tokenizer.model_max_length))
    rows = Rows(pieces, fill(pieces.lengths, room), target.ask, args.seed, shared=True)
    empty = 1 - len(pieces.given) / (room * len(rows))
    told = f"{len(pieces):,} texts and pieces share {len(rows):,} rows of {room} tokens"
    log.info("%s, %.2f %% of them empty; none sees another", told, 100 * empty)
    return rows


def own_rows(pieces: Pieces, target: Any, seed: int = SCORED) -> Rows:
    """Return rows of one piece each; what is drawn of those that are scored is the same in every run."""
    return Rows(pieces, [[piece] for piece in range(len(pieces))], target.ask, seed)


@dataclass(frozen=True)
class Collate:
    """Makes a batch of rows, int64, (rows, tokens), padded to the longest, rounded up.

    ``input_ids``, ``attention_mask``, ``predicted`` (-100 is none) and ``ids`` (rows,); where texts share rows also
    ``segments``, the number of each token's text, 0 at padding, and ``position_ids``.
    """

    pad: int
    shared: bool
    first_position: int = 0
    multiple: int = 8
    limit: int = 2**31

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Put the rows together."""
        longest = max(sum(len(given) for given, _ in row["asked"]) for row in rows)
        width = max(longest, min(-(-longest // self.multiple) * self.multiple, self.limit))
        names = {"input_ids": self.pad, "attention_mask": 0, "predicted": -100, "segments": 0, "position_ids": 0}
        columns = {name: np.full((len(rows), width), value, dtype=np.int64) for name, value in names.items()}
        columns["position_ids"] += self.first_position
        for index, row in enumerate(rows):
            at = 0
            for number, (given, predicted) in enumerate(row["asked"], start=1):
                place = index, slice(at, at + len(given))
                columns["input_ids"][place], columns["predicted"][place] = given, predicted
                columns["attention_mask"][place], columns["segments"][place] = 1, number
                columns["position_ids"][place] = np.arange(len(given)) + self.first_position
                at += len(given)
        kept = columns if self.shared else {n: c for n, c in columns.items() if n not in ("segments", "position_ids")}
        batch = {name: torch.from_numpy(column) for name, column in kept.items()}
        return {**batch, "ids": torch.tensor([row["ids"] for row in rows])}


def collate_rows(model: Any, tokenizer: Any, rows: Rows) -> Collate:
    """Return what makes batches of these rows for a model."""
    from ....models.packed import first_position_of

    multiple = 4 if model.device.type == "cpu" else 8
    first = first_position_of(model) if rows.shared else 0
    return Collate(tokenizer.pad_token_id, rows.shared, first, multiple, int(min(tokenizer.model_max_length, 2**31)))


def of_texts(predictions: Predictions, pieces: Pieces) -> Predictions:
    """Return predictions of pieces as those of their texts, with the bytes of each as what is known of it.

    Args:
        predictions: an array a piece, in their order, with a row for each predicted token.
        pieces: of the split.
    """
    first = np.searchsorted(pieces.text, np.arange(len(pieces.size) + 1))
    outputs = [np.concatenate(predictions.outputs[a:b]) for a, b in zip(first[:-1], first[1:], strict=True)]
    return Predictions(np.arange(len(outputs)), outputs, pieces.size)
