"""AdamW with the right decay and learning rate for each parameter, and its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ..attention.dispatch import SLOT
from .config import TrainConfig


def create(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters of ``model`` as ``config`` has it, in the fused form where there is one.

    Raises:
        ValueError: nothing is trainable.
    """
    attention_lr = 10 * config.lr if config.attention_lr is None else config.attention_lr
    head_lr = config.head_factor * config.lr if config.head_lr is None else config.head_lr
    groups = parameter_groups(model, config.lr, config.weight_decay, config.layer_decay, attention_lr, head_lr)
    if not groups:
        raise ValueError("no parameter of the model is trainable: unfreeze some of it")
    device = groups[0]["params"][0].device.type
    return torch.optim.AdamW(groups, lr=config.lr, fused=device in ("cpu", "cuda"))


def parameter_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    attention_lr: float | None = None,
    head_lr: float | None = None,
) -> list[dict[str, Any]]:
    """Groups of trainable parameters for an optimizer, highest learning rate first.

    Weights are decayed, but norms, biases and other vectors are not. With ``layer_decay`` δ a parameter that lies n
    blocks below the head learns at lr·δⁿ, the embeddings lowest of all (Howard & Ruder 2018; Clark et al. 2020).
    Parameters of an attention variant learn at ``attention_lr`` (``lr`` if None) and are never decayed: they are
    written as differences from the pretrained function. What stands above the blocks, or is a head alone
    (``models.probe.Probe``), learns at ``head_lr`` (``lr`` if None).

    Returns:
        ``{"params", "lr", "weight_decay", "names"}`` each.
    """
    depth = depths(model)
    top = max(depth.values(), default=0)
    has_head = top > min(depth.values(), default=0) or all(name.startswith("head.") for name in depth)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        slot = f".{SLOT}." in f".{name}"
        own = attention_lr if slot else head_lr if has_head and depth[name] == top else None
        base = lr if own is None else own
        rate = base * (1.0 if slot else layer_decay ** (top - depth[name]))
        decay = 0.0 if slot or parameter.ndim < 2 else weight_decay
        group = groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay, "names": []})
        group["params"].append(parameter)
        group["names"].append(name)
    return sorted(groups.values(), key=lambda group: (-group["lr"], -group["weight_decay"]))


def depths(model: nn.Module) -> dict[str, int]:
    """Depth of each parameter by its module's name: 0 embeddings, 1 … n the blocks, n + 1 the head.

    Blocks are the longest numbered ``nn.ModuleList`` path of the model (``encoder.layer.3``); two towers or stacks
    (``encoder.layers``, ``decoder.layers``) each count from 1. What stands beside the blocks belongs to the embeddings
    if it comes before the first block, otherwise to the head.
    """
    lists = {f"{name}.": len(module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    blocks = {path: size for path, size in lists.items() if not any(path != o and path.startswith(o) for o in lists)}
    longest = max(blocks.values(), default=0)
    found: dict[str, int] = {}
    passed = False
    for name, _ in model.named_parameters():
        path = next((path for path in blocks if name.startswith(path)), None)
        if path is not None:
            number = int(name[len(path) :].split(".")[0])
            found[name] = longest - blocks[path] + number + 1
            passed = True
        else:
            found[name] = longest + 1 if passed or not longest else 0
    return found


def schedule(optimizer: Optimizer, config: TrainConfig, steps: int) -> LambdaLR:
    """Learning rates over ``steps`` optimizer steps: warm-up from 0, then the shape that ``config.schedule`` names.

    It is to be stepped once an optimizer step on each process, and not to be given to ``accelerator.prepare``.
    """
    return LambdaLR(optimizer, factor(config.schedule, config.warmup, steps))


def factor(name: str, warmup: float, steps: int) -> Callable[[int], float]:
    """Fraction of the highest learning rate at each step: after ``warmup`` of ``steps``, the shape called ``name``."""
    rising = warmup_steps(warmup, steps)

    def at(step: int) -> float:
        return step / rising if step < rising else SHAPES[name](step, rising, steps)

    return at


def _left(step: int, start: int, end: int) -> float:
    """From 1 at step ``start`` down to 0 at step ``end``."""
    return max(0.0, (end - step) / max(1, end - start))


def _inverse_sqrt(step: int, warmup: int, steps: int) -> float:
    scale = warmup or 10_000
    return math.sqrt(scale / (scale + step - warmup))


SHAPES: dict[str, Callable[[int, int, int], float]] = {
    "linear": lambda step, warmup, steps: _left(step, warmup, steps),
    "cosine": lambda step, warmup, steps: (1 - math.cos(math.pi * _left(step, warmup, steps))) / 2,
    "constant": lambda step, warmup, steps: 1.0,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": lambda step, warmup, steps: min(1.0, _left(step, steps - steps // 5, steps)),
}
"""Fraction of the highest learning rate after the warm-up, of (step, steps of warm-up, all steps)."""


def warmup_steps(warmup: float, steps: int) -> int:
    """Steps of warm-up out of ``steps``, of a fraction (below 1) or a number."""
    return min(steps, round(warmup) if warmup >= 1 else round(warmup * steps))
