"""The picture of a model beside other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, GREY, canvas, styled
from .table import MODEL, Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARISON = "Scores beside those of other ways on the test split, with 95 % intervals over users"
TITLES = {
    "auroc": "AUC, all rows",
    "gauc": "AUC within users",
    "ndcg_at_10": "NDCG@10 within users",
    "loss": "log loss (less is better)",
    "rmse": "RMSE (less is better)",
}


@styled
def bars(found: Comparison) -> Figure:
    """Draw each score in a panel, a line a way."""
    names, ways = list(next(iter(found.values()))), list(found)[::-1]
    figure, axes = canvas(1.4 + 2.3 * len(names), 1.2 + 0.34 * len(ways), ncols=len(names), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        values = np.array([found[way][name].value for way in ways])
        ends = np.array([[found[way][name].low, found[way][name].high] for way in ways])
        colours = [BLUE if way == MODEL else GREY for way in ways]
        for at, (value, (low, high), colour) in enumerate(zip(values, ends, colours, strict=True)):
            axis.plot([low, high], [at, at], color=colour, linewidth=2, solid_capstyle="round")
            axis.plot(value, at, "o", color=colour, markersize=7)
            axis.annotate(f"{value:.3f}", (value, at), (0, 6), textcoords="offset points", ha="center", fontsize=8)
        best = found[MODEL][name].value
        axis.axvline(best, color=BLUE, linewidth=0.8, linestyle=":")
        axis.set_title(TITLES.get(name, name), fontsize=10)
        axis.tick_params(axis="y", length=0)
        axis.margins(y=0.12)
    axes[0, 0].set_yticks(range(len(ways)), ways)
    return figure
