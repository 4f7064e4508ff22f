"""Attention weights of all layers and heads, small enough for a page: the greatest of each row, quantised."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ..seen_layers import joined, read_off, see_layers

if TYPE_CHECKING:
    from ..case import Case

KEPT = 520_000
"""Weights that a page keeps of one input."""
AT_LEAST = 4
"""Weights that it keeps of each row, if the row has so many."""
STEPS = 16
"""Steps of a kept weight for each factor of 2: it is known to 2.2 %."""
SMALL = 22
"""Rows and columns of a small map, at most."""


@dataclass(frozen=True)
class Weights:
    """Attention of one input, between its places: its parts, and the tokens that are none.

    Attributes:
        layers: (heads, places, places) each, rows attend to columns; by the number of the layer.
        own: names of the tokens that are no part, behind the parts.
        read: the place that the answer is read off; None where it is read off several.
    """

    layers: dict[int, np.ndarray]
    own: list[str]
    read: int | None


def weights_of(case: Case) -> Weights | None:
    """Return the attention of a case in all layers that see all of it; None where that cannot be seen."""
    try:
        seen = see_layers(case)
    except InputError:
        return None
    layers: dict[int, np.ndarray] = {}
    own: list[tuple[int, str]] = []
    for layer in seen:
        queries, keys = layer.weights.shape[-2:]
        if queries != keys or case.parted.of_tokens(np.zeros(keys)) is None:
            continue
        own = case.parted.own_tokens(keys)
        layers[layer.number] = places_of(case, joined(layer.weights), [at for at, _ in own])
    if not layers:
        return None
    return Weights(layers, [name for _, name in own], _read_place(case, seen[-1].weights.shape[-1], own))


def _read_place(case: Case, tokens: int, own: list[tuple[int, str]]) -> int | None:
    """The place that the answer is read off; None where it is several."""
    read = read_off(case)
    if read is None:
        return None
    at = next((number for number, (token, _) in enumerate(own) if token == read % tokens), None)
    if at is not None:
        return len(case) + at
    inside = case.parted.of_tokens(np.eye(tokens)[read])
    return None if inside is None else int(inside.argmax())


def places_of(case: Case, weights: np.ndarray, own: list[int]) -> np.ndarray:
    """Return (heads, tokens, tokens) weights between places: sums of columns, means of rows."""
    parted = case.parted
    columns = np.concatenate([_of(parted, weights), weights[..., own]], -1)  # (heads, tokens, places)
    turned = columns.swapaxes(-1, -2)
    counts = _of(parted, np.ones(weights.shape[-1]))
    rows = _of(parted, turned) / np.maximum(counts, 1e-12)
    return np.concatenate([rows, turned[..., own]], -1).swapaxes(-1, -2)


def _of(parted: Any, weights: np.ndarray) -> np.ndarray:
    found = parted.of_tokens(weights)
    assert found is not None
    return found


def packed(weights: Weights) -> dict[str, Any]:
    """Return what the page's script unpacks.

    A layer is three streams, each deflated and in base64: how many weights each row keeps, the distances between their
    columns, and their values, ``255 + 16 log2 (|w| / top)``; a fourth says which are below 0, where some are. What is
    not kept is shown as 0; ``kept`` is the share of all weight that is there.
    """
    layers = list(weights.layers.values())
    size, heads = layers[0].shape[-1], [len(layer) for layer in layers]
    total = sum(heads) * size * size
    top = max(1.0, *(float(np.abs(layer).max()) for layer in layers))
    smallest = top * 2.0 ** (-255 / STEPS)
    least = 0.0
    if total > KEPT:
        some = np.concatenate([np.abs(layer).ravel()[:: max(1, total // 2_000_000)] for layer in layers])
        least = float(np.quantile(some, 1 - KEPT / total))
    made, there, whole = [], 0.0, 0.0
    for number, layer in zip(weights.layers, layers, strict=True):
        sizes = np.abs(layer)
        keep = sizes >= max(least, smallest)
        best = np.argpartition(-sizes, min(AT_LEAST, size - 1), axis=-1)[..., :AT_LEAST]
        np.put_along_axis(keep, best, True, axis=-1)
        keep &= sizes > smallest
        rows = keep.reshape(-1, size)
        row, column = np.nonzero(rows)
        values = layer.reshape(-1, size)[row, column]
        distance = np.diff(column, prepend=0)
        first = np.flatnonzero(np.diff(row, prepend=-1))
        distance[first] = column[first]
        level = np.clip(np.rint(255 + STEPS * np.log2(np.abs(values) / top)), 0, 255)
        there, whole = there + float(np.abs(values).sum()), whole + float(sizes.sum())
        made.append(
            {
                "layer": number,
                "heads": len(layer),
                "counts": _stream(rows.sum(1), "<u2"),
                "distances": _stream(distance, "<u2"),
                "values": _stream(level, "u1"),
                "minus": _stream(values < 0, "u1") if (values < 0).any() else None,
            }
        )
    small = np.concatenate([_small(layer) for layer in layers])
    return {
        "size": size,
        "top": top,
        "steps": STEPS,
        "layers": made,
        "own": weights.own,
        "read": weights.read,
        "kept": there / whole if whole else 1.0,
        "small": _stream(np.rint(255 * np.sqrt(small)), "u1"),
        "side": small.shape[-1],
    }


def _small(layer: np.ndarray) -> np.ndarray:
    """(heads, side, side) greatest weight of each square of a map, as a share of the map's greatest."""
    size = layer.shape[-1]
    side, layer = min(SMALL, size), np.abs(layer)
    starts = np.arange(side) * size // side
    found = np.maximum.reduceat(np.maximum.reduceat(layer, starts, axis=1), starts, axis=2)
    return found / np.maximum(found.max((1, 2), keepdims=True), 1e-12)


def _stream(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(zlib.compress(values.astype(kind).tobytes(), 9)).decode()
