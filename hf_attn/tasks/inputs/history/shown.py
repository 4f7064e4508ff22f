"""A history and a candidate in the weights of its items: a picture, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import AGAINST, FOR, GREY, INK, PALE, canvas, shorten, styled
from ....interface.printable import printable
from ....interface.terminal import has_colour
from ..coloured import shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = 40
"""Items of a picture, those of the greatest weights."""
BAR = 20
"""Letters of a bar in a terminal."""


@dataclass(frozen=True)
class WeighedHistory:
    """What somebody met, the oldest first, and what of it counted for a candidate.

    Attributes:
        texts: of the items.
        ratings: (items,) NaN where none is known.
        weights: (items,) or (heads, items), of one sum each.
        candidate: its text.
        prediction: what the model says of the candidate.
        label: what it is, where that is known.
    """

    texts: Sequence[str]
    ratings: np.ndarray
    weights: np.ndarray
    candidate: str
    prediction: str = ""
    label: str | None = None

    @property
    def mean(self) -> np.ndarray:
        """(items,) weights, heads averaged."""
        return self.weights if self.weights.ndim == 1 else self.weights.mean(0)


def rated(rating: float) -> str:
    """Return a rating in words, empty where it is not known."""
    return f"{rating:g}" if np.isfinite(rating) else ""


@styled
def history_picture(seen: WeighedHistory) -> Figure:
    """Draw a history as a list with a bar for each item, the newest on top, and the candidate above it."""
    said = [f"predicted: {seen.prediction}", *([f"true: {seen.label}"] if seen.label else [])]
    what = "What of the history the candidate attends to, mean of heads"
    title = "\n".join([shorten(seen.candidate, 70), "    ".join(said), what])
    return bars(seen.texts, seen.ratings, seen.mean, title)


def bars(texts: Sequence[str], ratings: np.ndarray, weights: np.ndarray, title: str = "") -> Figure:
    """Draw items as a list with a bar for the weight of each, the newest on top."""
    weights = np.asarray(weights, float)
    kept = np.sort(np.argsort(-np.abs(weights), kind="stable")[:DRAWN])[::-1]
    figure, axis = canvas(8.6, 1.5 + 0.23 * max(1, len(kept)))
    axis.barh(
        range(len(kept)),
        weights[kept],
        height=0.72,
        color=[FOR if weights[at] >= 0 else AGAINST for at in kept],
        zorder=2,
    )
    names = [f"{shorten(texts[at], 58)}   {rated(ratings[at]):>4}" for at in kept]
    axis.set_yticks(range(len(kept)), names, fontsize=8.5)
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.grid(axis="x", color=PALE, zorder=0)
    left = len(weights) - len(kept)
    below = "weight; rating behind the title" + (f"; {left} of less weight are left out" if left else "")
    axis.set_xlabel(below, color=INK, fontsize=9)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def lines(texts: Sequence[str], ratings: np.ndarray, weights: np.ndarray, *, colour: bool | None = None) -> str:
    """Return items as lines with a bar for the weight of each, the newest first."""
    colour = has_colour() if colour is None else colour
    found = []
    for at in reversed(range(len(texts))):
        share = shares(weights)[at]
        bar = ("+" if share >= 0 else "-") * round(BAR * abs(share))
        shade = "\x1b[34m" if share >= 0 else "\x1b[33m"
        bar = f"{bar:<{BAR}}"
        found.append(f"{shade}{bar}\x1b[0m" if colour else bar)
        found[-1] += f" {rated(ratings[at]):>4}  {printable(texts[at][:100])}"
    return "\n".join(found)
