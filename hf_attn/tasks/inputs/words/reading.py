"""Splits of texts with their words, out of columns of tokens or of raw texts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data
from ....data.columns import UNLABELLED, listing, missing, refuse
from ....data.origin import carry, select, unusable, where
from ....data.reading import SURROGATE, characters
from ....data.token_lists import token_lists
from ....errors import InputError
from ..text.windowed import Align, windowed
from .division import divided, flat, joined

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict

    from .options import Options

log = logging.getLogger(__name__)

OWN = ("text", "words")
"""Columns that each split has in the end: a text, and the characters of its words, starts and ends in turn."""


def load_splits(
    args: Options, label: str | list[str] | None = None, strata: Callable[[Dataset], np.ndarray] | None = None
) -> DatasetDict:
    """Load the splits of a run, with the columns ``text`` and ``words``; those of the labels and of ids are kept.

    Raises:
        InputError: all that is wrong with the tokens or texts, with the first rows as they are in the file.
    """
    column = args.text or args.tokens
    if column in ([label] if isinstance(label, str) else label or []):
        raise InputError(f"'{column}' is given both as {'text' if args.text else 'tokens'} and as tags")
    splits = data.load(args, label=label, text=(column,), strata=strata)
    mistakes = missing(splits, [column])
    if mistakes and not args.text:
        mistakes = [f"{one}: name the column of the tokens by --tokens, or of raw texts by --text" for one in mistakes]
    refuse(mistakes)
    refuse(why for split in splits.values() if (why := unusable(split, column)))
    kept = [label] if isinstance(label, str) else list(label or [])
    worded = type(splits)({name: _worded(name, split, args, kept) for name, split in splits.items()})
    _tell_leaks(worded)
    if not args.text and all(len(spans) == 2 for spans in worded["train"]["words"][:]):
        log.warning(
            "each of the %d texts of train has one token, and is tagged without those around it: a row holds a whole "
            "text; a file of a token a line, with blank lines between texts, is named .conll",
            len(worded["train"]),
        )
    return worded


def _worded(name: str, split: Dataset, args: Options, kept: Sequence[str]) -> Dataset:
    from datasets import Features, List, Value

    column = args.text or args.tokens
    values = split[column][:]
    read = _raw if args.text else _tokens
    texts, bad = read(name, split, column, values)
    if bad and not args.skip_bad_rows:
        refuse(
            f"{name} has {len(rows)} rows with {what} ({where(split, rows)}): write them, or --skip_bad_rows"
            for what, rows in bad.items()
        )
    drop = sorted({row for rows in bad.values() for row in rows})
    if drop:
        told = listing([f"{what}: {len(rows)}" for what, rows in bad.items()])
        log.warning("%s: %d of %d rows are left out (%s)", name, len(drop), len(split), told)
        keep = np.delete(np.arange(len(split)), drop)
        if not len(keep):
            raise InputError(f"no row of {name} has words in '{column}'")
        split, texts = select(split, keep), [texts[row] for row in keep.tolist()]
    features = Features({"text": Value("string"), "words": List(Value("int32"))})
    made = {"text": [text for text, _ in texts], "words": [flat(spans) for _, spans in texts]}
    worded = split
    for own in OWN:
        worded = worded.add_column(f"__{own}__", made[own], feature=features[own])
    held = {*kept, *data.id_columns(split, [column])} - {*OWN, column}
    bare = worded.remove_columns([one for one in split.column_names if one not in held])
    return carry(bare.rename_columns({f"__{own}__": own for own in OWN}), split)


def _raw(name: str, split: Dataset, column: str, values: list[Any]) -> tuple[list[Any], dict[str, list[int]]]:
    dtype = getattr(split.features[column], "dtype", split.features[column])
    if dtype not in ("string", "large_string"):
        raise InputError(f"'{column}' of {name} is not text but {dtype}: give lists of tokens by --tokens")
    texts = characters([value or "" for value in values])
    bad = {"no text in '" + column + "'": [row for row, text in enumerate(texts) if not text.strip()]}
    return [(text, divided(text)) for text in texts], {what: rows for what, rows in bad.items() if rows}


def _tokens(name: str, split: Dataset, column: str, values: list[Any]) -> tuple[list[Any], dict[str, list[int]]]:
    lists = token_lists(values)
    wrong = [
        row for row, tokens in enumerate(lists) if tokens is not None and not all(isinstance(t, str) for t in tokens)
    ]
    if wrong:
        raise InputError(
            f"'{column}' of {name} holds no tokens but {str(values[wrong[0]])[:60]} ({where(split, wrong)}): expected "
            "lists of words, or texts in which blanks divide them; raw texts are named by --text"
        )
    bad = {f"no tokens in '{column}'": [row for row, tokens in enumerate(lists) if not tokens]}
    odd = sum(any(SURROGATE.search(token) for token in tokens) for tokens in lists if tokens)
    if odd:
        lists = [tokens and characters(tokens) for tokens in lists]
    return [joined(tokens or []) for tokens in lists], {what: rows for what, rows in bad.items() if rows}


def _tell_leaks(splits: DatasetDict) -> None:
    seen = set(splits["train"]["text"][:])
    for name, split in splits.items():
        again = sum(text in seen for text in split["text"][:]) if name not in ("train", UNLABELLED) else 0
        if again:
            log.warning("%d of the %d texts of %s are also in train: its score will flatter", again, len(split), name)


def rows(
    splits: DatasetDict, tokenizer: Any, args: Options, accelerator: Accelerator, align: Align | None = None
) -> DatasetDict:
    """Return the rows of a run, one a window, as :func:`.text.windowed.windowed` makes them."""
    return windowed(splits, tokenizer, args.max_length, accelerator, align)


def names(split: Dataset | None, args: Options) -> dict[str, list[Any]]:
    """Return what tells the texts of a split apart: columns named like an id; nothing of no split."""
    return {} if split is None else data.id_columns(split, OWN)
