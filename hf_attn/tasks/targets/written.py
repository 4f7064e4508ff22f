"""What a model says in tokens, as what is explained: how probable some are, given the input and those before."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ...errors import InputError
from ...interface.printable import printable
from ..explained import Asked

if TYPE_CHECKING:
    from torch import Tensor


NAMED = 60
"""Characters of a text that names what is explained."""


class Written(NamedTuple):
    """A text that a model has written, with the characters of each token, [start, end); none for special tokens."""

    text: str
    spans: list[tuple[int, int]]


def written(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> Written:
    """Return the text of token ids."""
    text, spans, start = decode(ids), [], 0
    for count in range(1, len(ids) + 1):
        end = min(max(len(decode(ids[:count])), start), len(text))
        spans.append((start, end))
        start = end
    return Written(text, spans)


def asked_for(said: Written, wanted: str | int | None) -> tuple[list[int], tuple[int, int]]:
    """Return the numbers of the tokens that are meant, and their characters: all, a word by its number, or some text.

    Raises:
        InputError: the text has no such words, or is empty.
    """
    text = said.text
    if not text.strip():
        raise InputError("the model writes nothing for this input: there is nothing to explain")
    at = (0, len(text)) if wanted is None else _found(text, wanted)
    tokens = [number for number, (start, end) in enumerate(said.spans) if _overlap(text[start:end], start, at)]
    if not tokens:  # a character of several tokens stands with the last
        tokens = [next(number for number, (_, end) in enumerate(said.spans) if end > at[0])]
    return tokens, at


def _overlap(piece: str, start: int, at: tuple[int, int]) -> bool:
    """Whether the characters of a token, but for blanks around them, are among those that are meant."""
    first = start + len(piece) - len(piece.lstrip())
    last = start + len(piece.rstrip())
    return first < last and first < at[1] and last > at[0]


def _found(text: str, wanted: str | int) -> tuple[int, int]:
    words = [word.span() for word in re.finditer(r"\S+", text)]
    if isinstance(wanted, str) and wanted.strip():
        exact = re.search(rf"(?<!\w){re.escape(wanted.strip())}(?!\w)", text)
        start = exact.start() if exact else text.find(wanted.strip())
        if start >= 0:
            return start, start + len(wanted.strip())
    number = _number(wanted)
    if number is not None and -len(words) <= number < len(words):
        return words[number]
    raise InputError(
        f"target {wanted!r}: the model writes {short(text)!r}; expected some of these words, or the number of one from "
        f"0 to {len(words) - 1}"
    )


def _number(wanted: str | int) -> int | None:
    if isinstance(wanted, bool):
        return None
    return int(wanted) if isinstance(wanted, int) or re.fullmatch(r"-?\d{1,6}", str(wanted).strip()) else None


def differing(
    tokenizer: Any,
    own: Sequence[int],
    text: str,
    at: tuple[int, int],
    tokens: Sequence[int],
    against: str,
    encode: Callable[..., Any] | None = None,
) -> tuple[int, int]:
    """Return the first token in which a text differs that has other words in it than the one written: number and id.

    Args:
        tokenizer: of the model.
        own: ids of what was written.
        text: what was written.
        at: characters of the words in whose place the others are put.
        tokens: numbers of the tokens of these.
        against: the other words.
        encode: makes tokens of such texts; by default the tokenizer.

    Raises:
        InputError: they differ elsewhere, or not at all; the model writes in other tokens than the tokenizer; or the
            other text begins with a token that is no letter of it.
    """
    lead = list(own[: _leading(own, set(tokenizer.all_special_ids))])
    texts = [text, text[: at[0]] + against + text[at[1] :]]
    found = (encode or tokenizer)(texts, add_special_tokens=False, verbose=False)["input_ids"]
    again, other = (lead + ids for ids in found)
    end = int(tokenizer.eos_token_id or 0)
    pairs = enumerate(zip_longest(own, other, fillvalue=end))
    number, token = next(((at, two) for at, (one, two) in pairs if one != two), (-1, -1))
    if list(own[: number + 1]) != again[: number + 1] and other != again:
        raise InputError(
            f"against {against!r}: the model writes its text in other tokens than its tokenizer does, so that no other "
            "words can be put there; leave against out"
        )
    shown = tokenizer.decode([token]).strip() if number in tokens else ""
    if number in tokens and (not shown or "\ufffd" in shown) and token != end:
        raise InputError(
            f"against {against!r}: it begins with a token of many words ({shown!r}), which is not compared; expected "
            "another word"
        )
    if number not in tokens or number >= len(own) or other == again:
        raise InputError(
            f"against {against!r}: its tokens differ from those that the model writes at another place, or nowhere; "
            "expected other words for those of target"
        )
    return number, token


def _leading(ids: Sequence[int], special: set[int]) -> int:
    """How many special tokens a text begins with, such as that of its language."""
    return next((at for at, one in enumerate(ids) if one not in special), 0)


def given_words(given: str | int, what: str) -> str:
    """Return words that were given.

    Raises:
        InputError: they are none.
    """
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"{what} {given!r}: expected words that might stand there")
    return given.strip()


def question(text: str, count: int, other: str | None = None) -> Asked:
    """Return what is explained of (rows, columns) logarithms of probabilities: all columns, or some against the rest.

    Without ``other``, the score is the probability of the tokens, and of several the geometric mean of theirs; the
    logit is the sum of the logarithms. With it, both are a difference of logarithms.

    Args:
        text: that is explained.
        count: columns that are of it; the others are what it is compared with.
        other: that it is compared with.
    """

    def logit(found: Tensor) -> Tensor:
        return found[:, :count].sum(1) - found[:, count:].sum(1)

    name = short(text) if other is None else f"{short(text)} rather than {short(other)}"
    if other is not None:
        return Asked(name, logit, logit, "difference of log-probabilities")
    unit = "probability" if count == 1 else "probability of a token"
    return Asked(name, logit, lambda found: (found[:, :count].sum(1) / count).exp(), unit)


def log_probabilities(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """Return the logarithms of the probabilities of tokens, (rows, columns), of (rows, columns, vocabulary) logits."""
    logits = logits.float()
    tokens = torch.tensor(list(ids), device=logits.device).expand(len(logits), -1)
    return logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(-1)


def short(text: str, most: int = NAMED) -> str:
    """Return a text on one line, cut where it is long."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= most else text[: most - 1] + "…"
