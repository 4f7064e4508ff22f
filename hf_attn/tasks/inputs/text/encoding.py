"""Texts to token ids, one way for training, prediction and maps: what a user wrote is text, never a special token."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import re
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ....data.columns import listing
from ....data.reading import characters
from ....errors import InputError

log = logging.getLogger(__name__)

UNLIMITED = 2**31
HIDDEN = "\U000f0000\U000f0001"
"""What no text holds: put before the spelling of a special token, it keeps texts from matching it."""
_twins: WeakKeyDictionary[Any, dict[tuple[str, ...], tuple[int, Any]]] = WeakKeyDictionary()


def encode(
    tokenizer: Any,
    texts: Sequence[str],
    text_pair: Sequence[str] | None = None,
    max_length: int | None = None,
    *,
    first: int = 0,
    known: tuple[str, ...] = (),
) -> dict[str, list[list[int]]]:
    """Turn texts, or pairs, into token ids, cut and not padded, whatever the tokenizer's file says of either.

    ``</s>`` or ``[SEP]`` in a text stays text: only the tokenizer itself puts special tokens in.

    Args:
        tokenizer: of transformers.
        texts: one or more.
        text_pair: a second text for each.
        max_length: tokens of a row, special ones included; the tokenizer's by default.
        first: number of the first text, for messages.
        known: special tokens that a text may hold all the same, such as the mask.

    Returns:
        ``input_ids`` and what else the tokenizer gives (``attention_mask``, ``token_type_ids``): a list for each text.

    Raises:
        InputError: a ``max_length`` that leaves no room for text, or texts of which no token is left.
    """
    longest = limit(tokenizer, max_length)
    special = tokenizer.num_special_tokens_to_add(pair=text_pair is not None)
    if longest is not None and longest <= special:
        raise InputError(f"max_length {longest}: {special} special tokens leave no room for text")
    limits = {"truncation": longest is not None, "max_length": longest}
    pairs = None if text_pair is None else characters(text_pair)
    found = _encode(tokenizer, characters(texts), pairs, limits, known)
    empty = [first + row for row, ids in enumerate(found["input_ids"]) if not ids]
    if empty:
        raise InputError(f"no token is left of {len(empty)} texts (rows {listing(empty)}, from 0): leave them out")
    return found


Place = tuple[int, int, int]
"""Where a token stands: which text of a pair, and its characters in it, [start, end)."""


def located(
    tokenizer: Any,
    text: str,
    text_pair: str | None = None,
    max_length: int | None = None,
    *,
    known: tuple[str, ...] = (),
) -> tuple[dict[str, list[int]], list[Place | None]]:
    """Return the token ids of one text, or pair, as :func:`encode` gives them, and where each token stands.

    A place is None for the tokenizer's own tokens; of a tokenizer in Python, which tells none, for all of them.
    """
    pairs = None if text_pair is None else [text_pair]
    found = {name: column[0] for name, column in encode(tokenizer, [text], pairs, max_length, known=known).items()}
    ids = found["input_ids"]
    if not getattr(tokenizer, "is_fast", False):
        return found, [None] * len(ids)
    longest = limit(tokenizer, max_length)
    options = {"truncation": longest is not None, "max_length": longest, "padding": False, "verbose": False}
    given = characters([text]), None if pairs is None else characters(pairs)
    for reader in (twin_of(tokenizer, known),) if known else (tokenizer, twin_of(tokenizer)):
        made = reader(*given, **options, split_special_tokens=not known, return_offsets_mapping=True)
        if made["input_ids"][0] == ids:
            places = zip(made.sequence_ids(0), made["offset_mapping"][0], strict=True)
            return found, [None if source is None else (source, *span) for source, span in places]
    return found, [None] * len(ids)


def limit(tokenizer: Any, max_length: int | None = None) -> int | None:
    """Return the tokens to which a tokenizer cuts a text; None where it does not."""
    longest = min(max_length or UNLIMITED, tokenizer.model_max_length)
    return longest if longest < UNLIMITED else None


def _encode(
    tokenizer: Any, texts: list[str], pairs: list[str] | None, limits: dict[str, Any], known: tuple[str, ...] = ()
) -> Any:
    fast = getattr(tokenizer, "is_fast", False)
    options = {**limits, "padding": False, "verbose": False, **({"split_special_tokens": True} if fast else {})}
    found = dict(tokenizer(texts, pairs, **options))
    special = special_ids(tokenizer)
    framing = sum(i in special for i in tokenizer([""], None if pairs is None else [""])["input_ids"][0])
    odd = [row for row, ids in enumerate(found["input_ids"]) if sum(i in special for i in ids) > framing]
    if not fast:  # ByT5 takes "</s>" at the end of a text for its own
        spelled = lookalike(tokenizer)
        rows = zip(texts, pairs or texts, strict=True)
        odd = sorted({*odd, *(row for row, some in enumerate(rows) if any(map(spelled.search, some)))})
    if known:
        holding = [row for row, text in enumerate(texts) if any(name in text for name in known)]
        odd = sorted({*odd, *holding})
    if odd:
        some = [texts[row] for row in odd], None if pairs is None else [pairs[row] for row in odd]
        if fast:
            cured = twin_of(tokenizer, known)(*some, **options | ({"split_special_tokens": False} if known else {}))
        else:
            hidden = special - set(tokenizer.convert_tokens_to_ids(list(known)))
            cured = _by_pieces(tokenizer, *some, hidden, limits)
        for name, column in found.items():
            for place, row in enumerate(odd):
                column[row] = cured[name][place]
    return found


def lookalike(tokenizer: Any) -> re.Pattern[str]:
    """Return a pattern of the spellings of special tokens, but the one for what the vocabulary does not know."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    names = (added | set(tokenizer.all_special_tokens)) - {tokenizer.unk_token, ""}
    return re.compile("|".join(map(re.escape, sorted(names))) or "$^")


