"""Interactions, a row each time that a user met an item: which items they are of, and what was before each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import UNLABELLED, labelled, listing, missing, quoted, refuse
from ....data.origin import carry, select, unusable, where
from ....data.reading import characters
from ....errors import InputError
from .past import CANDIDATE, END, START, Past, key
from .ratings import ratings_of
from .time_order import times_of

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .options import Options

log = logging.getLogger(__name__)

SEEN = {"train": ("train",), "validation": ("train", "validation")}
"""Splits whose events the histories of a split may hold; of others all that have labels."""


def with_past(splits: DatasetDict, args: Options, label: str) -> tuple[DatasetDict, Past]:
    """Return interactions with what each may see; arguments as of :func:`.reading.load_past`."""
    texts, numbers = _items(args)
    splits = _known(splits, numbers, args)
    splits = _once(splits, args, label)
    users = _codes({name: split[args.user][:] for name, split in splits.items()})
    times = _times(splits, args.time)
    items = {name: np.array([numbers[key(value)] for value in split[args.item][:]]) for name, split in splits.items()}
    ratings = {name: ratings_of(split, label, args.rating_scale) for name, split in labelled(splits).items()}
    _tell_order(splits, users, times)
    _tell_again(splits, users, items)
    event_item, event_rating, bounds, base = [], [], {}, 0
    for name in splits:
        seen = SEEN.get(name, tuple(ratings))
        joined = [np.concatenate([table[one] for one in seen]) for table in (users, times, items, ratings)]
        order = np.lexsort((joined[1], joined[0]))
        of_user, time, item, rating = (column[order] for column in joined)
        until = times[name]
        if args.history_until == "split" and name != "train":
            until = _first_of_user(users[name], until)
        start, end = _before(of_user, time, users[name], until)
        bounds[name] = items[name], start + base, end + base
        event_item.append(item)
        event_rating.append(rating)
        base += len(item)
    past = Past(texts, np.concatenate(event_item).astype(np.int32), np.concatenate(event_rating).astype(np.float32))
    return placed(splits, bounds), past


def placed(splits: DatasetDict, bounds: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> DatasetDict:
    """Return splits with candidate, start and end of each row as columns."""
    import pyarrow
    from datasets import Dataset, DatasetDict

    made = {}
    for name, split in splits.items():
        table = split.with_format("arrow")[:]
        for column, values in zip((CANDIDATE, START, END), bounds[name], strict=True):
            table = table.append_column(column, pyarrow.array(np.asarray(values, np.int64)))
        made[name] = carry(Dataset(table), split)
    return DatasetDict(made)


def _first_of_user(user: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the time of the first row of each row's user, (rows,)."""
    first = np.full(int(user.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, user, time)
    return first[user]


def _before(of_user: np.ndarray, time: np.ndarray, user: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which events, ordered by user and time, are of each row's user and earlier than its time: [start, end)."""
    moments = np.unique(np.concatenate([time, now]))
    width = len(moments)
    keys = of_user * width + np.searchsorted(moments, time)
    start = np.searchsorted(keys, user * width)
    return start, np.searchsorted(keys, user * width + np.searchsorted(moments, now))


def _items(args: Options) -> tuple[list[str], dict[str, int]]:
    """Return the texts of the items, each once, and the number of the text of each item's id."""
    from ....data.files import read

    assert args.items is not None
    folder = Path(args.dataset).expanduser()
    beside = (folder if folder.is_dir() else folder.parent) / args.items
    path = beside if beside.exists() else Path(args.items).expanduser()
    table = read(path, delimiter=args.delimiter, encoding=args.encoding, texts=(args.item_text,))
    refuse(missing({path.name: table}, [args.item, args.item_text]))
    refuse([f"item and item_text are both '{args.item}'"] if args.item == args.item_text else [])
    refuse(why for name in (args.item, args.item_text) if (why := unusable(table, name)))
    ids, given = [key(value) for value in table[args.item][:]], table[args.item_text][:]
    blank = [row for row, text in enumerate(given) if not isinstance(text, str) or not text.strip()]
    if blank and not args.skip_bad_rows:
        raise InputError(
            f"'{args.item_text}' of {len(blank)} items is no text ({where(table, blank)}): write them, or "
            "--skip_bad_rows leaves out these items and their interactions"
        )
    kept = np.setdiff1d(np.arange(len(ids)), blank).tolist()
    texts = dict(zip(kept, characters([given[row] for row in kept]), strict=True))
    first: dict[str, int] = {}
    other = [row for row, text in texts.items() if texts[first.setdefault(ids[row], row)] != text]
    if other:
        raise InputError(
            f"'{args.item}' of {path.name} has ids with two texts ({where(table, other)}): keep one of each"
        )
    number = {text: at for at, text in enumerate(dict.fromkeys(texts.values()))}
    if (same := len(first) - len(number)) > 0:
        log.warning("%d items have the text of another: to the model they are one", same)
    return list(number), {name: number[texts[row]] for name, row in first.items()}


def _known(splits: DatasetDict, numbers: Mapping[str, int], args: Options) -> DatasetDict:
    """Return the interactions with a user and an item that has a text."""
    from datasets import DatasetDict

    found, wrong = {}, []
    for name, split in splits.items():
        items, users = split[args.item][:], split[args.user][:]
        nobody = [row for row, value in enumerate(users) if _missing(value)]
        unknown = [row for row, value in enumerate(items) if _missing(value) or key(value) not in numbers]
        if nobody:
            wrong.append(f"'{args.user}' of {len(nobody)} rows of {name} is empty ({where(split, nobody)})")
        if unknown:
            such = quoted(dict.fromkeys(items[row] for row in unknown))
            none = len(unknown) == len(items)
            hint = " (no id is the same in both files: are they written alike?)" if none else ""
            wrong.append(
                f"'{args.item}' of {len(unknown)} rows of {name} is not in --items: {such} "
                f"({where(split, unknown)}){hint}"
            )
        bad = sorted({*nobody, *unknown})
        found[name] = select(split, np.delete(np.arange(len(split)), bad)) if bad else split
    empty = [name for name, split in found.items() if not len(split)]
    if wrong and (empty or not args.skip_bad_rows):
        raise InputError("; ".join(wrong) + ("" if empty else ": mend them, or --skip_bad_rows leaves them out"))
    for told in wrong:
        log.warning("left out: %s", told)
    return DatasetDict(found)


def _missing(value: Any) -> bool:
    return value is None or value != value or not str(value).strip()


def _once(splits: DatasetDict, args: Options, label: str) -> DatasetDict:
    """Return the interactions without those that stand there a second time."""
    from datasets import DatasetDict

    seen: dict[tuple[Any, ...], Any] = {}
    found, twice, wrong = {}, 0, []
    for name, split in splits.items():
        if name == UNLABELLED:
            found[name] = split
            continue
        columns = [split[column][:] for column in (args.user, args.item, args.time) if column]
        again: list[int] = []
        other: list[int] = []
        for row, (value, *ids) in enumerate(zip(split[label][:], *columns, strict=True)):
            one = (key(ids[0]), key(ids[1]), *ids[2:])
            if one not in seen:
                seen[one] = value
            else:
                (again if seen[one] == value else other).append(row)
        if other:
            wrong.append(f"{len(other)} rows of {name} ({where(split, other)})")
        twice += len(again)
        found[name] = select(split, np.delete(np.arange(len(split)), again)) if again else split
    if wrong:
        same = "user, item and time" if args.time else "user and item"
        raise InputError(f"'{label}' differs between rows of the same {same}: {'; '.join(wrong)}: keep one of each")
    if twice:
        log.warning("%d interactions stand there twice, and are taken once", twice)
    if short := [name for name, split in found.items() if not len(split)]:
        raise InputError(
            f"all interactions of {listing(short)} stand in an earlier split too: nothing is left to score"
        )
    return DatasetDict(found)


def _times(splits: DatasetDict, column: str | None) -> dict[str, np.ndarray]:
    """Return the times of each split's rows; without a column they go on from split to split."""
    found, after = {}, 0.0
    for name, split in splits.items():
        found[name] = times_of(split, column) + (after if column is None else 0.0)
        after += len(split)
    return found


def _codes(values: Mapping[str, list[Any]]) -> dict[str, np.ndarray]:
    """Return a number for each user, the same in all splits."""
    known: dict[str, int] = {}
    return {
        name: np.array([known.setdefault(key(value), len(known)) for value in column], np.int64)
        for name, column in values.items()
    }


def _tell_order(splits: DatasetDict, users: Mapping[str, np.ndarray], times: Mapping[str, np.ndarray]) -> None:
    """Warn where rows that are scored are older than rows of the same user that are trained on."""
    ahead = float((times["train"] > times["test"].min()).mean())
    if ahead > 0:
        log.info(
            "%.0f %% of train are later than the first row of test, of other users: what they say of an item was not "
            "known then; --split_by_time global cuts all users at one time",
            100 * ahead,
        )
    last = np.full(1 + max(int(column.max()) for column in users.values()), -np.inf)
    np.maximum.at(last, users["train"], times["train"])
    for name in ("validation", "test"):
        older = int((times[name] < last[users[name]]).sum())
        if older:
            log.warning(
                "%d of %d rows of %s are older than what is trained on of the same user: the split is not by time, and "
                "scores flatter",
                older,
                len(splits[name]),
                name,
            )


def _tell_again(splits: DatasetDict, users: Mapping[str, np.ndarray], items: Mapping[str, np.ndarray]) -> None:
    """Log how many rows of validation and test are of an item that the user met in train."""
    met = set(zip(users["train"].tolist(), items["train"].tolist(), strict=True))
    for name in (name for name in splits if name not in ("train", UNLABELLED)):
        again = sum(pair in met for pair in zip(users[name].tolist(), items[name].tolist(), strict=True))
        if again:
            log.warning("%d of %d rows of %s are of an item that its user met in train", again, len(splits[name]), name)
