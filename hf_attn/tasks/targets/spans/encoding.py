"""The answers of a run, checked against their contexts, and whether some questions have none."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data import limit as limited
from ....data.columns import labelled, listing, missing, refuse
from ....data.origin import carry, select, unusable, where
from ....errors import InputError
from ..offsets import NAMES, counted_in
from .gold import ABSENT, CASED, ELSEWHERE, Placed, answers_of, place
from .options import ALSO, Options, columns_of
from .spans import Spans

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

NONE_GIVEN = "is_impossible says that there is an answer, and none is given"
ALL_GIVEN = "is_impossible says that there is no answer, and some is given"
NO_FLAG = "an is_impossible that is neither true nor false"
FLAGS = {
    **dict.fromkeys(("true", "1", "1.0", "yes"), True),
    **dict.fromkeys(("false", "0", "0.0", "no"), False),
    **dict.fromkeys(("", "none", "nan")),
}
"""What is_impossible says, by how files write it; None says nothing."""
NO_ANSWERS = "what is no answer: expected {text, answer_start}, a list of such, or a text"


@dataclass
class Read:
    """The answers of a split.

    Attributes:
        answers: of each row, in their order; empty where the question has none.
        bad: rows that cannot be used, by why.
        odd: rows whose answers are found, by what is to be told of them.
        units: what offsets seem to count that stand wrong: how many, by the name of the option.
        example: an answer that stands elsewhere, in words.
    """

    answers: list[list[Placed]] = field(default_factory=list)
    bad: dict[str, list[int]] = field(default_factory=dict)
    odd: dict[str, list[int]] = field(default_factory=dict)
    units: Counter[str] = field(default_factory=Counter)
    example: str = ""


def encode(splits: DatasetDict, args: Any) -> tuple[DatasetDict, Spans]:
    """Add the column ``labels``, the answers by their characters, and keep ``limit`` rows of each split.

    Args:
        splits: train, validation and test with ``text``, the contexts; and ``unlabelled``, which gets none.
        args: of the run.

    Raises:
        InputError: all that is wrong with the answers of all splits, with the first rows as they are in the file.
    """
    every, splits = splits, labelled(splits)
    refuse(missing(splits, columns_of(args)))
    refuse(why for split in splits.values() for column in columns_of(args) if (why := unusable(split, column)))
    read = {name: _read(split, args) for name, split in splits.items()}
    _refuse_bad(splits, read, args)
    kept = {name: _usable(name, split, read[name]) for name, split in splits.items()}
    without = {name: sum(not row for row in split["labels"][:]) for name, split in kept.items()}
    _tell_without(kept, without)
    most = 1 if args.learn_from == "first" else max(map(len, kept["train"]["labels"][:]))
    target = Spans(unanswerable=without["train"] > 0, most=max(1, most), options=args)
    made = type(every)({name: kept.get(name, split) for name, split in every.items()})
    return limited(made, args.limit, args.seed), target


def _read(split: Dataset, args: Options) -> Read:
    found = Read()
    given = answers_of(split[args.answers][:], split[args.answer_start][:] if args.answer_start else None)
    (flag,) = ALSO
    said = split[flag][:] if flag in split.column_names else [None] * len(split)
    flags = [FLAGS.get(str(value).strip().lower(), NO_FLAG) for value in said]
    for row, (context, answers, impossible) in enumerate(zip(split["text"][:], given, flags, strict=True)):
        placed: list[Placed] = []
        why = set() if answers is not None else {NO_ANSWERS}
        if impossible is True and answers:
            answers = [answer for answer in answers if answer[0].strip()]  # a blank one stands for none there
        if impossible is NO_FLAG:
            why.add(NO_FLAG)
        elif impossible is not None and answers is not None and impossible == bool(answers):
            why.add(ALL_GIVEN if impossible else NONE_GIVEN)
        for answer in [] if impossible else answers or []:
            if not answer[0].strip():
                why.add("an answer that is blank: leave it out where the question has none")
                continue
            start, odd = place(context, answer, args.offsets)
            if start is not None:
                placed.append(_solid(answer[0], start))
                if odd:
                    found.odd.setdefault(odd, []).append(row)
                continue
            why.add(odd)
            if odd == ELSEWHERE and answer[1] is not None and (unit := counted_in(context, answer[0], answer[1])):
                found.units[unit] += 1
            found.example = found.example or _example(context, answer)
        for one in why:
            found.bad.setdefault(one, []).append(row)
        found.answers.append(placed)
    return found


def _solid(text: str, start: int) -> Placed:
    """An answer without the blanks around it, of which tokens have no place."""
    start += len(text) - len(text.lstrip())
    return text.strip(), start, start + len(text.strip())


def _example(context: str, answer: Any) -> str:
    text, start = answer
    there = (
        "" if start is None else f", and {context[max(0, start) : max(0, start) + len(text)][:40]!r} stands at {start}"
    )
    return f"{text[:40]!r}{there}"


def _refuse_bad(splits: DatasetDict, read: dict[str, Read], args: Any) -> None:
    if args.skip_bad_rows:
        return
    told = []
    for name, one in read.items():
        for why, rows in one.bad.items():
            place = where(splits[name], rows)
            if why in (ELSEWHERE, CASED, ABSENT):
                what = f"answers that stand {why}, not where they are said to" if why == ELSEWHERE else f"answers {why}"
                cure = _cure(one, why, len(rows))
                told.append(f"{name} has {len(rows)} rows with {what} ({place}; such as {one.example}){cure}")
            else:
                told.append(f"{name} has {len(rows)} rows with {why} ({place}): mend them, or --skip_bad_rows")
    refuse(told)


def _cure(read: Read, why: str, rows: int) -> str:
    if why == ELSEWHERE and read.units:
        unit, count = read.units.most_common(1)[0]
        return f": {count} of them count {NAMES[unit]}: --offsets {unit}, or --skip_bad_rows"
    if why == ELSEWHERE:
        return ": --offsets search takes the nearest such text, --skip_bad_rows leaves them out"
    return ": an answer must be a part of its context as it is written; mend them, or --skip_bad_rows"


def _usable(name: str, split: Dataset, read: Read) -> Dataset:
    """The split with its answers, without rows that cannot be used."""
    from datasets import Features, List, Value

    for odd, rows in read.odd.items():
        log.warning("%s: %d answers stand %s (%s): the first is taken", name, len(rows), odd, where(split, rows))
    drop = sorted({row for rows in read.bad.values() for row in rows})
    if len(drop) == len(split):
        raise InputError(f"no row of {name} can be used ({listing([f'{w}: {len(r)}' for w, r in read.bad.items()])})")
    answers = read.answers
    if drop:
        told = listing([f"{why}: {len(rows)}" for why, rows in read.bad.items()])
        log.warning("%s: %d of %d rows are left out (%s)", name, len(drop), len(split), told)
        keep = np.delete(np.arange(len(split)), drop)
        split, answers = select(split, keep), [answers[row] for row in keep.tolist()]
    feature = List(Features({"text": Value("string"), "start": Value("int32"), "end": Value("int32")}))
    keys = ("text", "start", "end")
    made: Any = [[dict(zip(keys, one, strict=True)) for one in some] for some in answers]
    bare = split.remove_columns([one for one in ("labels",) if one in split.column_names])
    return carry(bare.add_column("labels", made, feature=feature), split)


def _tell_without(splits: dict[str, Dataset], without: dict[str, int]) -> None:
    empty = [name for name, count in without.items() if count == len(splits[name])]
    if empty:
        raise InputError(
            f"no question of {empty[0]} has an answer: if they are hidden, leave out their column, and the "
            "questions are predicted and not scored"
        )
    for name in ("validation", "test"):
        if without[name] and not without["train"]:
            log.warning(
                "%s has %d questions without an answer and train has none: the model answers all", name, without[name]
            )
    if without["train"] and not without["validation"]:
        log.warning("validation has no question without an answer: the threshold of saying none cannot be tuned")
    if without["train"]:
        told = listing([f"{count} of {len(splits[name])} of {name}" for name, count in without.items()])
        log.info("questions without an answer: %s", told)


def tell_unlearnt(rows: Any, split: Dataset, longest: int) -> None:
    """Say which answers of a split lie whole in none of its windows, where they are learnt, or are too long to be said.

    Args:
        rows: windows, with their ``labels`` of :meth:`.spans.Spans.align`, and ``ids``.
        split: that they are of.
        longest: tokens of an answer at most.
    """
    ids, labels = np.asarray(rows["ids"][:]), np.asarray(rows["labels"][:])
    learnt = np.zeros(len(split), bool)
    learnt[ids[labels[:, 0] > 0]] = True
    lost = [row for row, answers in enumerate(split["labels"][:]) if answers and not learnt[row]]
    if lost:
        log.warning(
            "train: the answers of %d questions lie whole in no window (%s): raise max_length or stride, or they are "
            "learnt as if there were none",
            len(lost),
            where(split, lost),
        )
    long = np.unique(ids[(labels[:, 0] > 0) & (labels[:, 2] - labels[:, 1] >= longest)]).tolist()
    if long:
        log.warning(
            "train: the first answer of %d questions has more than %d tokens (%s): none such is ever said; raise "
            "max_answer_length",
            len(long),
            longest,
            where(split, long),
        )
