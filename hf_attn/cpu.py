"""What makes a training step on a CPU cheaper without changing what it computes.

Measured by ``benchmarks/text_throughput.py --ablate``: dropout's random numbers, the memory that every step asks the
system for anew, and the rows of the embedding that no text uses.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from datasets import Dataset

PARTS = ("dropout", "memory", "embedding")

# mallopt's names for its parameters, from glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4


@contextmanager
def faster_training(
    model: nn.Module, device: torch.device, tokens: Dataset | None = None, parts: tuple[str, ...] = PARTS
) -> Iterator[None]:
    """Train faster inside the block if ``device`` is a CPU; afterwards the model is built as before.

    Args:
        model: a model of transformers, with adapters or without.
        device: where it is trained.
        tokens: the training rows, with ``input_ids``; None leaves the embedding as it is.
        parts: which of ``dropout``, ``memory`` and ``embedding``.
    """
    with ExitStack() as stack:
        if device.type == "cpu":
            if "memory" in parts:
                keep_memory()
            if "dropout" in parts:
                stack.enter_context(cheap_dropout(model))
            if "embedding" in parts and tokens is not None:
                from .models.compact_embedding import compact_embedding

                special = (getattr(model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos"))
                used = used_ids(tokens) + [token for token in special if isinstance(token, int)]
                stack.enter_context(compact_embedding(model, used))  # type: ignore[arg-type]
        yield


def keep_memory() -> bool:
    """Let the process keep freed memory, so that the next step need not ask for it again; return whether it is kept.

    glibc maps large tensors anew each time, and the system clears every page of them. Other allocators are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 64 * 2**20))
    return all([mallopt(parameter, value) for parameter, value in settings])


class BitDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`hf_attn.attention.dropout.dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop elements."""
        from .attention.dropout import dropout

        return dropout(input, self.p, self.training)


@contextmanager
def cheap_dropout(model: nn.Module) -> Iterator[None]:
    """Draw all of a model's dropout from random bits, attention's too."""
    from .attention.maps import own_implementation

    config: Any = model.config
    attention = own_implementation(model) if config._attn_implementation == "sdpa" else nullcontext()
    changed = [module for module in model.modules() if type(module) is nn.Dropout and not module.inplace]
    for module in changed:
        module.__class__ = BitDropout
    try:
        with attention:
            yield
    finally:
        for module in changed:
            module.__class__ = nn.Dropout


def used_ids(tokens: Any) -> list[int]:
    """Return the token ids that occur in rows of ``input_ids``."""
    import pyarrow.compute

    column = tokens.with_format("arrow")["input_ids"][:]
    return pyarrow.compute.unique(pyarrow.compute.list_flatten(column)).to_pylist()
