"""Rationales: the parts of a text that annotators mark as the reason for its label, as a share of each token."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import missing, refuse
from ....data.origin import where
from ...explained import runs
from .encoding import located

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import Options

Span = tuple[int, int]


def with_rationales(rows: DatasetDict, splits: DatasetDict, tokenizer: Any, args: Options) -> DatasetDict:
    """Return rows of tokens with the column ``rationale``, a number a token; of splits that have rationales.

    Raises:
        InputError: train has no such column, or spans that are none of their texts.
    """
    from datasets import DatasetDict

    column = str(args.rationale)
    refuse(missing({"train": splits["train"]}, [column]))
    held = {name: split for name, split in splits.items() if column in split.column_names}
    spans = {name: checked(name, split, column, args) for name, split in held.items()}
    refuse(why for _, wrong in spans.values() for why in wrong)
    if not any(any(annotators) for annotators in spans["train"][0]):
        refuse([f"'{column}' of train marks nothing in any text: leave --rationale out"])
    made = dict(rows)
    for name, split in held.items():
        pairs = split[args.text_pair] if args.text_pair else [None] * len(split)
        texts = zip(split[args.text], pairs, spans[name][0], strict=True)
        shares = [share_of_tokens(tokenizer, *one, args.max_length) for one in texts]
        made[name] = rows[name].add_column("rationale", shares)
    return DatasetDict(made)


def checked(name: str, split: Dataset, column: str, args: Options) -> tuple[list[list[list[Span]]], list[str]]:
    """Return the spans of each annotator of each text, in characters, and what is wrong with them."""
    found: list[list[list[Span]]] = []
    bad: list[int] = []
    for row, (value, text) in enumerate(zip(split[column], split[args.text], strict=True)):
        annotators = annotators_of(value)
        words = [match.span() for match in re.finditer(r"\S+", text)]
        size = len(words) if args.rationale_unit == "tokens" else len(text)
        if annotators is None or not _are_within(annotators, size):
            bad.append(row)
            annotators = []
        if args.rationale_unit == "tokens":
            annotators = [[(words[start][0], words[end - 1][1]) for start, end in one] for one in annotators]
        found.append(annotators)
    if not bad:
        return found, []
    return found, [
        f"'{column}' of {name} has {len(bad)} values that are no spans [start, end) within their text, in "
        f"{args.rationale_unit}, such as {str(split[bad[0]][column])[:60]} ({where(split, bad)})"
    ]


def annotators_of(value: Any) -> list[list[Span]] | None:
    """Return the spans of each annotator; an empty list where there are none, and None where it is something else."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            return None
    if value is None:
        return []
    several = value if _depth(value) == 3 else [value]
    if not all(_are_spans(one) for one in several):
        return None
    return [[(start, end) for start, end in one] for one in several if one]


def _depth(value: Any) -> int:
    if not isinstance(value, list | tuple):
        return 0
    return 1 + max((_depth(one) for one in value), default=0)


def _are_spans(value: Any) -> bool:
    if value is None:
        return True
    listed = isinstance(value, list | tuple) and all(isinstance(span, list | tuple) for span in value)
    return listed and all(len(span) == 2 and all(type(number) is int for number in span) for span in value)


def _are_within(annotators: list[list[Span]], size: int) -> bool:
    return all(0 <= start < end <= size for one in annotators for start, end in one)


def _inside(spans: list[Span], size: int) -> np.ndarray:
    """(size,) bool: which letters are in one of the spans."""
    inside = np.zeros(size, bool)
    for start, end in spans:
        inside[start:end] = True
    return inside


def share_of_tokens(
    tokenizer: Any, text: str, text_pair: str | None, annotators: list[list[Span]], max_length: int | None
) -> np.ndarray:
    """Return the share of annotators who mark a part of each token of a text, or pair; special tokens have 0."""
    encoded, places = located(tokenizer, text, text_pair, max_length)
    shares = np.zeros(len(encoded["input_ids"]), np.float32)
    for spans in annotators:
        inside = np.cumsum(np.concatenate([[0], _inside(spans, len(text))]))
        for at, place in enumerate(places):
            if place is not None and place[0] == 0 and inside[place[2]] > inside[place[1]]:
                shares[at] += 1 / len(annotators)
    return shares


def marks(table: Dataset, column: str, texts: Sequence[str]) -> list[list[Span]]:
    """Return the characters of each text that at least half of its annotators mark.

    Args:
        table: with ``column``, a row for each text.
        column: of spans ``[start, end)`` in characters.
        texts: that they are of.

    Raises:
        InputError: values that are no spans of their texts.
    """
    found: list[list[Span]] = []
    bad: list[int] = []
    for row, (value, text) in enumerate(zip(table[column], texts, strict=True)):
        annotators = annotators_of(value)
        if annotators is None or not _are_within(annotators, len(text)):
            bad.append(row)
            annotators = []
        counts = sum((_inside(one, len(text)) for one in annotators), np.zeros(len(text), int))
        found.append(runs(counts * 2 >= max(1, len(annotators))))
    if bad:
        refuse(
            [
                f"'{column}' has {len(bad)} values that are no spans [start, end) of characters of their text, such as "
                f"{str(table[bad[0]][column])[:60]}"
            ]
        )
    return found
