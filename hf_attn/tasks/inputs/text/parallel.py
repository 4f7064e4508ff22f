"""Sources and the texts to write for them: read together, checked, made into tokens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .... import data
from ....data.columns import UNLABELLED
from ....data.options import DataOptions
from ....data.origin import carry
from .encoding import encode
from .tokens import CHUNK, check_text

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class SourceOptions(DataOptions):
    """Source texts"""

    source: str = "source"
    """Column of the text to read, also inside a column of objects such as `translation`; where each language has a file
    of its own, line by line, the ending of its files, as en of train.en."""
    source_prefix: str | None = None
    """Put before each source, as T5 was trained: "translate English to German: ". Saved with the model."""
    max_source_length: int | None = 128
    """Tokens of a source, special ones included; the rest is cut. null is the model's own limit."""

    text_pair = rationale = None

    @property
    def text(self) -> str:
        """The column of the text, as :class:`.options.Options` calls it."""
        return self.source

    @property
    def max_length(self) -> int | None:
        """Tokens of a text, as :class:`.options.Options` calls it."""
        return self.max_source_length

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = self.max_source_length is not None and self.max_source_length < 1
        return [f"max_source_length is {self.max_source_length}: it must be above 0, or null"] if wrong else []


def load_parallel(args: SourceOptions, target: str) -> DatasetDict:
    """Load the splits of a run with sources and targets, check both, and keep ``limit`` rows of each.

    A test split without targets comes back as ``unlabelled``.

    Raises:
        InputError: all that is wrong with them, with the first rows as they are in the file.
    """
    splits = data.load(args, label=target, text=(args.source, target), inside=True)
    known = type(splits)({name: split for name, split in splits.items() if name != UNLABELLED})
    check_text(known, args.source, target, options=("source", "target"))
    if UNLABELLED in splits:
        check_text(type(splits)({**known, UNLABELLED: splits[UNLABELLED]}), args.source)
    return data.limit(splits, args.limit, args.seed)  # type: ignore[attr-defined]


def texts_of(split: Dataset, *columns: str) -> Iterator[str]:
    """Yield the texts of some columns of a split."""
    for at in range(0, len(split), CHUNK):
        rows = split[at : at + CHUNK]
        for column in columns:
            yield from rows[column]


def with_labels(splits: DatasetDict, tokenizer: Any, target: str, max_length: int) -> DatasetDict:
    """Add the column ``labels``, token ids of the targets, cut to ``max_length`` with special tokens.

    Args:
        splits: of :func:`load_parallel`.
        tokenizer: that makes token ids of targets.
        target: column.
        max_length: tokens at most; how many targets reach it is told.
    """
    from datasets import List, Value

    made = {}
    for name, split in splits.items():
        if name == UNLABELLED or target not in split.column_names:
            made[name] = split
            continue
        ids = []
        for at in range(0, len(split), CHUNK):
            ids += encode(tokenizer, split[at : at + CHUNK][target], None, max_length, first=at)["input_ids"]
        full = sum(len(row) >= max_length for row in ids)
        if full:
            log.warning(
                "%s: %d of %d targets reach max_target_length %d and may be cut", name, full, len(ids), max_length
            )
        if name == "train":
            tell_unwritable(split[: len(ids[:CHUNK])][target], ids, tokenizer, max_length)
        kept = split.remove_columns([column for column in ("labels",) if column in split.column_names])
        made[name] = carry(kept.add_column("labels", ids, feature=List(Value("int32"))), split)
    return type(splits)(made)


def tell_unwritable(texts: list[str], ids: list[list[int]], tokenizer: Any, max_length: int) -> None:
    """Warn where a tokenizer does not give texts back of their tokens, blanks aside: no model can write them then.

    Args:
        texts: the first targets.
        ids: their tokens, and perhaps more.
        tokenizer: that made them.
        max_length: tokens at which a target may have been cut; such ones are not looked at.
    """
    whole = [(text, row) for text, row in zip(texts, ids, strict=False) if len(row) < max_length]
    back = tokenizer.batch_decode([row for _, row in whole], skip_special_tokens=True)
    pairs = [("".join(text.split()), "".join(other.split())) for (text, _), other in zip(whole, back, strict=True)]
    lost = [(text, other) for text, other in pairs if text != other]
    if not lost:
        return
    known, given = next((one for one in zip(*lost[0], strict=False) if one[0] != one[1]), (lost[0][0][-1], ""))
    log.warning(
        "%d of the first %d targets cannot be written as they are: the tokenizer makes %r of %r. What is written is "
        "compared with them as they are%s",
        len(lost),
        len(whole),
        given,
        known,
        "; --bleu_lowercase true leaves out capitals" if all(a.lower() == b for a, b in lost) else "",
    )
