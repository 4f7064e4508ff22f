"""Texts to token ids in windows that overlap: nothing of a long text is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    overlap: float = 0.25,
    first: int = 0,
) -> list[list[Piece]]:
    """Turn texts into token ids in windows that overlap, so that nothing of a text is cut off.

    Args:
        tokenizer: of transformers, a fast one: others do not tell where a token stands.
        texts: one or more.
        before: what is read before each window of a text, such as a question, whole each time.
        max_length: tokens of a window, special ones and ``before`` included; the tokenizer's by default.
        overlap: share of a window's room that is read again in the next one.
        first: number of the first text, for messages.

    Returns:
        For each text its windows, in their order; a place is None for the tokenizer's own tokens.

    Raises:
        InputError: a slow tokenizer, or no room for the text.
    """
    if not getattr(tokenizer, "is_fast", False):
        kind = type(tokenizer).__name__
        raise InputError(f"the tokenizer {kind} does not tell where a token stands: expected one with a tokenizer.json")
    longest = limit(tokenizer, max_length)
    room = None if longest is None else longest - tokenizer.num_special_tokens_to_add(pair=before is not None)
    if room is not None and before is not None:
        lengths = [
            len(ids) for ids in tokenizer(characters(before), add_special_tokens=False, verbose=False)["input_ids"]
        ]
        room -= max(lengths)
        if room < 1 + longest // 4:  # type: ignore[operator]
            row = first + int(lengths.index(max(lengths)))
            raise InputError(
                f"what is read before text {row} (from 0) has {max(lengths)} tokens: with max_length {longest} too few "
                "are left for the text"
            )
    if room is not None and room < 1:
        raise InputError(f"max_length {longest}: its special tokens leave no room for text")
    options: dict[str, Any] = {"truncation": False, "padding": False, "verbose": False, "split_special_tokens": True}
    options |= {"return_offsets_mapping": True, "return_overflowing_tokens": True}
    if room is not None:
        cut = "only_first" if before is None else "only_second"
        options |= {"truncation": cut, "max_length": longest, "stride": min(int(room * overlap), room - 1)}
    given = [characters(texts)] if before is None else [characters(before), characters(texts)]
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
    source = len(given) - 1
    pieces: list[list[Piece]] = [[] for _ in given[0]]
    for at, row in enumerate(made["overflow_to_sample_mapping"]):
        inputs = {
            name: list(made[name][at]) for name in ("input_ids", "attention_mask", "token_type_ids") if name in made
        }
        spans = zip(made.sequence_ids(at), made["offset_mapping"][at], strict=True)
        pieces[row].append((inputs, [(0, *span) if of == source else None for of, span in spans]))
    return pieces
