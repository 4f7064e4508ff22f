"""Which rows come together in a batch: a pure function of the seed and the epoch, on any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..errors import InputError

if TYPE_CHECKING:
    from accelerate import Accelerator

Rows = list[int]
Collate = Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]

POOL = 50
"""Steps whose rows are sorted by length together."""


class BatchSampler:
    """Every row once an epoch, in batches of like length.

    The rows of an optimizer step (``batch_size × num_processes × accumulation_steps``) depend on the seed, the epoch
    and that product alone, so that (8, 1), (4, 2) and (2, 4), or one process and two, train on the same steps.
    With ``group_by_length`` a pool of 50 random steps is sorted by length, cut into steps, and the steps are shuffled;
    the step that holds the longest row comes first, where running out of memory costs least.
    What does not fill a step comes last, spread as evenly as it goes, and no process ever gets an empty batch, nor one
    of fewer rows than :meth:`set_least` says: what is too little for a step of its own makes the last one larger.

    Args:
        lengths: tokens of each row, or only the number of rows (then nothing is grouped).
        batch_size: rows of a batch on one process.
        seed: with the epoch, all that the order depends on.
        process_index: which process this is, from 0.
        num_processes: how many there are.
        group_by_length: batches of like length, against padding.
        shuffle: False keeps the given order.
        accumulation_steps: batches of a process that make one optimizer step.
        count_draws: yield ``epoch * rows + row``, a number that no other epoch has, instead of ``row``: what random
            augmentation is drawn from.

    Raises:
        InputError: fewer rows than processes.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray | int,
        batch_size: int,
        seed: int = 0,
        process_index: int = 0,
        num_processes: int = 1,
        group_by_length: bool = True,
        shuffle: bool = True,
        accumulation_steps: int = 1,
        count_draws: bool = False,
    ) -> None:
        self.lengths = None if isinstance(lengths, int) else np.asarray(lengths)
        self.rows = lengths if isinstance(lengths, int) else len(lengths)
        self.batch_size, self.seed, self.accumulation_steps = batch_size, seed, accumulation_steps
        self.process_index, self.num_processes = process_index, num_processes
        self.group_by_length = group_by_length and shuffle and self.lengths is not None
        self.shuffle, self.count_draws = shuffle, count_draws
        self.set_least(1)
        self.set_epoch(0)

    def set_least(self, rows: int) -> None:
        """Make no batch of fewer than ``rows`` rows, which is at most ``batch_size``.

        Raises:
            InputError: fewer rows than that for each process.
        """
        if self.rows < rows * self.num_processes:
            raise InputError(
                f"{self.rows} rows for {self.num_processes} processes: each needs {rows if rows > 1 else 'one'}; "
                "add rows or start fewer processes"
            )
        self.least = rows

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Iterate over ``epoch`` next, from this process's batch number ``start`` on."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        """Batches of one process in a whole epoch, wherever it starts."""
        return sum(batches for _, batches in self._plan())

    def __iter__(self) -> Iterator[Rows]:
        """Yield the row numbers, or the numbers of the draws, of each batch of this process."""
        order, done, seen = self._order(), 0, 0
        if self.count_draws:
            order = order + self.epoch * self.rows
        for rows, batches in self._plan():
            for batch in np.array_split(order[done : done + rows], batches):
                if seen >= self.start:
                    yield batch[self.process_index :: self.num_processes].tolist()
                seen += 1
            done += rows

    def _plan(self) -> list[tuple[int, int]]:
        """(rows over all processes, batches of each process) of every step, in order."""
        together = self.batch_size * self.num_processes
        steps, rest = divmod(self.rows, together * self.accumulation_steps)
        plan = [(together * self.accumulation_steps, self.accumulation_steps)] * steps
        least = self.least * self.num_processes
        if rest >= least:
            plan.append((rest, min(-(-rest // together), rest // least)))
        elif rest:
            rows, batches = plan.pop()
            plan.append((rows + rest, batches))
        return plan

    def _order(self) -> np.ndarray:
        """Row numbers in the order of this epoch."""
        if not self.shuffle:
            return np.arange(self.rows)
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.rows)
        step = self.batch_size * self.num_processes * self.accumulation_steps
        steps = self.rows // step
        if not self.group_by_length or steps < 2:
            return order
        assert self.lengths is not None
        pool = step * max(1, min(POOL, steps // 4))
        full = order[: steps * step]
        pools = [full[at : at + pool] for at in range(0, len(full), pool)]
        by_length = np.concatenate([rows[np.argsort(-self.lengths[rows], kind="stable")] for rows in pools])
        grouped = by_length.reshape(steps, step)[random.permutation(steps)]
        longest = self.lengths[grouped].max(axis=1).argmax()
        grouped[[0, longest]] = grouped[[longest, 0]]
        return np.concatenate([grouped.ravel(), order[steps * step :]])


def lengths_of(dataset: Any, column: str = "input_ids") -> np.ndarray:
    """Tokens of each row of a tokenized dataset, as (rows,) int64."""
    import pyarrow.compute

    values = dataset.with_format("arrow")[column]
    values = values[:] if not hasattr(values, "chunks") else values
    return pyarrow.compute.list_value_length(values).to_numpy().astype(np.int64)


def train_loader(
    dataset: Any,
    collate: Collate,
    accelerator: Accelerator,
    *,
    batch_size: int,
    seed: int = 0,
    accumulation_steps: int = 1,
    group_by_length: bool = True,
    lengths: Sequence[int] | np.ndarray | None = None,
    num_workers: int = 0,
    count_draws: bool = False,
) -> DataLoader:
    """Batches of this process for training; ``loader.batch_sampler`` is a :class:`BatchSampler`.

    The loader has a random generator of its own, so that iterating draws nothing from torch's global one, and it is
    not to be given to ``accelerator.prepare``: the sampler has shared the rows out already.

    Args:
        dataset: tokenized rows (``text.tokenize``), or anything with ``len`` and rows by number.
        collate: makes a batch of a list of rows.
        accelerator: says which of how many processes this is.
        batch_size: rows of a batch on one process.
        seed: of the order.
        accumulation_steps: batches that make one optimizer step.
        group_by_length: batches of like length.
        lengths: tokens of each row; counted when not given.
        num_workers: processes that prepare batches.
        count_draws: ask the dataset for draws instead of rows, as :class:`BatchSampler` says.
    """
    if lengths is None:
        lengths = lengths_of(dataset) if group_by_length and hasattr(dataset, "with_format") else None
    sampler = BatchSampler(
        len(dataset) if lengths is None else lengths,
        batch_size,
        seed,
        accelerator.process_index,
        accelerator.num_processes,
        group_by_length,
        accumulation_steps=accumulation_steps,
        count_draws=count_draws,
    )
    return loader_of(dataset, collate, sampler, accelerator, num_workers)


def eval_loader(
    dataset: Any,
    collate: Collate,
    batch_size: int,
    accelerator: Accelerator,
    lengths: Sequence[int] | np.ndarray | None = None,
    num_workers: int = 0,
) -> DataLoader:
    """This process's share of the rows, each row on one process only, longest first; it may be empty."""
    if lengths is None and hasattr(dataset, "with_format"):
        lengths = lengths_of(dataset)
    order = np.arange(len(dataset)) if lengths is None else np.argsort(-np.asarray(lengths), kind="stable")
    mine = order[accelerator.process_index :: accelerator.num_processes]
    batches = [mine[at : at + batch_size].tolist() for at in range(0, len(mine), batch_size)]
    return loader_of(dataset, collate, batches, accelerator, num_workers)


def loader_of(dataset: Any, collate: Collate, sampler: Any, accelerator: Accelerator, num_workers: int) -> DataLoader:
    """Load the rows that a sampler names; iterating draws nothing from torch's global random generator."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=accelerator.device.type == "cuda",
        generator=torch.Generator().manual_seed(0),
    )
