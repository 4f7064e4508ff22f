"""Texts to token ids in windows that overlap: nothing of a long text is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....data.columns import listing
from ....data.reading import characters
from ....errors import InputError
from .encoding import Place, limit, special_ids, twin_of

Piece = tuple[dict[str, list[int]], list[Place | None]]
"""Token ids of a window and what goes with them, and where each token stands."""


def in_windows(
    tokenizer: Any,
    texts: Sequence[str],
    before: Sequence[str] | None = None,
    max_length: int | None = None,
    *,
    overlap: float | int = 0.25,
    first: int = 0,
) -> list[list[Piece]]:
    """Turn texts into token ids in windows that overlap, so that nothing of a text is cut off.

    The windows of a text never depend on the texts beside it.

    Args:
        tokenizer: of transformers, a fast one: others do not tell where a token stands.
        texts: one or more.
        before: what is read before each window of a text, such as a question, whole each time.
        max_length: tokens of a window, special ones and ``before`` included; the tokenizer's by default.
        overlap: what of a window is read again in the next one: a share of its room for text, or so many tokens, which
            are half of the room at most.
        first: number of the first text, for messages.

    Returns:
        For each text its windows, in their order; a place is of the text, 0 or behind ``before`` 1, and None for the
        tokenizer's own tokens.

    Raises:
        InputError: a slow tokenizer, or no room for the text.
    """
    if not getattr(tokenizer, "is_fast", False):
        kind = type(tokenizer).__name__
        raise InputError(f"the tokenizer {kind} does not tell where a token stands: expected one with a tokenizer.json")
    longest = limit(tokenizer, max_length)
    strides = [0] * len(texts)
    if longest is not None:
        room = rooms(tokenizer, before or [""] * len(texts), longest, pair=before is not None)
        if before is not None and (short := np.flatnonzero(too_small(room, longest)).tolist()):
            raise InputError(
                f"what is read first, such as a question, leaves too few of {longest} tokens for {len(short)} texts "
                f"(rows {listing([first + row for row in short])}, from 0): shorten it"
                + (", or raise max_length" if max_length is not None else "")
            )
        if room.min() < 1:
            raise InputError(f"max_length {longest}: its special tokens leave no room for text")
        strides = [_stride(int(one), overlap) for one in room]
    options: dict[str, Any] = {"truncation": False, "padding": False, "verbose": False, "split_special_tokens": True}
    options |= {"return_offsets_mapping": True, "return_overflowing_tokens": True}
    if longest is not None:
        options |= {"truncation": "only_first" if before is None else "only_second", "max_length": longest}
    given = [characters(texts)] if before is None else [characters(before), characters(texts)]
    found: list[list[Piece]] = [[] for _ in texts]
    for stride in dict.fromkeys(strides):
        rows = [row for row, own in enumerate(strides) if own == stride]
        made = _framed(tokenizer, [[column[row] for row in rows] for column in given], options | {"stride": stride})
        for row, pieces in zip(rows, made, strict=True):
            found[row] = pieces
    return found


def rooms(tokenizer: Any, before: Sequence[str], max_length: int, *, pair: bool = True) -> np.ndarray:
    """Return (texts,) how many tokens of a window of ``max_length`` are left for each text behind what is before it."""
    lengths = [len(ids) for ids in tokenizer(characters(before), add_special_tokens=False, verbose=False)["input_ids"]]
    return max_length - tokenizer.num_special_tokens_to_add(pair=pair) - np.array(lengths)


def too_small(room: np.ndarray, max_length: int) -> np.ndarray:
    """Return which rooms are too small to read a text in, (texts,) bool: less than a quarter of a window."""
    return np.asarray(room < 1 + max_length // 4)


def _stride(room: int, overlap: float | int) -> int:
    if isinstance(overlap, int):
        return min(overlap, room // 2)
    return min(int(room * overlap), room - 1)


def _framed(tokenizer: Any, given: list[list[str]], options: dict[str, Any]) -> list[list[Piece]]:
    """The windows of texts, in which no spelling of a special token is one."""
    found = _pieces_of(tokenizer, given, options)
    special = special_ids(tokenizer)
    framing = sum(i in special for i in tokenizer(*[[""] for _ in given])["input_ids"][0])
    odd = [
        row
        for row, pieces in enumerate(found)
        if any(sum(i in special for i in inputs["input_ids"]) > framing for inputs, _ in pieces)
    ]
    if odd:
        cured = _pieces_of(twin_of(tokenizer), [[column[row] for row in odd] for column in given], options)
        for row, pieces in zip(odd, cured, strict=True):
            found[row] = pieces
    return found


def _pieces_of(tokenizer: Any, given: list[list[str]], options: dict[str, Any]) -> list[list[Piece]]:
    made = tokenizer(*given, **options)
    pieces: list[list[Piece]] = [[] for _ in given[0]]
    for at, row in enumerate(made["overflow_to_sample_mapping"]):
        inputs = {
            name: list(made[name][at]) for name in ("input_ids", "attention_mask", "token_type_ids") if name in made
        }
        spans = zip(made.sequence_ids(at), made["offset_mapping"][at], strict=True)
        pieces[row].append((inputs, [None if of is None else (of, *span) for of, span in spans]))
    return pieces
