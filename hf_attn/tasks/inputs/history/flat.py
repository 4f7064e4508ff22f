"""Rows that hold their history: lists of texts, or one text that is divided."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import refuse
from ....data.origin import where
from ....data.reading import characters
from ....errors import InputError
from .interactions import placed
from .past import Past

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import Options

log = logging.getLogger(__name__)


def with_past(splits: DatasetDict, args: Options, label: str) -> tuple[DatasetDict, Past]:
    """Return the rows with what each may see; arguments as of :func:`.reading.load_past`."""
    number: dict[str, int] = {}
    items: list[np.ndarray] = []
    ratings: list[np.ndarray] = []
    bounds, at, met = {}, 0, {}
    for name, split in splits.items():
        histories = histories_of(split, args.history, args.separator)
        candidates = candidates_of(split, args.candidate)
        given = rated(split, args.history_ratings, histories, args.rating_scale)
        lengths = np.array([len(one) for one in histories])
        end = at + np.cumsum(lengths)
        items.append(np.array([number.setdefault(text, len(number)) for one in histories for text in one], np.int32))
        ratings.append(np.concatenate([np.zeros(0), *given]))
        numbers = np.array([number.setdefault(text, len(number)) for text in candidates])
        bounds[name] = numbers, end - lengths, end
        at += int(lengths.sum())
        met[name] = sum(text in one for text, one in zip(candidates, histories, strict=True))
    for name, count in met.items():
        if count:
            log.warning("%d rows of %s have their candidate in their history: has it been seen before?", count, name)
    past = Past(list(number), np.concatenate(items), np.concatenate(ratings).astype(np.float32))
    return placed(splits, bounds), past


def histories_of(split: Dataset, column: str, separator: str | None) -> list[list[str]]:
    """Return the texts of each row's history.

    Raises:
        InputError: what is no list of texts, or no text to divide; with the rows as they are in the file.
    """
    found: list[list[str]] = []
    bad: dict[str, list[int]] = {}
    values = split[column][:]
    written = [value for value in values if isinstance(value, str) and value.strip()]
    if separator is not None and len(written) > 1 and not any(separator in value for value in written):
        log.warning("separator %r stands in none of the %d histories: each is one text", separator, len(written))
    for row, value in enumerate(values):
        one, why = texts_in(value, separator)
        found.append(one)
        if why:
            bad.setdefault(why, []).append(row)
    refuse(f"'{column}' of {len(rows)} rows {why} ({where(split, rows)})" for why, rows in bad.items())
    texts = characters([text for one in found for text in one])
    taken = iter(texts)
    return [[next(taken) for _ in one] for one in found]


def texts_in(value: Any, separator: str | None) -> tuple[list[str], str]:
    """Return the texts of one history, and why it cannot be used, empty where it can."""
    if value is None or value != value:
        return [], ""
    if isinstance(value, str):
        if separator is None:
            return [], "" if not value.strip() else "is one text: expected a list, or --separator, such as '; '"
        return [text for part in value.split(separator) if (text := part.strip())], ""
    if not isinstance(value, list | tuple | np.ndarray):
        return [], f"is {type(value).__name__}: expected a list of texts"
    texts = list(value)
    if any(not isinstance(text, str) for text in texts):
        return [], "holds what is no text"
    return ([], "holds an empty text") if any(not text.strip() for text in texts) else (texts, "")


def candidates_of(split: Dataset, column: str) -> list[str]:
    """Return the candidate of each row.

    Raises:
        InputError: one that is no text; with the rows as they are in the file.
    """
    values = split[column][:]
    bad = [row for row, value in enumerate(values) if not isinstance(value, str) or not value.strip()]
    if bad:
        raise InputError(
            f"'{column}' of {len(bad)} rows is no text ({where(split, bad)}): write it, or --skip_bad_rows"
        )
    return characters(values)


def rated(split: Dataset, column: str | None, histories: list[list[str]], scale: Any) -> list[np.ndarray]:
    """Return the ratings of each history, (items,) float64; NaN where there are none.

    Raises:
        InputError: not as many as texts, no numbers, or out of the scale; with the rows as they are in the file.
    """
    if column is None:
        return [np.full(len(one), np.nan) for one in histories]
    found: list[np.ndarray] = []
    bad: dict[str, list[int]] = {}
    for row, (value, history) in enumerate(zip(split[column][:], histories, strict=True)):
        one, why = numbers_in(value, len(history), scale)
        found.append(one)
        if why:
            bad.setdefault(why, []).append(row)
    refuse(f"'{column}' of {len(rows)} rows {why} ({where(split, rows)})" for why, rows in bad.items())
    return found


def numbers_in(value: Any, count: int, scale: Any) -> tuple[np.ndarray, str]:
    """Return the ratings of one history, NaN where one is null, and why they cannot be used, empty where they can."""
    nothing = np.full(count, np.nan)
    if value is None or (isinstance(value, float) and value != value):
        return nothing, ""
    if not isinstance(value, list | tuple | np.ndarray):
        return nothing, f"is {type(value).__name__}: expected a list of numbers"
    if len(value) != count:
        return nothing, f"has {len(value)} ratings for {count} texts"
    if any(
        one is not None and (isinstance(one, bool | str) or not isinstance(one, int | float | np.number))
        for one in value
    ):
        return nothing, "holds what is no number"
    found = np.array([np.nan if one is None else float(one) for one in value])
    if np.isinf(found).any():
        return nothing, "holds a rating that is not finite"
    if scale is not None and ((found < scale[0]) | (found > scale[1])).any():
        return nothing, f"holds a rating out of the scale from {scale[0]:g} to {scale[1]:g}"
    return found, ""
