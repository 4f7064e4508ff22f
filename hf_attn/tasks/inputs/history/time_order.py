"""Times as numbers, and splits by time: what is tested comes after what is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import listing, refuse
from ....data.files import split_of
from ....data.origin import select, where
from ....data.splitting import LEAST
from ....errors import InputError, nearest
from .past import users_of

if TYPE_CHECKING:
    from datasets import Dataset

    from .options import Options


def times_of(split: Dataset, column: str | None) -> np.ndarray:
    """Return the time of each row, (rows,) float64: numbers, dates in seconds, or row numbers without a column.

    Raises:
        InputError: values that are no time, with the rows as they are in the file.
    """
    if column is None:
        return np.arange(len(split), dtype=np.float64)
    values = split[column][:]
    import pandas

    given = pandas.Series(values, dtype=object)
    times = pandas.to_numeric(given, errors="coerce").to_numpy(np.float64)
    if not np.isfinite(times).any():
        stamps = pandas.to_datetime(given, utc=True, errors="coerce", format="ISO8601")
        times = np.where(stamps.isna(), np.nan, stamps.dt.as_unit("ns").astype("int64") / 1e9)
    bad = np.flatnonzero(~np.isfinite(times)).tolist()
    refuse(
        f"'{column}' of {len(rows)} rows is no time ({where(split, rows)}, such as {values[rows[0]]!r}): expected a "
        "number or a date such as 2024-12-31"
        for rows in ([bad] if bad else [])
    )
    _refuse_units(split, column, times)
    return times


def _refuse_units(split: Dataset, column: str, times: np.ndarray) -> None:
    """Refuse times of which some are seconds since 1970 and others milliseconds or finer: their order is none."""
    seconds, finer = (times > 1e8) & (times < 1e10), times > 1e11
    if seconds.any() and finer.any():
        fewer = np.flatnonzero(finer if finer.sum() <= seconds.sum() else seconds).tolist()
        raise InputError(
            f"'{column}' holds seconds and parts of seconds: {len(fewer)} of {len(times)} rows are of another unit "
            f"({where(split, fewer)}, such as {split[column][fewer[0]]!r}): expected one unit"
        )


def cut_by_time(train: Dataset, shares: dict[str, float], args: Options) -> dict[str, Dataset]:
    """Take splits from train by a column that names them, or the last rows by time, of each user or of all.

    Args:
        train: all rows.
        shares: of its rows, by the name of the split that they become; validation comes before test.
        args: with the columns.

    Raises:
        InputError: no such column, a name that is no split's, no time to cut by, or too few rows.
    """
    columns = train.column_names
    for what, column in (("split", args.split), ("user", args.user), ("time", args.time)):
        if column is not None and column not in columns:
            cure = "; --time null takes the rows in their order" if what == "time" else ""
            raise InputError(
                f"no column '{column}' (columns: {', '.join(columns)}): name it by --{what}"
                f"{nearest(column, columns)}{cure}"
            )
    wrong = [f"a share of {share} for {name}" for name, share in shares.items() if not 0 < share < 1]
    refuse(f"{told}: expected one between 0 and 1, such as 0.1" for told in wrong)
    part = _named(train, args.split, shares) if args.split else _last(train, shares, args)
    names = ["train", *shares]
    found = {name: np.flatnonzero(part == number) for number, name in enumerate(names)}
    if short := [name for name, rows in found.items() if len(rows) < LEAST]:
        how = f"column '{args.split}' gives" if args.split else "cutting by time leaves"
        cure = "" if args.split or args.split_by_time == "global" else ", or --split_by_time global"
        raise InputError(
            f"{how} {' and '.join(short)} fewer than {LEAST} of {len(train)} rows: give files for them{cure}"
        )
    return {name: select(train, rows) for name, rows in found.items()}


def _named(train: Dataset, column: str, shares: dict[str, float]) -> np.ndarray:
    """Number of the split of each row, 0 being train."""
    names = ["train", *shares]
    said: list[Any] = [split_of(str(value).strip()) for value in train[column][:]]
    bad = [row for row, name in enumerate(said) if name not in names]
    if bad:
        raise InputError(
            f"'{column}' of {len(bad)} rows names no split ({where(train, bad)}, such as {train[column][bad[0]]!r}): "
            f"expected {listing(names)}"
        )
    return np.array([names.index(name) for name in said])


def _last(train: Dataset, shares: dict[str, float], args: Options) -> np.ndarray:
    """Number of the split of each row: the last ones by time."""
    times = times_of(train, args.time)
    users = np.unique(users_of(train, args), return_inverse=True)[1]
    if args.split_by_time == "global":
        users = np.zeros_like(users)
    order = np.lexsort((np.arange(len(times)), times, users))
    counts = np.bincount(users)
    ends = np.cumsum(counts)
    place = np.empty(len(times), np.int64)
    place[order] = np.arange(len(times)) - np.repeat(ends - counts, counts)
    left, part = counts.astype(np.float64), np.zeros(len(times), np.int64)
    for name in reversed(list(shares)):  # test takes the last, validation what is before it
        begin = np.round(left - shares[name] * counts)
        inside = (place >= np.maximum(begin, 1)[users]) & (place < left[users])
        part[inside] = list(shares).index(name) + 1
        left = np.maximum(begin, np.minimum(left, 1))
    if args.split_by_time == "global":  # rows of one time are not torn apart
        for number in range(len(shares), 0, -1):
            if (part == number).any():
                part[(times >= times[part == number].min()) & (part < number)] = number
    return part
