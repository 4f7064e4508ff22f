"""Interactions with items, or rows that hold their history: loaded, checked, and made one kind of rows."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import data
from ....data.columns import UNLABELLED, missing, refuse
from ....data.origin import unusable
from ....errors import InputError
from . import flat, interactions
from .past import users_of
from .time_order import cut_by_time

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import Options
    from .past import Past

log = logging.getLogger(__name__)


def load_splits(args: Options, label: Any = None, strata: Callable[[Dataset], np.ndarray] | None = None) -> DatasetDict:
    """Load the splits of a run and check their columns; missing ones are cut by time, whatever ``strata`` says.

    Raises:
        InputError: what cannot be used; all of it.
    """
    if not isinstance(label, str):
        raise InputError(f"label {label!r}: a recommendation has one label, a rating or a click")
    given = args
    if args.interactions is not None:
        given = copy.copy(args)
        given.dataset = str(Path(args.dataset).expanduser() / args.interactions)
    texts = () if args.items else (args.candidate, args.history)
    skipped = [] if args.items else [args.candidate]
    given = copy.copy(given)
    splits = data.load(given, label=label, text=skipped or texts, cutting=partial(cut_by_time, args=args))
    needed = [args.user, args.item, args.time] if args.items else [args.user, args.history, args.history_ratings]
    needed += [] if args.items else [args.candidate]
    refuse(missing(splits, [*needed, args.split if args.items else None]))
    used = [name for name in needed if name]
    refuse(f"'{name}' is given twice" for name in {*used} if used.count(name) > 1)
    refuse(f"'{name}' is given as the label, too" for name in used if name == label and name != args.history_ratings)
    refuse(why for split in splits.values() for name in used if (why := unusable(split, name)))
    return splits


def load_past(splits: DatasetDict, args: Options, label: str) -> tuple[DatasetDict, Past]:
    """Return the splits with what each row may see, and what there is to be seen.

    A history holds what came before its row: events of earlier times, never of the same time, and never of a later
    split.

    Args:
        splits: of :func:`load_splits`.
        args: of the run.
        label: column of ratings or clicks.

    Raises:
        InputError: users, items, times, ratings or texts that cannot be used; all of them.
    """
    found, past = (interactions if args.items else flat).with_past(splits, args, label)
    for name, split in found.items():
        empty = int(np.sum(np.asarray(split["__start__"][:]) == np.asarray(split["__end__"][:])))
        users = len(set(users_of(split, args)))
        log.info("%s: %d rows of %d users, %d of them without history", name, len(split), users, empty)
    if UNLABELLED in found and args.items:
        log.info("rows without labels see all that came before them, and are in no history")
    return found, past
