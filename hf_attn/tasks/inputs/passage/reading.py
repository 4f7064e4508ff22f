"""Splits of questions with their contexts, out of rows or of SQuAD's own files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data
from ....data.columns import UNLABELLED, refuse
from ....data.origin import carry, select, where
from ....data.passages import questions_of
from ....data.reading import characters
from ....data.splitting import cut_groups
from ....errors import InputError
from ..text.encoding import limit
from ..text.pieces import rooms, too_small
from ..text.tokens import check_text
from ..text.windowed import BEFORE, Align, windowed
from .given import shared_tokens

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict

    from .options import Options

log = logging.getLogger(__name__)

OWN = ("text", BEFORE)
"""Columns that each split has in the end: the context, and the question that is read before it."""
ARTICLES = 20
"""So many articles by title, or passages, are cut whole; fewer are not enough to cut from."""


def load_splits(args: Options, label: Sequence[str] = (), also: Sequence[str] = ()) -> DatasetDict:
    """Load the splits of a run with the columns ``text``, the context, and ``before``, the question.

    Missing splits are cut by articles, or passages: a context stands in one split alone.

    Args:
        args: of the run, with its ``seed``.
        label: columns of the answers; they are kept, and so are those named like an id.
        also: further columns to keep, where they are.

    Raises:
        InputError: all that is wrong with questions and contexts, with the first rows as they are in the file.
    """
    from functools import partial

    texts = (args.question, args.context)
    if twice := [one for one in texts if one in label]:
        raise InputError(f"'{twice[0]}' is given both as text and as answers")

    def cutting(train: Dataset, shares: dict[str, float]) -> dict[str, Dataset]:
        return cut_groups(train, shares, args.seed, _groups(train, args))  # type: ignore[attr-defined]

    shaped = partial(_shaped, args=args)
    splits = data.load(args, label=list(label), text=texts, cutting=cutting, shaped=shaped, written=label)
    check_text(splits, args.question, args.context, list(label), ("question", "context"))
    _tell_shared(splits, args)
    return type(splits)({name: _named(split, args, [*label, *also]) for name, split in splits.items()})


def _shaped(split: Dataset, args: Options) -> Dataset:
    made = questions_of(split)
    fields = {"question": args.question, "context": args.context}
    if made is not split and (other := [f"--{name} {column}" for name, column in fields.items() if column != name]):
        log.warning("%s: SQuAD's own files have columns of their own, which are read", " and ".join(other))
        made = carry(made.rename_columns({n: c for n, c in fields.items() if n != c and n in made.column_names}), made)
    return made


def _groups(train: Dataset, args: Options) -> list[Any]:
    """The article of each row, or its passage where titles tell few apart."""
    if "title" in train.column_names and len(set(titles := train["title"][:])) >= ARTICLES:
        return list(titles)
    if args.context not in train.column_names:
        return list(range(len(train)))
    return list(map(str, train[args.context][:]))


def _tell_shared(splits: DatasetDict, args: Options) -> None:
    seen = set(splits["train"][args.context][:])
    for name, split in splits.items():
        again = sum(text in seen for text in split[args.context][:]) if name not in ("train", UNLABELLED) else 0
        if again:
            log.warning(
                "%d of the %d contexts of %s are also in train: its score will flatter", again, len(split), name
            )


def _named(split: Dataset, args: Options, kept: Sequence[str]) -> Dataset:
    from datasets import Value

    held = {*kept, *data.id_columns(split, [args.question, args.context])}.intersection(split.column_names) - {*OWN}
    made = split
    for own, column in zip(OWN, (args.context, args.question), strict=True):
        made = made.add_column(f"__{own}__", characters(split[column][:]), feature=Value("large_string"))
    made = made.select_columns([*sorted(held), *(f"__{own}__" for own in OWN)])
    return carry(made.rename_columns({f"__{own}__": own for own in OWN}), split)


def fitting(splits: DatasetDict, tokenizer: Any, args: Options) -> DatasetDict:
    """Return the splits without questions that leave too little room for their context, which are refused by row.

    Args:
        splits: of :func:`load_splits`.
        tokenizer: brought together with the model.
        args: of the run; with ``skip_bad_rows`` such rows are left out, and counted.

    Raises:
        InputError: there are such rows and they are not to be skipped, or no others.
    """
    longest = limit(tokenizer, args.max_length)
    if longest is None:
        return splits
    made, wrong = {}, []
    for name, split in splits.items():
        room = rooms(tokenizer, split[BEFORE][:], longest)
        bad = np.flatnonzero(too_small(room, longest))
        if longest - tokenizer.num_special_tokens_to_add(pair=True) < 1:
            raise InputError(f"max_length {longest}: its special tokens leave no room for text")
        if args.stride is not None and (capped := int((np.asarray(room) // 2 < args.stride).sum())):
            half = "%s: stride %d is more than half of the room that %d of %d questions leave: their windows share half"
            log.warning(half, name, args.stride, capped, len(split))
        told = f"leave fewer than {1 + longest // 4} of {longest} tokens for their context"
        if len(bad) == len(split):
            raise InputError(f"all {len(split)} questions of {name} {told}: raise max_length")
        wrong += [f"{len(bad)} questions of {name} {told} ({where(split, bad.tolist())})"] if len(bad) else []
        made[name] = select(split, np.delete(np.arange(len(split)), bad)) if len(bad) else split
    if wrong and not args.skip_bad_rows:
        refuse(f"{one}: shorten them, raise max_length, or --skip_bad_rows" for one in wrong)
    for one in wrong:
        log.warning("%s: they are left out", one)
    return type(splits)(made)


def rows(
    splits: DatasetDict, tokenizer: Any, args: Options, accelerator: Accelerator, align: Align | None = None
) -> DatasetDict:
    """Return the rows of a run, one a window, as :func:`.text.windowed.windowed` makes them."""
    return windowed(splits, tokenizer, args.max_length, accelerator, align, overlap_of(args, tokenizer))


def overlap_of(args: Options, tokenizer: Any) -> int:
    """Return the tokens that windows of a run share."""
    return shared_tokens(tokenizer, args.max_length) if args.stride is None else args.stride


def names(split: Dataset | None, args: Options) -> dict[str, list[Any]]:
    """Return what tells the questions of a split apart: columns named like an id; nothing of no split."""
    return {} if split is None else data.id_columns(split, OWN)
