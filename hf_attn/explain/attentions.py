"""What of an input a model attends to: its weights, rolled out, as a flow, and by what the values carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor, nn

from ..attention.maps import attention_rollout
from ..attention.modes import evaluation_mode
from ..attention.watching import SeenCall, seeing_attention
from ..errors import InputError
from .found import Found
from .seen_layers import SeenLayer, check_whole, joined, last_number, order_of, read_off, readout, see_layers

if TYPE_CHECKING:
    from .case import Case

FLOW_TOKENS = 256
"""Tokens up to which attention flow is computed: its time grows with their cube."""
UNIT = 10**6
"""Whole numbers in a capacity of 1: the solver's flows are whole numbers."""


def attention(case: Case, layer: int | None = None, head: int | None = None) -> Found:
    """``w_j = Σ_i r_i · mean_h A^h_ij`` of one layer, r being the queries that the answer is read off.

    Weights before dropout. A head that pools a feature map shows its own.

    Args:
        case: the example.
        layer: number; negative ones count from the end, the last by default (of a decoder, its last look at the
            encoder).
        head: number; all, averaged, by default.

    Raises:
        InputError: no such layer or head, or attention that cannot be seen.
    """
    own = getattr(case.model, "attention_over_positions", None)
    if own is not None and layer is None and head is None:
        try:
            maps = own(case.parted.batch["pixel_values"])[0]
        except ValueError:
            maps = None
        if maps is not None and (spread := case.parted.of_map(joined(maps.mean(0)))) is not None:
            return Found(spread)
    number = last_number(case) if layer is None else within(layer, len(order_of(case)), "layer")
    row = read_off(case)
    weights = see_layers(case, {number}, row=row)[0].weights
    chosen = joined(weights.mean(0) if head is None else weights[within(head, len(weights), "head")])
    return of_row(case, chosen) if row is None else of_tokens(case, chosen[0])


def rollout(case: Case) -> Found:
    """``r · Â_L ⋯ Â_1``, ``Â = (mean_h A^h + I) / 2`` (Abnar & Zuidema 2020, section 3); all tokens' sum is 1.

    Raises:
        InputError: layers that do not follow each other, or see different parts.
    """
    order_of(case)
    try:
        return of_row(case, joined(attention_rollout(case.model, case.parted.batch)[0]))
    except ValueError as error:
        raise InputError(str(error)) from None


def flow(case: Case) -> Found:
    """Greatest flow from the answer to each token through ``Â`` of all layers (Abnar & Zuidema 2020, section 3).

    Raises:
        InputError: more than 256 tokens, or as of :func:`rollout`.
    """
    layers = chain(see_layers(case))
    tokens = layers[0].shape[-1]
    if tokens > FLOW_TOKENS:
        raise InputError(f"attention_flow: {tokens} tokens, and it takes up to {FLOW_TOKENS}: choose rollout")
    read = readout(case, tokens)
    return of_tokens(case, np.array([_flow(layers, read, token) for token in range(tokens)]))


def _flow(layers: list[np.ndarray], read: np.ndarray, token: int) -> float:
    """Greatest flow from a source that feeds the last layer's places by ``read`` to one token below the first."""
    count, depth = len(read), len(layers)
    below = np.arange(count)
    starts, ends, capacities = [np.full(count, 0)], [1 + depth * count + below], [read]
    for level, weights in enumerate(layers, start=1):
        mixed = (weights + np.eye(count)) / 2
        starts.append(np.repeat(1 + level * count + below, count))
        ends.append(np.tile(1 + (level - 1) * count + below, count))
        capacities.append(mixed.ravel())
    size = 1 + (depth + 1) * count
    whole = np.rint(np.concatenate(capacities) * UNIT).astype(np.int32)
    graph = coo_array((whole, (np.concatenate(starts), np.concatenate(ends))), shape=(size, size)).tocsr()
    return float(maximum_flow(graph, 0, 1 + token).flow_value) / UNIT


