"""What is frozen of a model runs once over the rows of a run, and what it gives is kept in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from ..attention.modes import evaluation_mode
from ..data.batching import lengths_of
from ..interface import progress
from ..models.input_length import plain
from .evaluation import Outputs, Predictions, predict
from .loaders import eval_loader

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    from ..data.batching import Collate
    from .config import TrainConfig

log = logging.getLogger(__name__)

SHARE = 0.25
"""Of the machine's memory that kept states may take, over all processes."""


def run_once(
    model: nn.Module,
    rows: Any,
    collate: Collate,
    accelerator: Accelerator,
    config: TrainConfig,
    outputs: Outputs,
    name: str,
) -> Predictions:
    """Run a model once over rows, with a bar, and give every process what was kept of all of them, in order.

    Args:
        model: on the run's device.
        rows: of a split.
        collate: makes batches of them as the model takes them.
        accelerator: of the run.
        config: of the run, with the size of batches.
        outputs: what is kept of a batch.
        name: of the split.
    """
    loader = eval_loader(rows, collate, accelerator, config)
    bar = progress.bar(loader, desc=name, disable=not accelerator.is_main_process, leave=False)
    return predict(model, bar, accelerator, outputs)


def frozen_encoder(model: nn.Module) -> Any:
    """Return the encoder of an encoder-decoder where no parameter of it is trained; else None."""
    inner: Any = plain(model)
    encoder = inner.get_encoder() if inner.config.is_encoder_decoder else None
    return None if encoder is None or any(weight.requires_grad for weight in encoder.parameters()) else encoder


@contextmanager
def encoder_once(
    model: nn.Module,
    train: DataLoader,
    validation: DataLoader,
    accelerator: Accelerator,
    config: TrainConfig,
) -> Iterator[None]:
    """Keep the states of a frozen encoder in memory inside the block, for rows that are read more than once.

    The encoder is in evaluation mode there, whether states are kept or not, and the losses are the same. Other texts it
    runs over as ever. Nothing happens where a parameter of the encoder is trained.

    Args:
        model: an encoder-decoder, or any.
        train: loader of the training rows.
        validation: loader of those of validation.
        accelerator: of the run.
        config: of the run.
    """
    encoder = frozen_encoder(model)
    if encoder is None:
        yield
        return
    kept: dict[bytes, np.ndarray] = {}
    if _passes(train, config) > 1 and _fits(encoder, (train, validation), accelerator):
        encoder.to(accelerator.device)
        for name, loader in (("train", train), ("validation", validation)):
            rows, collate = loader.dataset, loader.collate_fn
            kept.update(run_once(encoder, rows, collate, accelerator, config, _states, f"{name}: states").outputs)
    run = encoder.forward

    @torch.compiler.disable
    def forward(input_ids: Any = None, attention_mask: Any = None, return_dict: bool = True, **more: Any) -> Any:
        found = None
        if kept and input_ids is not None and all(value is None or value is False for value in more.values()):
            found = _looked_up(kept, input_ids, attention_mask)
        if found is not None:
            return BaseModelOutput(last_hidden_state=found.to(encoder.device, encoder.dtype))
        with evaluation_mode(encoder):
            return run(input_ids=input_ids, attention_mask=attention_mask, return_dict=return_dict, **more)

    encoder.forward = forward
    try:
        yield
    finally:
        del encoder.forward


def _passes(train: DataLoader, config: TrainConfig) -> float:
    """How often a run reads its training rows."""
    batches = len(train.batch_sampler)  # type: ignore[arg-type]
    return config.max_steps * config.accumulation_steps / batches if config.max_steps else config.epochs


def _fits(encoder: Any, loaders: tuple[DataLoader, ...], accelerator: Accelerator) -> bool:
    """Whether the states of all rows take no more than a share of the memory; either is told."""
    tokens = sum(int(lengths_of(one.dataset, "input_ids").sum()) for one in loaders)
    size = tokens * encoder.config.hidden_size * 4 * accelerator.num_processes
    most = SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else size
    if size > most:
        told = "the encoder is frozen and runs in each epoch: its states would take %.1f GB, more than %.1f GB"
        log.info(told, size / 1e9, most / 1e9)
        return False
    log.info("the encoder is frozen: it runs once over each text, and its states are kept, %.0f MB", size / 1e6)
    return True


def _keys(input_ids: Tensor, attention_mask: Tensor | None) -> tuple[list[bytes], Tensor]:
    """The tokens of each row as bytes, and where they are, (rows, tokens) bool."""
    there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    there = there.bool().cpu()
    rows = zip(input_ids.cpu().numpy(), there.numpy(), strict=True)
    return [ids[own].tobytes() for ids, own in rows], there


def _states(encoder: nn.Module, batch: dict[str, Tensor]) -> list[tuple[bytes, np.ndarray]]:
    """The tokens of each row and their states, (tokens, channels), by what an encoder gives for a batch."""
    given = {name: batch[name] for name in ("input_ids", "attention_mask")}
    keys, there = _keys(**given)
    found = encoder(**given, return_dict=True).last_hidden_state.float().cpu()
    return [(key, states[own].numpy()) for key, states, own in zip(keys, found, there, strict=True)]


def _looked_up(kept: dict[bytes, np.ndarray], input_ids: Tensor, attention_mask: Tensor | None) -> Tensor | None:
    """(rows, tokens, channels) kept states of a batch, 0 at padding; None where those of a row are not kept."""
    keys, there = _keys(input_ids, attention_mask)
    if not all(key in kept for key in keys):
        return None
    states = torch.from_numpy(np.concatenate([kept[key] for key in keys]))
    made = torch.zeros(*there.shape, states.shape[1])
    made[there] = states
    return made
