"""Rows of histories and candidates, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .past import Past, seen_by, users_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .items import Catalogue
    from .options import Options

PARTNERS = 32
"""Rows of a user, from a row on, among which its partner is drawn."""
TRIES = 4


@dataclass(frozen=True)
class HistoryRows:
    """Rows of a split, by number, or by the number of a draw.

    Attributes:
        past: what users met.
        length: items of a history, at most.
        candidate: (rows,) number of the candidate.
        start: (rows,) first event of the history.
        end: (rows,) behind its last event.
        labels: (rows,) or None.
        number: (rows,) as the split has it.
        user: (rows,) number of the user; None where rows come alone, without a partner.
        group: (rows,) group of the user, whose factors of items are read; None reads those of the model.
        seed: of the partners.
        older: (rows, 2) number and sum of the ratings before the items that are read; None takes them from the past.
    """

    past: Past
    length: int
    candidate: np.ndarray
    start: np.ndarray
    end: np.ndarray
    labels: np.ndarray | None
    number: np.ndarray
    user: np.ndarray | None = None
    group: np.ndarray | None = None
    seed: int = 0
    older: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.candidate)

    def __getitem__(self, draw: int) -> dict[str, Any]:
        """Row ``draw % len`` with its history, and in training a partner that is drawn anew at each draw."""
        draw = int(draw)
        row = draw % len(self)
        bounds = int(self.start[row]), int(self.end[row]), self.length
        items, ratings = self.past.before(*bounds)
        older = self.past.older(*bounds) if self.older is None else self.older[row]
        found = {"ids": self.number[row], "candidate": self.candidate[row : row + 1], "history": items}
        found |= {"ratings": ratings, "older": older}
        if self.labels is not None:
            found["labels"] = self.labels[row]
        if self.group is not None:
            found["group"] = self.group[row]
        if self.user is not None:
            other, preferred = self.partner(row, draw)
            found |= {"candidate": self.candidate[[row, other]], "preferred": preferred}
        return found

    def partner(self, row: int, draw: int) -> tuple[int, float]:
        """Return another row of the same user with another label, and which of the two is preferred: 1 the first.

        It is a later row, or one of the same time, so that it is not in the history; the row itself, and 0, where none
        of a few that are drawn is such a row.
        """
        assert self.user is not None and self.labels is not None
        random = np.random.default_rng([self.seed, draw])
        for other in (row + random.integers(1, PARTNERS + 1, TRIES)).tolist():
            if other < len(self) and self.user[other] == self.user[row] and self.labels[other] != self.labels[row]:
                return other, 1.0 if self.labels[row] > self.labels[other] else -1.0
        return row, 0.0


def rows(
    splits: DatasetDict, past: Past, args: Options, paired: bool = True, group: np.ndarray | None = None
) -> dict[str, HistoryRows]:
    """Return the rows of each split; those of train have partners if ``paired``, and a ``group`` if given.

    Args:
        splits: with what each row may see, and ``labels``.
        past: what there is to be seen.
        args: of the run.
        paired: whether train's rows come with another of the same user.
        group: (rows,) of train, as :class:`.known_items.Learned` has it.
    """
    return {
        name: _rows(split, past, args, paired, group) if name == "train" else _rows(split, past, args)
        for name, split in splits.items()
    }


def _rows(
    split: Dataset, past: Past, args: Options, paired: bool = False, group: np.ndarray | None = None
) -> HistoryRows:
    candidate, start, end = seen_by(split)
    labels = np.asarray(split["labels"][:]) if "labels" in split.column_names else None
    user, number = None, np.arange(len(split))
    if paired:
        user = np.unique(users_of(split, args), return_inverse=True)[1]
        order = np.lexsort((end, user))  # by user and time, so that a row's partner is behind it
        candidate, start, end, user, number = (values[order] for values in (candidate, start, end, user, number))
        labels, group = (None if values is None else values[order] for values in (labels, group))
    seed: int = args.seed  # type: ignore[attr-defined]
    return HistoryRows(past, args.history_length, candidate, start, end, labels, number, user, group, seed)


@dataclass(frozen=True)
class Together:
    """Makes a batch of rows: places of histories and candidates among the items of the batch, and these items.

    In the batch: ``candidate`` (rows, candidates), ``history`` and ``history_mask`` and ``ratings`` (rows, items), the
    oldest first, padded in front; ``older`` (rows, 2), of what is before them; ``ids``, ``labels``, ``preferred``
    (rows,) where there are; and what the catalogue has of the items; where rows have a ``group``, also
    ``item_factors`` (items, groups, size), of ``apart`` (catalogue, groups, size).
    """

    catalogue: Catalogue
    longest: int
    apart: torch.Tensor | None = None
    multiple: int = 8

    def __call__(self, some: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Put the rows together."""
        longest = max(1, max(len(row["history"]) for row in some))
        width = min(-(-longest // self.multiple) * self.multiple, self.longest)
        candidate = np.stack([row["candidate"] for row in some]).astype(np.int64)
        history = np.full((len(some), width), candidate[0, 0], np.int64)
        mask = np.zeros((len(some), width), bool)
        ratings = np.full((len(some), width), np.nan, np.float32)
        for at, row in enumerate(some):
            count = len(row["history"])
            if count:
                history[at, -count:], ratings[at, -count:], mask[at, -count:] = row["history"], row["ratings"], True
        items, numbers = np.unique(np.concatenate([history.ravel(), candidate.ravel()]), return_inverse=True)
        if len(items) == len(some):  # so that what is of the items is not taken for what is of the rows
            items = np.append(items, items[-1])
        places = torch.from_numpy(numbers.astype(np.int64))
        batch: dict[str, torch.Tensor] = {
            "candidate": places[history.size :].view(candidate.shape),
            "history": places[: history.size].view(history.shape),
            "history_mask": torch.from_numpy(mask),
            "ratings": torch.from_numpy(ratings),
            "older": torch.tensor(np.array([row["older"] for row in some]), dtype=torch.float32),
            "ids": torch.tensor([row["ids"] for row in some]),
        }
        if "labels" in some[0]:
            labels = np.asarray([row["labels"] for row in some])
            batch["labels"] = torch.from_numpy(labels.astype(np.int64 if labels.dtype.kind in "iu" else np.float32))
        if "preferred" in some[0]:
            batch["preferred"] = torch.tensor([row["preferred"] for row in some], dtype=torch.float32)
        if "group" in some[0]:
            assert self.apart is not None
            batch["group"] = torch.tensor([row["group"] for row in some])
            batch["item_factors"] = self.apart[torch.from_numpy(items)]
        return batch | self.catalogue.some(items)


def collate(catalogue: Catalogue, longest: int, apart: torch.Tensor | None = None) -> Together:
    """Return what makes batches of rows, whose histories have at most ``longest`` items.

    Args:
        catalogue: all items.
        longest: items of a history.
        apart: factors of items for rows with a group, as :class:`.known_items.Learned` has them.
    """
    return Together(catalogue, longest, apart)


def candidates(splits: DatasetDict) -> dict[str, np.ndarray]:
    """Return the number of the candidate of each row, (rows,), by split."""
    return {name: seen_by(split)[0] for name, split in splits.items()}


def recent_means(splits: DatasetDict, past: Past) -> dict[str, np.ndarray]:
    """Return what users gave before each row, (rows, 4), by split: means of all, of the last 20 and 5; log of how many.

    Of the whole history, however much of it the model reads; each mean with one more rating, the mean of all ratings.
    """
    rating = np.nan_to_num(past.rating.astype(np.float64), nan=0.0)
    there = np.isfinite(past.rating).astype(np.float64)
    mean = rating.sum() / max(1.0, there.sum())
    total, count = (np.append(0.0, np.cumsum(values)) for values in ((rating - mean) * there, there))
    found = {}
    for name, split in splits.items():
        _, start, end = seen_by(split)
        firsts = [np.maximum(start, end - window) for window in (len(rating), 20, 5)]
        means = [(total[end] - total[first]) / (count[end] - count[first] + 1) for first in firsts]
        found[name] = np.stack([*means, np.log1p(end - start)], 1)
    return found


def scale_of(past: Past, train: Dataset) -> tuple[float, float] | None:
    """Return mean and standard deviation of the ratings that train's rows may see; None where there are none."""
    known = past.rating[: int(seen_by(train)[2].max(initial=0))]
    known = known[np.isfinite(known)].astype(np.float64)
    return (float(known.mean()), float(known.std()) or 1.0) if len(known) else None
