"""Attention weights of a model in hand, for the layers, heads and rows that are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .dispatch import IMPLEMENTATION, WATCH, find_layers, is_attention_layer
from .variant import Variant


class Watch:
    """A request for the weights of some attention calls of a forward pass; layers share one.

    Attributes:
        maps: layer number to weights, (batch, heads, rows, keys), before dropout.
    """

    def __init__(self, layers: set[int] | None, heads: Sequence[int] | None, rows: Sequence[int] | None) -> None:
        self.layers, self.heads, self.rows = layers, heads, rows
        self.maps: dict[int, Tensor] = {}
        self.calls = 0

    def take(
        self,
        variant: Variant,
        query: Tensor,
        key: Tensor,
        bias: Tensor | None,
        keep: Tensor | None,
        scaling: float | None,
    ) -> None:
        """Compute and keep the weights of one call; arguments as in :meth:`Variant.weights`."""
        layer, self.calls = self.calls, self.calls + 1
        if self.layers is not None and layer not in self.layers:
            return
        rows = None
        if self.rows is not None:
            rows = torch.tensor(_resolve(self.rows, query.shape[-2], "rows"), device=query.device)
        weights = variant.weights(query, key, bias, keep, scaling, rows)
        if self.heads is not None:
            weights = weights[:, _resolve(self.heads, weights.shape[1], "heads")]
        self.maps[layer] = weights


def _resolve(chosen: Sequence[int], size: int, what: str) -> list[int]:
    wrong = [i for i in chosen if not -size <= i < size]
    if wrong:
        raise ValueError(f"{what}={list(chosen)}: there are {size}, so {wrong[0]} must be from {-size} to {size - 1}")
    return [i % size for i in chosen]


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a model that go through transformers' attention interface, by name."""
    return {name: module for name, module in model.named_modules() if is_attention_layer(module)}


@contextmanager
def own_implementation(model: nn.Module) -> Iterator[None]:
    """Send the attention of a model through :func:`dispatch.attend` inside the block, whatever it uses otherwise."""
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


@contextmanager
def watch_attention(
    model: nn.Module,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    rows: Sequence[int] | None = None,
) -> Iterator[Watch]:
    """Collect attention weights of the forward passes inside the block; gradients flow through them.

    Nothing else changes: the layers compute what they compute otherwise, on their fast path.

    Args:
        model: any model whose attention goes through transformers' attention interface, with a variant or without.
        layers: layer numbers, in the order in which they run; negative ones count from the end. None is all.
        heads: heads, likewise.
        rows: queries, likewise; 0 is usually [CLS].

    Raises:
        ValueError: the model has no such layer, or none that goes through the interface.
    """
    model = getattr(model, "_orig_mod", getattr(model, "module", model))
    modules = list(find_layers(model).values())
    shared = getattr(model.config, "num_hidden_layers", 1) if len(modules) == 1 else 1
    chosen = None if layers is None else set(_resolve(layers, len(modules) * shared, "layers"))
    watch = Watch(chosen, heads, rows)
    for module in modules:
        module.__dict__[WATCH] = watch
    try:
        with own_implementation(model):
            yield watch
    finally:
        for module in modules:
            del module.__dict__[WATCH]


def attention_map(
    model: nn.Module,
    inputs: Mapping[str, Any],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    rows: Sequence[int] | None = None,
) -> Tensor | list[Tensor]:
    """Return where a model attends, before dropout and in evaluation mode.

    Args:
        inputs: arguments of the model, such as a tokenizer returns them.
        layers, heads, rows: which ones, as in :func:`watch_attention`; in this order in the result.

    Returns:
        (layers, batch, heads, rows, keys); a list of (batch, heads, rows, keys) where layers differ in shape, as in
        window attention.

    Raises:
        ValueError: no such layer, head or row.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), watch_attention(model, layers, heads, rows) as watch:
            model(**inputs)
    finally:
        for module, mode in modes:  # a frozen part stays in evaluation
            module.training = mode
    order = sorted(watch.maps) if layers is None else _resolve(layers, watch.calls, "layers")
    maps = [watch.maps[layer] for layer in order]
    return torch.stack(maps) if len({m.shape for m in maps}) == 1 else maps


def attention_rollout(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """Return how much of each input part reaches each row through all layers (Abnar & Zuidema 2020, section 3).

    R = Â_L ⋯ Â_1 with Â = (A + I) / 2, A the mean of a layer's heads: half of each layer is its residual connection.

    Args:
        inputs: arguments of the model.

    Returns:
        (batch, rows, keys); rows sum to 1 where the variant's weights do.

    Raises:
        ValueError: the layers do not all see the same parts, as in window attention.
    """
    maps = attention_map(model, inputs)
    if not isinstance(maps, Tensor) or maps.shape[-1] != maps.shape[-2]:
        raise ValueError(f"{type(model).__name__}: attention cannot be rolled out over layers that see different parts")
    total = torch.eye(maps.shape[-1], device=maps.device, dtype=maps.dtype)
    for weights in maps.mean(2):
        total = (weights + torch.eye(weights.shape[-1], device=weights.device, dtype=weights.dtype)) / 2 @ total
    return total
