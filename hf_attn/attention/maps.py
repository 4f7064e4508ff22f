"""Attention weights of a model in hand, for the layers, heads and rows that are asked for."""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .layers import is_attention_layer
from .modes import evaluation_mode
from .watching import SeenCall, layers_in_order, seeing_attention

Indices = int | slice | Iterable[int] | Tensor
"""Which layers, heads or rows: a number, a slice, or several numbers."""


class Watch:
    """A request for the weights of the attention layers of one model, and what came of it.

    Attributes:
        maps: layer number to its weights in the last forward pass, (batch, heads, rows, keys), before dropout.
        steps: layer number to its weights in every forward pass, in order: of generation, one a step.
    """

    def __init__(
        self,
        count: int,
        layers: Indices | None,
        heads: Indices | None,
        rows: Indices | None,
    ) -> None:
        self.layers = resolve(slice(None) if layers is None else layers, count, "layers")
        self.heads, self.rows = heads, rows
        self.maps: dict[int, Tensor] = {}
        self.steps: dict[int, list[Tensor]] = {}

    def see(self, layer: int, call: SeenCall) -> None:
        """Compute and keep the weights of one call of a layer, if they were asked for.

        What the maps need for their own gradient is kept apart from what gradient checkpointing computes again.
        """
        if layer not in self.layers:
            return
        rows = None
        if self.rows is not None:
            rows = torch.tensor(resolve(self.rows, call.query.shape[-2], "rows"), device=call.query.device)
        with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):
            weights = call.weights(rows)
        if self.heads is not None:
            weights = weights[:, resolve(self.heads, weights.shape[1], "heads")]
        self.maps[layer] = weights
        self.steps.setdefault(layer, []).append(weights)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def resolve(chosen: Indices, size: int, what: str) -> list[int]:
    """Return indices as numbers from 0 on.

    Args:
        chosen: a number, a slice, or several numbers in a list, range, array or tensor; negative ones count from the
            end.
        size: how many there are.
        what: their name, for the message.

    Raises:
        ValueError: an index that is not there, or no index at all.
    """
    if isinstance(chosen, slice):
        return list(range(size))[chosen]
    listed: Any = chosen.tolist() if hasattr(chosen, "tolist") else chosen
    several: list[Any] = list(listed) if isinstance(listed, Iterable) and not isinstance(listed, str) else [listed]
    if any(isinstance(index, bool) or not hasattr(index, "__index__") for index in several):
        raise ValueError(f"{what}={chosen!r}: expected a number from {-size} to {size - 1}, several, or a slice")
    given = [operator.index(index) for index in several]
    wrong = [i for i in given if not -size <= i < size]
    if wrong:
        raise ValueError(f"{what}={given}: there are {size}, so {wrong[0]} must be from {-size} to {size - 1}")
    return [i % size for i in given]


def attention_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a model that go through transformers' attention interface, by name."""
    return {name: module for name, module in model.named_modules() if is_attention_layer(module)}


@contextmanager
def watch_attention(
    model: nn.Module, layers: Indices | None = None, heads: Indices | None = None, rows: Indices | None = None
) -> Iterator[Watch]:
    """Collect attention weights of the forward passes inside the block; gradients flow through them.

    Nothing else changes: the layers compute what they compute otherwise, on their fast path. The watch is seen by this
    thread (or task) alone, stands on no module and no configuration, and may be nested. Under reentrant gradient
    checkpointing the maps carry no gradient; under the other kind they do.

    Args:
        model: any model whose attention goes through transformers' attention interface, with a variant or without.
        layers: layer numbers, in the order of the model's modules; negative ones count from the end. A number, several
            or a slice; None is all.
        heads: heads, likewise.
        rows: queries, likewise; 0 is usually [CLS].

    Raises:
        ValueError: the model has no such layer, or none that goes through the interface.
    """
    order = layers_in_order(model)
    watch = Watch(len(order), layers, heads, rows)
    with seeing_attention(order, watch.see):
        yield watch


def attention_map(
    model: nn.Module,
    inputs: Mapping[str, Any] | Tensor,
    layers: Indices | None = None,
    heads: Indices | None = None,
    rows: Indices | None = None,
) -> Tensor | list[Tensor]:
    """Return where a model attends, before dropout and in evaluation mode.

    Args:
        inputs: arguments of the model, such as a tokenizer returns them; a tensor is its first argument.
        layers, heads, rows: which ones, as in :func:`watch_attention`; in this order in the result.

    Returns:
        (layers, batch, heads, rows, keys); a list of (batch, heads, rows, keys) where layers differ in shape, as in
        window attention.

    Raises:
        ValueError: no such layer, head or row.
    """
    with evaluation_mode(model), torch.no_grad(), watch_attention(model, layers, heads, rows) as watch:
        model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    order = sorted(watch.maps) if layers is None else watch.layers
    missing = [layer for layer in order if layer not in watch.maps]
    if missing or not order:
        raise ValueError(f"{type(model).__name__} did not run attention layer {[*missing, 'any'][0]} on these inputs")
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
        ValueError: the layers do not all see the same parts, as in window attention, or are no single chain, as in an
            encoder and a decoder, or two towers.
    """
    chains = sorted({re.sub(r"\d+", "#", name) for name in attention_layers(model)})
    if len(chains) > 1:
        raise ValueError(
            f"{type(model).__name__}: attention cannot be rolled out over layers that do not follow each other "
            f"({', '.join(chains)}): give the part that is meant, such as model.get_encoder()"
        )
    maps = attention_map(model, inputs)
    if not isinstance(maps, Tensor) or maps.shape[-1] != maps.shape[-2]:
        raise ValueError(f"{type(model).__name__}: attention cannot be rolled out over layers that see different parts")
    total = torch.eye(maps.shape[-1], device=maps.device, dtype=maps.dtype)
    for weights in maps.mean(2):
        total = (weights + torch.eye(weights.shape[-1], device=weights.device, dtype=weights.dtype)) / 2 @ total
    return total