def special_ids(tokenizer: Any) -> set[int]:
    """Return the ids that structure an input: all special tokens but the one for what the vocabulary does not know."""
    others = [token for name, token in tokenizer.special_tokens_map.items() if name != "unk_token"]
    ids = set(tokenizer.all_special_ids)
    ids |= {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return ids if tokenizer.unk_token in others else ids - {tokenizer.unk_token_id}


def twin_of(tokenizer: Any, known: tuple[str, ...] = ()) -> Any:
    """Return a tokenizer of the same ids that knows no special token by its spelling (a Unigram has them as pieces).

    Those that are ``known`` it knows all the same.
    """
    stamp, twin = _twins.setdefault(tokenizer, {}).get(known, (-1, None))
    if stamp == len(tokenizer):
        return twin
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    spelled = {token["content"] for token in state["added_tokens"] if token["special"]} | set(
        tokenizer.all_special_tokens
    )
    spelled -= {tokenizer.unk_token, *known}
    for token in state["added_tokens"]:
        token["content"] = _hidden(token["content"], spelled)
    model = state["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {_hidden(word, spelled): number for word, number in model["vocab"].items()}
    else:
        model["vocab"] = [[_hidden(word, spelled), score] for word, score in model["vocab"]]
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if not spelled.intersection(_parts(merge))]
    twin = copy.copy(tokenizer)
    twin._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(state))
    _twins[tokenizer][known] = len(tokenizer), twin
    return twin


def _hidden(word: str, spelled: set[str]) -> str:
    return HIDDEN + word if word in spelled else word


def _parts(merge: Any) -> tuple[str, str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right


def _by_pieces(
    tokenizer: Any, texts: list[str], pairs: list[str] | None, special: set[int], limits: dict[str, Any]
) -> dict[str, list[list[int]]]:
    """What a tokenizer in Python makes of texts when it looks for no special token in them."""
    columns: dict[str, list[list[int]]] = {}
    for row, text in enumerate(texts):
        pair = None if pairs is None else _piece_ids(tokenizer, pairs[row], special)
        made = tokenizer.prepare_for_model(_piece_ids(tokenizer, text, special), pair, **limits, verbose=False)
        for name, values in made.items():
            columns.setdefault(name, []).append(list(values))
    return columns


def _piece_ids(tokenizer: Any, text: str, special: set[int]) -> list[int]:
    """Ids of one text; words that were added to the vocabulary stay whole."""
    added = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if number not in special}
    text, _ = tokenizer.prepare_for_tokenization(text)
    words = "|".join(map(re.escape, sorted(added, key=len, reverse=True)))
    ids: list[int] = []
    for part in re.split(f"({words})", text) if words else [text]:
        if part in added:
            ids.append(added[part])
        else:
            ids += [_id_of(tokenizer, piece, special) for piece in _pieces(tokenizer, part)]
    return ids


def _pieces(tokenizer: Any, text: str) -> list[str]:
    takes = "split_special_tokens" in inspect.signature(tokenizer._tokenize).parameters
    return tokenizer._tokenize(text, **({"split_special_tokens": True} if takes else {})) if text else []


def _id_of(tokenizer: Any, piece: str, special: set[int]) -> int:
    """Id of a piece; one that is a special token whole is unknown, or for characters the replacement character."""
    found = tokenizer._convert_token_to_id(piece)
    if found is None or found in special:
        unknown = tokenizer.unk_token_id
        return tokenizer._convert_token_to_id("\ufffd") if unknown is None or unknown in special else unknown
    return int(found)
