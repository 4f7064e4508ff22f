"""Pictures of images: the worst errors on one sheet, and where a model attends."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import ORANGE, canvas, shorten, styled
from ..example import AttendedImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def contact_sheet(
    images: Sequence[np.ndarray], titles: Sequence[str], heading: str, columns: int = 6, wrong: Sequence[bool] = ()
) -> "Figure":
    """Draw images in a grid, a title above each.

    Args:
        images: (height, width, 3) uint8 each.
        titles: One for each; lines are cut to 24 letters.
        heading: Above all of them.
        columns: Images in a row.
        wrong: Which titles are those of errors, and orange.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, ceil(len(images) / columns))
    figure, axes = canvas(1.75 * columns, 0.5 + 2.15 * rows, nrows=rows, ncols=columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, (axis, image, title) in enumerate(zip(axes.flat, images, titles, strict=False)):
        axis.imshow(image, interpolation="nearest")
        text = "\n".join(shorten(line, 24) for line in title.splitlines())
        ink = {"color": ORANGE} if index < len(wrong) and wrong[index] else {}
        axis.set_title(text, fontsize=7.5, fontweight="normal", loc="left", pad=4, **ink)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


@styled
def attention_over_patches(examples: Sequence[AttendedImage]) -> "Figure":
    """Draw a row for each image: the image, then each of its maps laid over it in grey.

    Each map's colours go from its least weight to its greatest.
    """
    titles = list(examples[0].maps)
    figure, axes = canvas(
        2.3 * (1 + len(titles)), 2.45 * len(examples), nrows=len(examples), ncols=1 + len(titles), squeeze=False
    )
    for row, example in zip(axes, examples, strict=True):
        height, width = example.pixels.shape[:2]
        said = [("predicted", example.prediction), ("true", example.label)]
        for axis in row:
            axis.set_axis_off()
        row[0].imshow(example.pixels, extent=(0, width, height, 0))
        grey = example.pixels.mean(-1)
        text = "\n".join(f"{what}: {shorten(name, 26)}" for what, name in said if name)
        row[0].set_title(text, fontsize=8, fontweight="normal", pad=4)
        for axis, title in zip(row[1:], titles, strict=True):
            weights = example.maps[title]
            axis.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
            strength = (weights - weights.min()) / (np.ptp(weights) or 1.0)
            drawn = axis.imshow(strength, cmap="inferno", alpha=0.55, vmin=0, vmax=1, extent=(0, width, height, 0))
            axis.set_title(title if example is examples[0] else "", fontsize=8, fontweight="normal", pad=4)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.02, pad=0.02, aspect=30, ticks=[0, 1])
    bar.ax.set_yticklabels(["least weight\nof the map", "greatest"], fontsize=8)
    bar.outline.set_visible(False)
    return figure
