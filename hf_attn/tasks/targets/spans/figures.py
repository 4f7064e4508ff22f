"""Pictures of answers: how good they are by their length and by the kind of question; how sure none is said."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, GREY, ORANGE, Picture, canvas, styled
from .groups import grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ....training.evaluation import Predictions
    from .found import Rule
    from .scoring import Judged


def pictures(rule: Rule, judged: Judged, predictions: Predictions) -> list[Picture]:
    """Return what can be drawn of predictions whose truth is known."""
    groups = {what: some for what, some in grouped(judged, predictions).items() if some}
    caption = "F1 on the test split by length of the answer" + (" and by kind of question" if len(groups) > 1 else "")
    found = [Picture("f1_by_kind.png", caption, partial(f1_by_group, judged, groups))]
    if rule.threshold is not None and judged.of_both:
        caption = "How sure the model is that there is no answer, of the test split's questions"
        found.append(Picture("no_answer.png", caption, partial(margins, judged)))
    return found


@styled
def f1_by_group(judged: Judged, groups: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw F1, and exact match within it, of groups of questions, with how many there are."""
    tallest = max(len(some) for some in groups.values())
    figure, axes = canvas(5.2 * len(groups), 1.4 + 0.32 * tallest, ncols=len(groups))
    for axis, (what, some) in zip(np.atleast_1d(axes), groups.items(), strict=True):
        for place, rows in enumerate(list(some.values())[::-1]):
            one = judged.of(rows)
            axis.barh(place, one.f1.mean(), color=BLUE, height=0.7, alpha=0.45, label="F1" if not place else None)
            axis.barh(place, one.exact.mean(), color=BLUE, height=0.7, label="exact match" if not place else None)
            axis.text(one.f1.mean() + 0.01, place, f"{one.f1.mean():.2f}", va="center", fontsize=9, color=GREY)
        axis.set_yticks(range(len(some)), [f"{name} ({len(rows):,})" for name, rows in list(some.items())[::-1]])
        axis.set(xlim=(0, 1.1), xlabel=f"F1 by {what} (how many there are)")
        axis.grid(axis="x")
        axis.set_axisbelow(True)
    np.atleast_1d(axes)[-1].legend(loc="lower right")
    return figure


@styled
def margins(judged: Judged) -> Figure:
    """Draw the log-odds of no answer, above the threshold, of questions that have one and of those that have none."""
    figure, axis = canvas(6.0, 3.4)
    values = np.clip(judged.margin, -30, 30)
    edges = np.linspace(values.min() - 0.5, values.max() + 0.5, 41)
    for has, colour, name in ((True, BLUE, "there is an answer"), (False, ORANGE, "there is none")):
        axis.hist(values[judged.has == has], edges, color=colour, alpha=0.6, label=name)
    axis.axvline(0, color=GREY, linewidth=1)
    axis.set(xlabel="log-odds of no answer, above the threshold", ylabel="questions")
    axis.legend()
    return figure
