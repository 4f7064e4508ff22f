"""Texts that a language model reads: as tokens, long ones in pieces, so that nothing is cut."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data
from ....data.columns import UNLABELLED
from ....data.options import DataOptions
from ....data.origin import where
from ....data.reading import characters
from ....errors import InputError
from ....models.framing import end_token, start_token
from .encoding import UNLIMITED, encode, located, special_ids
from .tokens import CHUNK, check_text, tell_lookalikes
from .words import grouped

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class UnlabelledOptions(DataOptions):
    """Texts"""

    text: str = "text"
    """Column of the text."""
    block_size: int = 128
    """Tokens of a row. Short texts share one, and none sees another; a longer text goes on in the next."""
    packing: bool = True
    """Put several texts in a row; false, and where the model cannot keep them apart, is one text a row, padded."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        return [f"block_size is {self.block_size}: it must be at least 8"] if self.block_size < 8 else []


def load_unlabelled(args: UnlabelledOptions) -> DatasetDict:
    """Load the splits of a run without labels, as :func:`hf_attn.data.load` does, check the texts, and limit them."""
    splits = data.load(args, text=(args.text,), lines=True)
    splits.pop(UNLABELLED, None)
    check_text(splits, args.text)
    return data.limit(splits, args.limit, args.seed)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Pieces:
    """Texts as tokens, one piece after the other; most texts are one piece.

    Attributes:
        given: (tokens,) int32 token ids of all pieces.
        words: (tokens,) int32 number of the word that a token is of, in its piece; -1 is what is never predicted.
        following: (tokens,) int32 the next token's id, where a model of what follows predicts one; else empty.
        ends: (pieces,) where each ends.
        text: (pieces,) int64 row number of its text.
        size: (texts,) int64 bytes of each text in UTF-8.
    """

    given: np.ndarray
    words: np.ndarray
    following: np.ndarray
    ends: np.ndarray
    text: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each piece, (pieces,)."""
        return np.diff(self.ends, prepend=0)

    def of(self, piece: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the token ids of a piece, the words that they are of, and the ids of the next tokens."""
        place = slice(int(self.ends[piece - 1]) if piece else 0, int(self.ends[piece]))
        return self.given[place], self.words[place], self.following[place]


def in_pieces(
    splits: DatasetDict,
    tokenizer: PreTrainedTokenizerBase,
    args: UnlabelledOptions,
    accelerator: Accelerator,
    *,
    causal: bool,
    whole_words: bool = True,
) -> dict[str, Pieces]:
    """Return the texts of each split as tokens, in pieces of at most the tokens that the tokenizer takes.

    Of a causal model each token of a text and its end is predicted exactly once; the last of a piece predicts the first
    of the next. Of a masked one each piece is framed as the tokenizer frames a text.

    Args:
        splits: with texts.
        tokenizer: as it agrees with the model.
        args: of the run.
        accelerator: of the run.
        causal: whether what follows is predicted.
        whole_words: else each token is a word of its own.

    Raises:
        InputError: no token that a text can begin with, or no room for text.
    """
    whole = copy.copy(tokenizer)
    whole.model_max_length = UNLIMITED
    longest = min(args.block_size, int(tokenizer.model_max_length))
    cut = _following(tokenizer) if causal else _framed(tokenizer, whole_words)
    found = {}
    for name, split in splits.items():
        tell_lookalikes(split, tokenizer, [args.text], name)
        found[name] = _pieces(split[args.text], whole, longest, cut, name if accelerator.is_main_process else None)
        _tell_empty(found[name], split, name)
        more = len(found[name]) - len(split)
        tokens = len(found[name].given)
        goes_on = f"; longer ones go on in {more:,} more rows" if more else ""
        log.info("%s: %s texts, %s tokens%s", name, f"{len(split):,}", f"{tokens:,}", goes_on)
    return found


def _tell_empty(pieces: Pieces, split: Dataset, name: str) -> None:
    """Warn of texts that nothing is predicted of, such as signs that a tokenizer leaves out; refuse a split of them."""
    texts = np.repeat(pieces.text, pieces.lengths)[pieces.words >= 0]
    empty = np.setdiff1d(np.arange(len(split)), texts).tolist()
    if len(empty) == len(split):
        raise InputError(f"the tokenizer leaves no token of any text of {name} ({where(split, empty)})")
    if empty:
        log.warning("%s: the tokenizer leaves no token of %d texts (%s)", name, len(empty), where(split, empty))


