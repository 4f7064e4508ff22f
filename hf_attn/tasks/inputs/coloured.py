"""How the weight of a part is shown: by a colour that grows with it, blue for the answer and orange against it."""

from __future__ import annotations

from html import escape

import numpy as np

from ...interface.printable import printable

LETTERS = 200
"""Letters of a part that are shown."""


def shares(weights: np.ndarray) -> np.ndarray:
    """Return weights as shares of the greatest one's size, from -1 to 1."""
    top = float(np.abs(weights).max(initial=0.0))
    return weights / top if top else np.zeros_like(weights)


def attributes(number: int, share: float, name: str | None = None) -> str:
    """Return what makes an element of a page part ``number``, of this share; with its name, where it shows no text.

    The page's style makes a colour of ``--a``, the size of the share, and of the class, its sign.
    """
    sign = "minus" if share < 0 else "plus"
    label = "" if name is None else f' role="img" aria-label="{shown(name)}"'
    return f'class="part {sign}" style="--a:{abs(share):.3f}" data-part="{number}"{label}'


def shown(text: str) -> str:
    """Return foreign text as HTML that is text alone: nothing in it is markup, moves other text, or has no width."""
    return escape(printable(text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"))
