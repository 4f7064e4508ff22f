"""Pictures of tags: what is confused with what, and how good each type is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, GREY, Picture, canvas, shorten, styled
from ..labels.figures import confusion
from .layouts import Layout
from .scoring import Counts, f1_of, paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ....training.evaluation import Predictions

DRAWN = 40
"""Types, or tags, of a picture: the most frequent ones."""


def pictures(predictions: Predictions, total: Counts, layout: Layout | None, kinds: Sequence[str]) -> list[Picture]:
    """Return what can be drawn: confusions, and the F1 of each type or tag."""
    if layout is None:
        true = np.concatenate([np.asarray(tags, int) for tags in predictions.labels])
        said = np.concatenate([item.tags(None, len(kinds)) for item in predictions.outputs])
        names = [*kinds, *(["no token"] if (said == len(kinds)).any() else [])]
        caption = "Which tags are confused on the test split"
    else:
        pairs = paired(predictions.outputs, predictions.labels, layout)
        true, said, names = pairs.true, pairs.said, [*kinds, "nothing"]
        caption = "Types of the test split's entities beside what is said of their words"
    found = [Picture("f1_by_type.png", "F1 of each type on the test split", partial(f1_by_kind, total, kinds))]
    if len(true):
        found.insert(0, Picture("confusion.png", caption, partial(confusion, true, said, names)))
    return found


@styled
def f1_by_kind(total: Counts, kinds: Sequence[str]) -> Figure:
    """Draw the F1 of each type or tag, with how many there are, the most frequent first."""
    order = np.argsort(-total.true, kind="stable")
    order = order[(total.true + total.said)[order] > 0][:DRAWN][::-1]
    scores = f1_of(total.hits, total.said, total.true)[order]
    figure, axis = canvas(6.5, 1.3 + 0.3 * max(1, len(order)))
    axis.barh(np.arange(len(order)), scores, color=BLUE, height=0.7)
    for place, score in enumerate(scores):
        axis.text(score + 0.01, place, f"{score:.2f}", va="center", fontsize=9, color=GREY)
    axis.set_yticks(range(len(order)), [f"{shorten(kinds[at])} ({int(total.true[at]):,})" for at in order])
    axis.set(xlim=(0, 1.08), xlabel="F1", title="F1 of each (how many there are)")
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    return figure