def _pieces(texts: Sequence[str], tokenizer: Any, longest: int, cut: Any, name: str | None) -> Pieces:
    from ....interface.progress import bar

    columns: list[list[np.ndarray]] = [[], [], []]
    ends, text, size, done = [], [], [], 0
    for at in bar(range(0, len(texts), CHUNK), desc=f"tokenize {name}", disable=name is None, leave=False):
        some = characters(texts[at : at + CHUNK])
        rows = encode(tokenizer, some, first=at)["input_ids"]
        for number, parts in enumerate(cut(some, rows, longest), start=at):
            for part in parts:
                for column, values in zip(columns, part, strict=True):
                    column.append(np.asarray(values, dtype=np.int32))
                done += len(part[0])
                ends.append(done)
                text.append(number)
        size += [len(one.encode()) for one in some]
    joined = [np.concatenate(column) for column in columns]
    given, words, following = joined
    return Pieces(given, words, following, np.array(ends), np.array(text), np.array(size))


def split_frame(ids: Sequence[int], special: set[int]) -> tuple[list[int], list[int], list[int]]:
    """Return the special tokens that stand before a text, its own tokens, and the special tokens after it."""
    start, end = 0, len(ids)
    while start < end and ids[start] in special:
        start += 1
    while end > start and ids[end - 1] in special:
        end -= 1
    return list(ids[:start]), list(ids[start:end]), list(ids[end:])


def _framed(tokenizer: Any, whole_words: bool) -> Any:
    """What cuts rows of token ids into pieces that are each framed as a text is, with the words of the tokens."""
    frame = special_ids(tokenizer)
    tells = bool(getattr(tokenizer, "is_fast", False))
    if whole_words and not tells:
        log.warning("%s does not tell where words end: tokens are masked one by one", type(tokenizer).__name__)

    def cut(texts: list[str], rows: list[list[int]], longest: int) -> Any:
        parts = [split_frame(ids, frame) for ids in rows]
        owns = [own for _, own, _ in parts]
        words = words_of(tokenizer, texts, owns) if whole_words and tells else [list(range(len(o))) for o in owns]
        for (before, own, after), numbers in zip(parts, words, strict=True):
            room = longest - len(before) - len(after)
            if room < 1:
                raise InputError(
                    f"block_size {longest}: {len(before) + len(after)} special tokens leave no room for text"
                )
            made: list[tuple[list[int], list[int], list[int]]] = []
            for at in range(0, len(own), room) or [0]:
                some = own[at : at + room]
                marked = [-1] * len(before) + numbers[at : at + room] + [-1] * len(after)
                made.append((before + some + after, marked, []))
            yield made

    return cut


def words_of(tokenizer: Any, texts: Sequence[str], rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return for each token of each text the number of its word, as explanations tell words.

    Args:
        tokenizer: that tells where tokens stand.
        texts: some.
        rows: their token ids, without special tokens.
    """
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_offsets_mapping": True}
    made = tokenizer(list(texts), **options, padding=False, truncation=False, verbose=False)
    found = []
    for text, own, ids, spans in zip(texts, rows, made["input_ids"], made["offset_mapping"], strict=True):
        places: list[Any] = [(0, *span) for span in spans]
        if list(ids) != list(own):  # a text that spells a special token
            places = [place for place in located(tokenizer, text)[1] if place is not None]
        numbers = list(range(len(own)))
        if len(places) == len(own):
            for number, group in enumerate(grouped([text], places)):
                for at in group:
                    numbers[at] = number
        found.append(numbers)
    return found


def _following(tokenizer: Any) -> Any:
    """What cuts rows of token ids into pieces, each token with the one that follows it."""
    special, start, end = special_ids(tokenizer), start_token(tokenizer), end_token(tokenizer)

    def cut(texts: list[str], rows: list[list[int]], longest: int) -> Any:
        for ids in rows:
            before, own, after = split_frame(ids, special)
            whole = (before or [start]) + own + (after or [end])
            first = len(before or [start]) - 1  # what stands before the last start token is given
            words = [-1] * first + [0] * (len(whole) - 1 - first)
            made = []
            for at in range(0, len(whole) - 1, longest):
                stop = min(at + longest, len(whole) - 1)
                made.append((whole[at:stop], words[at:stop], whole[at + 1 : stop + 1]))
            yield made

    return cut
