"""Stochastic depth for transformers that have none of their own, such as ViT and DeiT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ...errors import InputError

OWN_RATES = ("drop_path_rate", "drop_connect_rate")


class DropPathHandle:
    """Hooks of :func:`add_drop_path`, to be removed."""

    def __init__(self, hooks: Sequence[RemovableHandle] = ()) -> None:
        self.hooks = list(hooks)

    def remove(self) -> None:
        """Take stochastic depth out of the model."""
        while self.hooks:
            self.hooks.pop().remove()


def drop_path_options(config: Any, rate: float) -> dict[str, float]:
    """Return what a configuration takes for stochastic depth of ``rate``, before the model is made.

    Empty where the architecture has none of its own; then :func:`add_drop_path` adds it to the model.

    Raises:
        InputError: no probability below 1.
    """
    _check(rate)
    return {name: rate for name in OWN_RATES if hasattr(config, name)}


def add_drop_path(model: nn.Module, rate: float) -> DropPathHandle:
    """Skip whole blocks in training: ``x + m·(block(x) - x) / (1 - p)``, m ~ Bernoulli(1 - p) for each row.

    Huang et al. 2016 (Deep Networks with Stochastic Depth), section 3, each row on its own; p grows linearly from 0 at
    the first block to ``rate`` at the last. Nothing changes in evaluation, and nothing of the state dict. The numbers
    come from torch's global generator. A model whose configuration already has this rate is left as it is.

    Args:
        model: its blocks are the numbered modules (``nn.ModuleList``) that contain attention.
        rate: p of the last block, from 0 to below 1.

    Raises:
        InputError: no probability, no such blocks, or an architecture whose own rate its configuration is to have.
    """
    _check(rate)
    configs = (getattr(module, "config", None) for module in model.modules())
    own = {name: getattr(config, name) for config in configs for name in drop_path_options(config, rate)}
    if not rate or (own and all(value == rate for value in own.values())):
        return DropPathHandle()
    if own:
        raise InputError(
            f"{type(model).__name__} has stochastic depth of its own, {', '.join(f'{k}={v}' for k, v in own.items())}: "
            f"load it with {rate} in its configuration"
        )
    stacks = block_stacks(model)
    if not stacks:
        raise InputError(
            f"{type(model).__name__} has no numbered transformer blocks to skip: leave drop path out, or choose an "
            "architecture such as ViT, DeiT or DINOv2"
        )
    hooks = []
    for blocks in stacks:
        for number, block in enumerate(blocks):
            p = rate * number / (len(blocks) - 1) if len(blocks) > 1 else rate
            if p:
                skip = Skip(p)
                # First of the block's hooks: what changes the number of tokens afterwards changes both alike.
                hooks.append(block.register_forward_hook(skip, prepend=True, with_kwargs=True))
    return DropPathHandle(hooks)


def block_stacks(model: nn.Module) -> list[nn.ModuleList]:
    """Return the outermost lists of modules that all contain attention."""
    lists = {f"{name}.": module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    outer = [module for path, module in lists.items() if not any(path != o and path.startswith(o) for o in lists)]
    return [blocks for blocks in outer if len(blocks) and all(_attends(block) for block in blocks)]


class Skip:
    """The hook of one block, which it skips with probability ``p`` in training."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Return the block's output, of (batch, …) or a tuple that starts with it, with some rows as they came.

        Raises:
            ValueError: input and output differ in shape, so that the block cannot be skipped.
        """
        if not block.training:
            return output
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        if before.shape != after.shape:
            raise ValueError(
                f"{type(block).__name__} makes {tuple(after.shape)} of {tuple(before.shape)} and so cannot be skipped: "
                "leave drop path out"
            )
        kept = torch.rand(len(before), *[1] * (before.ndim - 1), device=before.device) >= self.p
        dropped = before + (after - before) * (kept / (1 - self.p)).to(after.dtype)
        return (dropped, *output[1:]) if isinstance(output, tuple) else dropped


def _attends(block: nn.Module) -> bool:
    return any("Attention" in type(module).__name__ for module in block.modules())


def _check(rate: float) -> None:
    if not 0 <= rate < 1:
        raise InputError(f"drop path {rate}: expected a probability, from 0 to below 1")
