"""An explained text: its words in colours, on a page, in a terminal and in a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import canvas, mixed, shorten
from ....interface.printable import printable
from ....interface.terminal import has_colour
from ..coloured import attributes, shares, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...explained import Part

FOR = (None, 195, 153, 117, 81, 75)
"""Backgrounds of the 256-colour palette for words that count for the answer, from none to the most."""
AGAINST = (None, 230, 223, 216, 209, 208)
DRAWN = 1000
"""Words of a picture."""


def items(part_of: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield parts and the tokenizer's own tokens in their order: (number of the part, -1) or (-1, token)."""
    last = -1
    for at, number in enumerate(part_of.tolist()):
        if number < 0:
            yield -1, at
        elif number != last:
            yield number, -1
        last = number


def html(
    texts: Sequence[str], parts: Sequence[Part], tokens: Sequence[str], part_of: np.ndarray, weights: np.ndarray
) -> str:
    """Return the texts as HTML, a paragraph each: parts with their weights, own tokens, and what is not read.

    Args:
        texts: one or two.
        parts: of them, in their order.
        tokens: of the whole input.
        part_of: (tokens,) the part that a token belongs to; -1 for the tokenizer's own.
        weights: (parts,).
    """
    share = shares(weights)
    paragraphs: list[list[str]] = [[] for _ in texts]
    ends: list[int | None] = [0 for _ in texts]  # where the last part of each text ends
    source, own = 0, 0
    for number, token in items(part_of):
        if number < 0:
            name = shown(tokens[token])
            paragraphs[source].append(f'<span class="own" data-own="{own}">{name}</span>')
            own += 1
            continue
        part = parts[number]
        source = part.source
        paragraph, end = paragraphs[source], ends[source]
        if part.span is None or end is None:
            paragraph.append(" ")
            ends[source] = None
        else:
            paragraph.append(_between(texts[source][end : part.span[0]], read=end > 0))
            ends[source] = part.span[1]
        paragraph.append(f"<span {attributes(number, share[number])}>{shown(part.name)}</span>")
    for text, end, paragraph in zip(texts, ends, paragraphs, strict=True):
        if end is not None:
            paragraph.append(_between(text[end:], read=False))
    return "".join(
        f'<p class="text" dir="auto" data-source="{at}">{"".join(paragraph)}</p>'
        for at, paragraph in enumerate(paragraphs)
    )


def _between(text: str, *, read: bool) -> str:
    """What stands between two parts as HTML; before the first and behind the last it was cut off."""
    if not text.strip():
        return "\n" if "\n" in text else " " if text else ""
    words = " ".join(shown(line) for line in text.split("\n"))
    return words if read else f' <span class="unread" title="The model does not read this.">{words}</span> '


def line(
    parts: Sequence[Part],
    weights: np.ndarray,
    *,
    colour: bool | None = None,
    marks: Mapping[int, str] | None = None,
) -> str:
    """Return the texts for a terminal: words shaded where it has colours, else as they are.

    Args:
        parts: of the texts.
        weights: (parts,).
        colour: whether to print colours; by default where standard output is a terminal that has them.
        marks: tokens of the first text that are no parts and are shown as they are, by their place among the words.
    """
    colour = has_colour() if colour is None else colour
    sources: dict[int, list[str]] = {}
    for part, share in zip(parts, shares(weights), strict=True):
        shades = FOR if share > 0 else AGAINST
        shade = shades[round(abs(share) * (len(shades) - 1))] if colour else None
        word = printable(part.name[:200])
        words = sources.setdefault(part.source, [])
        words.append(word if shade is None else f"\x1b[48;5;{shade}m\x1b[38;5;16m{word}\x1b[0m")
    for at, mark in (marks or {}).items():
        sources.setdefault(0, []).insert(at, printable(mark))
    return "\n".join(" ".join(words) for words in sources.values())


def draw(parts: Sequence[Part], weights: np.ndarray) -> Figure:
    """Draw the texts, their words on colours that grow with their weights, up to 1,000 words.

    Args:
        parts: of the texts.
        weights: (parts,).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    width, size, step = 7.2, 10.5, 0.27
    figure, axis = canvas(width, 1.0)
    measure = FigureCanvasAgg(figure).get_renderer()
    font = axis.text(0, 0, "", fontsize=size).get_fontproperties()
    words: list[tuple[float, int, float, str, float]] = []  # left, line, width, word, share
    left, number, source = 0.0, 0, 0
    blank = measure.get_text_width_height_descent("n", font, ismath=False)[0] / figure.dpi * 0.55
    for part, share in zip(parts[:DRAWN], shares(weights), strict=False):
        word = shorten(part.name, 40)
        wide = measure.get_text_width_height_descent(word, font, ismath=False)[0] / figure.dpi
        if left and (left + wide > width - 0.3 or part.source != source):
            left, number = 0.0, number + (2 if part.source != source else 1)
        source = part.source
        words.append((left, number, wide, word, float(share)))
        left += wide + blank
    figure.set_size_inches(width, step * (number + 1) + 0.1)
    axis.set(xlim=(-0.1, width - 0.1), ylim=(step * (number + 1), -0.05))
    axis.set_axis_off()
    for left, number, wide, word, share in words:
        box = {"boxstyle": "round,pad=0.12,rounding_size=0.15", "lw": 0, "facecolor": mixed(share)}
        y = step * (number + 0.5)
        axis.text(left, y, word, fontsize=size, va="center_baseline", bbox=box)
        if share < -0.05:  # the sign is seen without colours too
            axis.plot([left, left + wide], [y + 0.105] * 2, color="#7a3413", lw=0.9, ls=(0, (1, 1.2)), zorder=4)
    return figure
