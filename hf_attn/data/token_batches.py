"""Batches of so many tokens, as many rows as fit: a pure function of seed and epoch, on any number of processes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .batching import BatchSampler, Collate, lengths_of, loader_of
from .columns import listing

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader


class TokenBatchSampler(BatchSampler):
    """Every row once an epoch, in batches whose tokens, padding included, are at most ``max_tokens``.

    A batch of n rows has n · (longest source + longest target) tokens. The rows of an optimizer step depend on the
    seed, the epoch and ``max_tokens × num_processes × accumulation_steps`` alone; where that is cut into several
    batches, these differ by at most one row, which may go beyond ``max_tokens``. Rows are sorted by their lengths, rows
    of the same lengths anew in each epoch, and the steps are shuffled, so that each epoch has as many batches. The
    longest step comes first; the last two have as many rows, or are one where that is too little for all processes.

    Args:
        lengths: (rows,) or (rows, parts) tokens of each row, such as of its source and its target.
        max_tokens: of a batch on one process.
        seed: with the epoch, all that the order depends on.
        process_index: which process this is, from 0.
        num_processes: how many there are.
        accumulation_steps: batches of a process that make one optimizer step.

    Raises:
        InputError: fewer rows than processes, or rows that alone have more tokens.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        max_tokens: int,
        seed: int = 0,
        process_index: int = 0,
        num_processes: int = 1,
        accumulation_steps: int = 1,
    ) -> None:
        self.parts = np.asarray(lengths).reshape(len(lengths), -1)
        total = self.parts.sum(1)
        if len(long := np.flatnonzero(total > max_tokens)):
            raise InputError(
                f"max_tokens is {max_tokens}, and {len(long)} rows have more tokens (rows {listing(long.tolist())} of "
                f"train, from 0; the longest {total.max()}): give more, or cut the rows to fewer tokens"
            )
        self.max_tokens = max_tokens
        super().__init__(total, 1, seed, process_index, num_processes, accumulation_steps=accumulation_steps)

    @cached_property
    def steps(self) -> np.ndarray:
        """(steps,) rows of each step, longest rows first: the same in every epoch."""
        ordered = self.parts[np.lexsort((*self.parts.T[:-1], self.parts[:, -1]))[::-1]]
        together = self.num_processes * self.accumulation_steps
        sizes, at = [], 0
        while at < len(ordered):
            # one part falls, the others may rise inside a step: the width is that of the rows taken so far
            width = np.maximum.accumulate(ordered[at : at + self.max_tokens * together]).sum(1)
            fits = np.arange(1, len(width) + 1) * width <= self.max_tokens * together
            size = max(len(fits) if fits.all() else int(fits.argmin()), min(together, len(fits)))
            sizes.append(size)
            at += size
        if len(sizes) > 1:  # the last two alike, that none is too little
            both = sizes[-2] + sizes[-1]
            sizes[-2:] = [both - both // 2, both // 2] if both // 2 >= self.least * together else [both]
        return np.array(sizes)

    def set_least(self, rows: int) -> None:
        """Make no batch of fewer than ``rows`` rows where there are so many of like length."""
        super().set_least(rows)
        self.__dict__.pop("steps", None)

    def _plan(self) -> list[tuple[int, int]]:
        """(rows over all processes, batches of each process) of every step, in the order of this epoch."""
        least = self.least * self.num_processes
        return [(int(rows), max(1, min(self.accumulation_steps, rows // least))) for rows in self.steps[self._drawn()]]

    def _order(self) -> np.ndarray:
        """Row numbers in the order of this epoch."""
        random = np.random.default_rng([self.seed, self.epoch])
        ties = random.permutation(self.rows)
        by_length = np.lexsort((ties, *self.parts.T[:-1], self.parts[:, -1]))[::-1]
        ends = np.cumsum(self.steps)
        steps = np.split(by_length, ends[:-1])
        return np.concatenate([steps[number] for number in self._drawn()])

    def _drawn(self) -> np.ndarray:
        """The order of the steps: the longest first; the shortest, which may be small, last."""
        last = len(self.steps) - 1
        between = np.random.default_rng([self.seed, self.epoch, 1]).permutation(np.arange(1, max(last, 1)))
        return np.concatenate([[0], between, [last]]) if last else np.array([0])


def lengths_by_part(dataset: Any) -> np.ndarray:
    """Tokens of each row's source, and of its target where labels are tokens of their own: (rows, 1 or 2) int64."""
    from datasets import List

    counted = ["input_ids", *(["labels"] if isinstance(dataset.features.get("labels"), List) else [])]
    return np.stack([lengths_of(dataset, column) for column in counted], axis=1)


def token_loader(
    dataset: Any,
    collate: Collate,
    accelerator: Accelerator,
    *,
    max_tokens: int,
    seed: int = 0,
    accumulation_steps: int = 1,
    num_workers: int = 0,
) -> DataLoader:
    """Batches of this process for training; ``loader.batch_sampler`` is a :class:`TokenBatchSampler`.

    Args:
        dataset: tokenized rows, with ``input_ids`` and perhaps lists of ``labels``.
        collate: makes a batch of a list of rows.
        accelerator: says which of how many processes this is.
        max_tokens: of a batch on one process.
        seed: of the order.
        accumulation_steps: batches that make one optimizer step.
        num_workers: processes that prepare batches.

    Raises:
        InputError: rows without tokens, or with more than ``max_tokens``; fewer rows than processes.
    """
    if "input_ids" not in getattr(dataset, "column_names", ()):
        raise InputError("max_tokens counts the tokens of texts, and there are none here: give --batch_size")
    place = accelerator.process_index, accelerator.num_processes
    sampler = TokenBatchSampler(lengths_by_part(dataset), max_tokens, seed, *place, accumulation_steps)
    return loader_of(dataset, collate, sampler, accelerator, num_workers)