def value_norms(case: Case, layer: int | None = None) -> Found:
    """``w_j = Σ_i r_i ‖Σ_h A^h_ij W_O^h v^h_j‖`` of one layer (Kobayashi et al. 2020, eq. 4): what is really added.

    Args:
        case: the example.
        layer: as of :func:`attention`.

    Raises:
        InputError: as :func:`attention`, or no linear layer follows the layer's heads.
    """
    number = last_number(case) if layer is None else within(layer, len(order_of(case)), "layer")
    weights, value, projection = _with_projection(case, number)
    repeats = len(weights) // len(value)
    value = value.repeat_interleave(repeats, 0) if repeats > 1 else value
    heads, keys, size = value.shape
    apart = value.new_zeros(heads, keys, heads, size)
    apart[torch.arange(heads), :, torch.arange(heads)] = value
    with torch.no_grad():
        nothing = projection(value.new_zeros(1, heads * size))
        carried = projection(apart.flatten(2)) - nothing  # (heads, keys, channels)
        rows = [torch.einsum("hk,hkc->kc", row, carried).norm(dim=-1) for row in weights.to(value).unbind(1)]
    return of_row(case, joined(torch.stack(rows)))


def _with_projection(case: Case, number: int) -> tuple[Tensor, Tensor, nn.Module]:
    """A layer's weights and values, and the linear layer that mixes its heads: the first that is given its context."""
    order = order_of(case)
    kept: list[tuple[Tensor, Tensor]] = []
    place: list[int] = []
    found: list[nn.Module] = []

    def see(at: int, call: SeenCall) -> Any:
        if at != number:
            return None
        kept.append((call.weights(), call.value))
        answer = call.run()
        place[:] = [answer[0].data_ptr(), answer[0].numel()]
        return answer

    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        given = args[0] if args and isinstance(args[0], Tensor) else None
        if place and not found and given is not None and [given.data_ptr(), given.numel()] == place:
            found.append(module)

    linear = [m for m in case.model.modules() if hasattr(m, "base_layer") or _is_linear(m)]
    handles = [module.register_forward_pre_hook(hook) for module in linear]
    try:
        with evaluation_mode(case.model), torch.no_grad(), seeing_attention(order, see):
            case.logits(case.parted.batch)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        name = type(case.model).__name__
        raise InputError(f"value_norms: no linear layer of {name} follows attention layer {number}")
    weights, value = kept[0]
    check_whole(case, weights)
    return weights[0], value[0], found[0]


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def chain(layers: list[SeenLayer]) -> list[np.ndarray]:
    """Return the weights of layers that follow each other, heads averaged, (tokens, tokens) each.

    Raises:
        InputError: layers across two sequences, or of different lengths.
    """
    found = [joined(layer.weights.mean(0)) for layer in layers]
    if any(layer.crosses for layer in layers) or len({matrix.shape for matrix in found}) > 1:
        raise InputError("attention cannot be followed through layers that see different parts: choose relevance")
    if found[0].shape[0] != found[0].shape[1]:
        raise InputError("attention cannot be followed through layers between two sequences: choose relevance")
    return found


def of_row(case: Case, matrix: np.ndarray) -> Found:
    """Return the row of (queries, tokens) weights that the answer is read off, by part."""
    return of_tokens(case, readout(case, len(matrix)) @ matrix)


def of_tokens(case: Case, weights: np.ndarray) -> Found:
    """Return (tokens,) weights by part, and what the tokens of no part got.

    Raises:
        InputError: they are not of the tokens of the example.
    """
    found = case.parted.of_tokens(weights)
    if found is None:
        raise InputError(
            f"{type(case.model).__name__}: what its attention sees ({weights.shape[-1]} places) are not the parts of "
            "this input: choose a method of gradients or perturbations, such as integrated_gradients or occlusion"
        )
    sinks: dict[str, float] = {}
    for at, name in case.parted.own_tokens(weights.shape[-1]):
        sinks[name] = sinks.get(name, 0.0) + float(weights[at])
    return Found(found, sinks)


def within(number: int, count: int, what: str) -> int:
    """Return a number from 0 on.

    Raises:
        InputError: there is no such one.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not -count <= number < count:
        raise InputError(f"{what} {number!r}: there are {count}, expected a number from {-count} to {count - 1}")
    return int(number) % count
