"""The picture of one explained input, and what was measured of it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.plotting import shorten, styled
from .verdict import headline, score_rows, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .weighed import Weighed

DOTS = 300
"""An inch of a PNG."""
HEAD, FOOT = 0.62, 0.55
"""Inches above and below the input."""


@styled
def attribution_figure(attribution: Weighed) -> Figure:
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
    colours = "blue: for the answer" + ("; orange: against it" if attribution.signed else "")
    lines = [colours, *scores, "", *said]
    figure.text(0.02, (foot - 0.08) / total, "\n".join(lines), fontsize=8, va="top", linespacing=1.35)
    return figure
