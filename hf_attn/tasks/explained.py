"""What explanation weighs, parts of an example, and what it explains, one of a model's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Part:
    """One part of an example.

    Attributes:
        name: what it is, in words: the word itself, or a place.
        source: which text of a pair it is from, 0 or 1; 0 for an image.
        span: its characters in that text, [start, end); None where they are not known, or it is no text.
        box: left, top, right and bottom in pixels of the image as the model sees it; None for a text.
    """

    name: str
    source: int = 0
    span: tuple[int, int] | None = None
    box: tuple[int, int, int, int] | None = None


def runs(taken: np.ndarray) -> list[tuple[int, int]]:
    """Return the runs of True in a row, (length,) bool, [start, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], taken.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@dataclass(frozen=True)
class Leaf:
    """What gradients are taken at: embeddings of tokens, or pixels.

    Attributes:
        value: of the example, (1, …).
        baseline: the same with each part removed.
        forward: what the model gives for rows of it, (rows, …) -> (rows, outputs).
        by_part: sums over what belongs to each part, (rows, …) -> (rows, parts).
    """

    value: Tensor
    baseline: Tensor
    forward: Callable[[Tensor], Tensor]
    by_part: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Asked:
    """What is explained.

    Attributes:
        name: in words.
        logit: the number whose gradient is taken, (rows, outputs) -> (rows,).
        score: the number in which removing a part is measured, likewise.
        unit: of ``score``, in words.
    """

    name: str
    logit: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor]
    unit: str


@dataclass(frozen=True)
class Said:
    """What a model says of one input, and what of it is explained.

    Attributes:
        parted: the input; behind it, where the model reads that too, what it has written.
        outputs: (model, batch) -> (rows, columns) logarithms of probabilities.
        asked: what is explained, of such columns.
        target: of the model.
        kept: what the target keeps of the input.
        said: all of it, as text.
        read: places of the queries that the answer is read off.
    """

    parted: Any
    outputs: Callable[[Any, dict[str, Tensor]], Tensor]
    asked: Asked
    target: Any
    kept: Any
    said: str
    read: tuple[int, ...]
