"""Pictures of texts that were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, GREY, canvas, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def by_length(lengths: np.ndarray, scores: np.ndarray, bins: int = 6) -> Figure:
    """Draw the mean of a score of each text, (rows,), by the words of its source, in bins of about as many rows."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)).round().astype(int))
    edges = edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1])
    place = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, len(edges) - 2)
    taken = [place == number for number in range(len(edges) - 1)]
    kept = [number for number, rows in enumerate(taken) if rows.any()]
    means = [scores[taken[number]].mean() for number in kept]
    names = [f"{lengths[taken[n]].min()}–{lengths[taken[n]].max()}\n({int(taken[n].sum()):,})" for n in kept]
    figure, axis = canvas(5.6, 3.4)
    axis.bar(range(len(kept)), means, color=BLUE, width=0.7)
    axis.axhline(scores.mean(), color=GREY, linewidth=1, linestyle="--", label=f"all {len(scores):,}")
    axis.set_xticks(range(len(kept)), names)
    axis.set(xlabel="words of the source (texts)", ylabel="chrF", ylim=(0, 100), title="Score by length")
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    axis.legend()
    return figure
