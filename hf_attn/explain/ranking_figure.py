"""The picture of how methods rank for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..interface.plotting import BLUE, GREY, ORANGE, canvas, styled
from .ranking import CONTROL
from .verdict import RANKED_BY, READ

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .ranking import Ranking


@styled
def ranking_figure(ranking: Ranking) -> Figure:
    """Draw how methods rank: the score of each with its 95 % interval, and that of random weights."""
    rows = {name: row for name, row in ranking.table.items() if name != CONTROL}
    figure, axis = canvas(7.2, 1.6 + 0.27 * len(rows))
    control = [row["scores"][RANKED_BY]["random"] for row in rows.values()]
    axis.axvline(float(np.mean(control)), color=GREY, lw=1.2, ls="--", label="random weights")
    for place, row in enumerate(rows.values()):
        score, ink = row["scores"][RANKED_BY], BLUE if row["beats_chance"] else ORANGE
        axis.plot([score["low"], score["high"]], [place, place], color=ink, lw=2)
        axis.plot(score["value"], place, "o", color=ink, ms=6, mfc=ink if row["beats_chance"] else "white")
    axis.plot([], [], "o-", color=BLUE, label="beats them")
    axis.plot([], [], "o-", color=ORANGE, mfc="white", label="does not")
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    noun = f"{ranking.noun}{'s' if ranking.inputs != 1 else ''}"
    axis.set(xlabel=f"{READ[RANKED_BY]}, mean of {ranking.inputs:,} {noun} and 95 % interval")
    axis.set_title("Which method explains this model")
    axis.grid(axis="x")
    axis.legend(loc="lower right", fontsize=8)
    return figure
