"""The loaders of a run, as its arguments ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data import batching, token_batches

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    from .config import TrainConfig


def train_loader(
    rows: Any,
    collate: batching.Collate,
    accelerator: Accelerator,
    config: TrainConfig,
    *,
    drawn: bool = False,
    lengths: np.ndarray | None = None,
) -> DataLoader:
    """Batches of this process for training, as :func:`hf_attn.data.train_loader` makes them.

    Args:
        rows: anything with ``len`` and rows by number.
        collate: makes a batch of a list of rows.
        accelerator: says which of how many processes this is.
        config: batch size or tokens, seed, accumulation, grouping by length, workers.
        drawn: whether each pass draws something anew of a row, which is then asked for by the number of the draw.
        lengths: tokens of each row, where the rows do not tell.

    Raises:
        InputError: ``max_tokens`` for rows that have none, or less than a row has; fewer rows than processes.
    """
    if config.max_tokens is not None:
        return token_batches.token_loader(
            rows,
            collate,
            accelerator,
            max_tokens=config.max_tokens,
            seed=config.seed,
            accumulation_steps=config.accumulation_steps,
            num_workers=config.num_workers,
        )
    return batching.train_loader(
        rows,
        collate,
        accelerator,
        batch_size=config.batch_size,
        seed=config.seed,
        accumulation_steps=config.accumulation_steps,
        group_by_length=config.group_by_length and (not drawn or lengths is not None),
        lengths=lengths if config.group_by_length else None,
        num_workers=config.num_workers,
        count_draws=drawn,
    )


def eval_loader(
    rows: Any,
    collate: batching.Collate,
    accelerator: Accelerator,
    config: TrainConfig,
    lengths: np.ndarray | None = None,
) -> DataLoader:
    """This process's share of the rows, each once; ``eval_batch_size`` of them a batch, or twice ``batch_size``."""
    return batching.eval_loader(rows, collate, config.eval_batch_size or 2 * config.batch_size, accelerator, lengths)
