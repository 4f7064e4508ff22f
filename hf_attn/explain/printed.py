"""An attribution for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..interface.printable import printable
from .verdict import headline, score_rows, verdict

if TYPE_CHECKING:
    from .weighed import Weighed

TOP = 10
"""Parts whose numbers are shown."""


def printed(attribution: Weighed, *, colour: bool | None = None) -> str:
    """Return an attribution as text: what is predicted and explained, the input in colours, the greatest weights, the
    scores beside those of random weights, and whether to believe it.

    Args:
        attribution: of one input.
        colour: whether to print colours; by default where standard output is a terminal that has them.
    """
    assert attribution.case is not None
    most = np.argsort(-np.abs(attribution.weights), kind="stable")[:TOP]
    kinds = [f"predicted: {printable(attribution.prediction)}", f"explained: {printable(headline(attribution))}"]
    unit = f" ({attribution.weights_unit})" if attribution.weights_unit else ""
    named = [(attribution.weights[at], printable(attribution.parts[at].name[:60])) for at in most]
    weights = [f"weights{unit}", *(f"  {weight:+.4f}  {name}" for weight, name in named)]
    more = len(attribution.weights) - len(most)
    weights += [f"  … and {more:,} more"] if more > 0 else []
    rows = [("", "this", "random", "random, least to greatest"), *score_rows(attribution)]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    scores = [
        f"  {name:<{widths[0]}}  {own:>{widths[1]}}  {control:>{widths[2]}}  {spread}"
        for name, own, control, spread in rows
    ]
    blocks = [kinds, [attribution.case.parted.line(attribution.weights, colour=colour)], weights]
    blocks += [scores] if len(rows) > 1 else []
    return "\n\n".join("\n".join(block) for block in [*blocks, [verdict(attribution)]])
