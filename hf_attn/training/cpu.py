"""What makes a training step on a CPU cheaper without changing what it computes.

Measured by ``--ablate`` of ``benchmarks/text_throughput.py`` and ``image_throughput.py``: attention's backward pass,
dropout's random numbers, the memory that every step asks the system for anew, the rows of the embedding that no text
uses, and the convolution that makes patches.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from datasets import Dataset

PARTS = ("attention", "dropout", "memory", "embedding", "patches")

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
        parts: which of ``PARTS``.
    """
    with ExitStack() as stack:
        if device.type == "cpu":
            if "memory" in parts:
                keep_memory()
            if "attention" in parts:
                stack.enter_context(cheap_attention(model))
            if "dropout" in parts:
                stack.enter_context(cheap_dropout(model))
            if "patches" in parts:
                stack.enter_context(cheap_patches(model))
            if "embedding" in parts and tokens is not None:
                from ..models.compact_embedding import compact_embedding

                settings = vars(model.config).items()
                special = [value for name, value in settings if name.endswith("_token_id") and isinstance(value, int)]
                stack.enter_context(compact_embedding(model, used_ids(tokens) + special))  # type: ignore[arg-type]
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


@contextmanager
def cheap_attention(model: nn.Module) -> Iterator[None]:
    """Send sdpa through :func:`hf_attn.attention.dispatch.attend`, which takes the path that trains faster.

    That is the plain one where there is dropout, from random bits, or where sdpa's backward pass in bf16 is slow.
    """
    from ..attention import attention_layers
    from ..attention.dispatch import IMPLEMENTATION

    if model.config._attn_implementation != "sdpa":  # type: ignore[union-attr]
        yield
        return
    modules = (model, *attention_layers(model).values())
    configs: dict[int, Any] = {id(m.config): m.config for m in modules if hasattr(m, "config")}
    before = {key: config._attn_implementation for key, config in configs.items()}
    for config in configs.values():
        config._attn_implementation = IMPLEMENTATION
    try:
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]


class BitDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`hf_attn.attention.dropout.dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop elements."""
        from ..attention.dropout import dropout

        return dropout(input, self.p, self.training)


@contextmanager
def cheap_dropout(model: nn.Module) -> Iterator[None]:
    """Draw a model's dropout, but for attention's, from random bits."""
    with as_class(BitDropout, [m for m in model.modules() if type(m) is nn.Dropout and not m.inplace]):
        yield


class PatchConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose kernels do not overlap, as one matrix product: its backward pass is several times faster."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (batch, channels', rows, columns) of (batch, channels, height, width)."""
        (height, width), (batch, channels) = self.kernel_size, input.shape[:2]
        rows, columns = input.shape[2] // height, input.shape[3] // width
        patches = input[:, :, : rows * height, : columns * width].reshape(batch, channels, rows, height, columns, width)
        patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, -1)
        made = nn.functional.linear(patches, self.weight.flatten(1), self.bias)
        return made.transpose(1, 2).reshape(batch, -1, rows, columns)


@contextmanager
def cheap_patches(model: nn.Module) -> Iterator[None]:
    """Make patches by matrix products."""
    plain = [module for module in model.modules() if type(module) is nn.Conv2d]
    with as_class(PatchConv2d, [conv for conv in plain if _cuts_patches(conv)]):
        yield


def _cuts_patches(conv: nn.Conv2d) -> bool:
    alone = conv.padding in ((0, 0), "valid") and conv.dilation == (1, 1) and conv.groups == 1
    return alone and conv.kernel_size == conv.stride and conv.kernel_size != (1, 1)


@contextmanager
def as_class(cls: type[nn.Module], modules: list[nn.Module]) -> Iterator[None]:
    """Let modules be of a class that computes the same, and afterwards of their own again."""
    before = [type(module) for module in modules]
    for module in modules:
        module.__class__ = cls
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            module.__class__ = own


def used_ids(tokens: Any) -> list[int]:
    """Return the token ids that occur in rows of ``input_ids``."""
    import pyarrow.compute

    column = tokens.with_format("arrow")["input_ids"][:]
    return pyarrow.compute.unique(pyarrow.compute.list_flatten(column)).to_pylist()
