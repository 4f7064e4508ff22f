"""Pictures of explanations: one input and what was measured of it, and how methods rank for a model."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..interface.plotting import BLUE, GREY, ORANGE, canvas, shorten, styled
from .ranking import CONTROL
from .verdict import RANKED_BY, READ, headline, score_rows, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .attribution import Attribution
    from .ranking import Ranking

DOTS = 300
"""An inch of a PNG."""
HEAD, FOOT = 0.62, 0.55
"""Inches above and below the input."""


@styled
def attribution_figure(attribution: Attribution) -> Figure:
    """Draw one input in colours of its weights; above it what is explained, below it whether to believe it.

    Raises:
        InputError: its faithfulness was not measured: no picture is drawn without it.
    """
    if not attribution.faithfulness or attribution.case is None:
        raise InputError("no picture is drawn of an attribution that was not measured: explain with faithfulness=True")
    figure = attribution.case.parted.draw(attribution.weights)
    width, height = figure.get_size_inches()
    said = textwrap.wrap(verdict(attribution), 108)
    scores = [f"{name}: {own} (random {spread})" for name, own, _, spread in score_rows(attribution)[:3]]
    foot = FOOT + 0.16 * (len(said) + len(scores))
    total = height + HEAD + foot
    figure.set_size_inches(width, total)
    layout: Any = figure.get_layout_engine()
    layout.set(rect=(0, foot / total, 1, height / total))
    top = 1 - 0.12 / total
    figure.text(0.02, top, shorten(headline(attribution), 90), fontsize=10.5, fontweight="bold", va="top")
    said_of = f"predicted: {shorten(attribution.prediction, 60)}    model: {shorten(attribution.model, 60)}"
    figure.text(0.02, top - 0.25 / total, said_of, fontsize=8, color="#5b6068", va="top")
    colours = "blue: for the answer" + ("; orange, dotted: against it" if attribution.signed else "")
    lines = [colours, *scores, "", *said]
    figure.text(0.02, (foot - 0.08) / total, "\n".join(lines), fontsize=8, va="top", linespacing=1.35)
    return figure


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
