"""An explained image: its patches or segments in colours over it, on a page, in a terminal and in a picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import canvas, mixed
from ....interface.terminal import BARS, encodable
from ...explained import runs
from ..coloured import attributes, shares

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...explained import Part

PNG_BYTES = 300_000
"""Size up to which an image goes into a page as it is; a larger one as JPEG."""


def html(pixels: np.ndarray, segments: np.ndarray, parts: Sequence[Part], weights: np.ndarray) -> str:
    """Return the image as HTML, its parts laid over it as shapes.

    Args:
        pixels: (height, width, 3) uint8.
        segments: (height, width) the part that a pixel belongs to.
        parts: in the order of their numbers.
        weights: (parts,).
    """
    height, width = segments.shape
    share = shares(weights)
    shapes = "".join(
        f'<path {attributes(number, share[number], part.name)} d="{outline(segments, number, part.box)}"/>'
        for number, part in enumerate(parts)
    )
    return (
        f'<div class="image" style="aspect-ratio:{width}/{height}"><img alt="the explained image" '
        f'src="{data_uri(pixels)}"><svg viewBox="0 0 {width} {height}" role="group" '
        f'aria-label="its parts">{shapes}</svg></div>'
    )


def outline(segments: np.ndarray, number: int, box: tuple[int, int, int, int] | None) -> str:
    """Return a part as the data of an SVG path: a rectangle, or a run of pixels for each of its rows."""
    assert box is not None
    left, top, right, bottom = box
    inside = segments[top:bottom, left:right] == number
    if inside.all():
        return f"M{left} {top}H{right}V{bottom}H{left}Z"
    rows = ((row, run) for row, line in enumerate(inside, start=top) for run in runs(line))
    return "".join(f"M{left + start} {row}h{end - start}v1h{start - end}z" for row, (start, end) in rows)


def data_uri(pixels: np.ndarray) -> str:
    """Return (height, width, 3) uint8 pixels as an address that holds them."""
    from PIL import Image

    for kind, how in (("png", {"optimize": True}), ("jpeg", {"quality": 90})):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, **how)
        if kind == "jpeg" or file.tell() <= PNG_BYTES:
            break
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def line(segments: np.ndarray, weights: np.ndarray, *, colour: bool | None = None) -> str:
    """Return the image for a terminal: a bar for each place of a grid of 16 columns, by the weight that counts for it.

    Args:
        segments: (height, width) the part that a pixel belongs to.
        weights: (parts,).
        colour: ignored.
    """
    height, width = segments.shape
    columns = min(16, width)
    rows = max(1, min(height, round(columns * height / width)))
    share = shares(weights)[segments]
    across, down = np.arange(columns + 1) * width // columns, np.arange(rows + 1) * height // rows
    bars, against = (BARS, "▒") if encodable(BARS + "▒") else (" .:-=+*#@", "~")
    lines = []
    for row in range(rows):
        cells = [share[down[row] : down[row + 1], across[at] : across[at + 1]].mean() for at in range(columns)]
        signs = (against if cell < -0.2 else bars[round(8 * max(0.0, cell))] for cell in cells)
        lines.append("".join(2 * sign for sign in signs).rstrip())
    return "\n".join(lines)


def draw(pixels: np.ndarray, segments: np.ndarray, weights: np.ndarray) -> Figure:
    """Draw the image, and its parts laid over it in grey, in colours that grow with their weights.

    Args:
        pixels: (height, width, 3) uint8.
        segments: (height, width) the part that a pixel belongs to.
        weights: (parts,).
    """
    height, width = segments.shape
    figure, axes = canvas(7.2, max(1.5, 3.5 * height / width), ncols=2)
    extent = (0, width, height, 0)
    share = shares(weights)
    colours = np.array([mixed(one) for one in share.tolist()])[segments]
    cover = (0.15 + 0.75 * np.abs(share))[segments][..., None]
    grey = pixels.mean(-1, keepdims=True).repeat(3, -1) / 255
    axes[0].imshow(pixels, extent=extent)
    axes[1].imshow((1 - cover) * grey + cover * colours * (0.6 + 0.4 * grey), extent=extent)
    for axis in axes:
        axis.set_axis_off()
    return figure
