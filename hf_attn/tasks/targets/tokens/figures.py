"""Pictures of what a language model predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, INK, canvas, shorten, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 30


@styled
def costly(
    truth: np.ndarray, said: np.ndarray, nats: np.ndarray, names: Callable[[Sequence[int]], list[str]]
) -> Figure:
    """Draw the tokens with the greatest share of the loss, most first, with how often each is right.

    Args:
        truth: (tokens,) ids.
        said: (tokens,) most probable ids.
        nats: (tokens,) loss of each.
        names: of ids.
    """
    ids, place, counts = np.unique(truth, return_inverse=True, return_counts=True)
    cost = np.bincount(place, nats)
    hits = np.bincount(place, truth == said)
    order = np.argsort(-cost, kind="stable")[:SHOWN][::-1]
    figure, axis = canvas(6.4, 1.2 + 0.22 * len(order))
    share = cost[order] / max(nats.sum(), 1e-12)
    axis.barh(np.arange(len(order)), share, color=BLUE)
    told = [shorten(name, 20) for name in names(ids[order].tolist())]
    axis.set_yticks(np.arange(len(order)), told, fontsize=8)
    for at, index in enumerate(order):
        axis.text(share[at], at, f"  {hits[index]:,.0f} of {counts[index]:,} right", va="center", fontsize=7, color=INK)
    axis.set(xlabel="share of the loss", xlim=(0, share.max() * 1.35), title="What costs the most")
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    return figure
