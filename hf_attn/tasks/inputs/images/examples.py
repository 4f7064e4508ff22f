"""Where a model attends in images of a split, and the images it is most wrong about: which are shown, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ....attention import attention_map, attention_rollout, supported
from ....attention.backbones import grid_of
from ....interface.plotting import Picture
from ..example import AttendedImage
from .pixels import PixelRows
from .prediction import pixels_of
from .processing import Processing
from .shown import attention_over_patches, contact_sheet

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHOWN = 4
"""Images in the picture of attention."""


@dataclass(frozen=True)
class Examples:
    """Images of a split, as they may be shown.

    Attributes:
        rows: of pixels.
        processing: of the model.
    """

    rows: PixelRows
    processing: Processing

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return some rows, evenly spread."""
        return [int(row) for row in np.linspace(0, len(self.rows) - 1, min(SHOWN, len(self.rows)))]

    def attended(
        self, model: PreTrainedModel, rows: Sequence[int], said: Sequence[str], true: Sequence[str | None]
    ) -> list[AttendedImage]:
        """Return where a model attends in these rows; an empty list if that cannot be seen.

        A ViT is read at its class token, or as the mean over patches where it has none: in the last layer, heads
        averaged, and rolled out over all layers. A head that pools a feature map shows its own weights.
        """
        pixels = torch.from_numpy(np.stack([self.rows[row]["pixels"] for row in rows]))
        found = maps_of(model, self.processing.normalize(pixels).to(model.device))
        if not found:
            return []
        return [
            AttendedImage(self.image(row), {title: grids[at] for title, grids in found.items()}, said[at], true[at])
            for at, row in enumerate(rows)
        ]

    def pictures(self, seen: Sequence[AttendedImage]) -> list[Picture]:
        """Return what draws them."""
        caption = "Where the model attends in some test images"
        return [Picture("patches.png", caption, partial(attention_over_patches, seen))] if seen else []

    def text(self, seen: Sequence[AttendedImage]) -> str:
        """Return nothing: a terminal shows no image."""
        return ""

    def sheet(self, rows: Sequence[int], titles: Sequence[str], wrong: Sequence[bool]) -> list[Picture]:
        """Return what draws the images that a model is most wrong about."""
        heading = "Greatest losses on the test split: true → predicted"
        images = [self.image(row) for row in rows]
        caption = "The test images on which the model is most wrong"
        return [Picture("errors.png", caption, partial(contact_sheet, images, titles, heading, wrong=wrong))]

    def image(self, row: int) -> np.ndarray:
        """Return the pixels of a row, (height, width, 3) uint8."""
        return np.moveaxis(self.rows[row]["pixels"], 0, -1)


def attend(
    model: PreTrainedModel,
    processor: Any,
    image: Any,
    text_pair: None = None,
    *,
    prediction: str = "",
    label: str | None = None,
) -> AttendedImage | None:
    """Run one image through a model and return where it attends in it; None if that cannot be seen."""
    processing = Processing(processor)
    rows = PixelRows(np.stack(pixels_of([image], processing)))
    return next(iter(Examples(rows, processing).attended(model, [0], [prediction], [label])), None)


def maps_of(model: PreTrainedModel, pixel_values: Tensor) -> dict[str, np.ndarray]:
    """Return (images, rows, columns) weights by title."""
    inputs = {"pixel_values": pixel_values}
    own: Any = getattr(model, "attention_over_positions", None)
    try:
        if own is not None:
            grid = own(pixel_values).float().mean(1).cpu().numpy()
            return {"head, mean of queries": grid} if min(grid.shape[1:]) > 1 else {}
        if not supported(type(model)):
            return {}
        last = attention_map(model, inputs, layers=[-1])[0].mean(1)
        rolled = attention_rollout(model, inputs)
    except (ValueError, IndexError):
        return {}
    config = getattr(model.config, "vision_config", model.config)
    grid = grid_of(config, last.shape[-1], pixel_values.shape[-2:])
    grids = {"last layer, mean of heads": patch_rows(last, grid), "rollout over all layers": patch_rows(rolled, grid)}
    return {title: grid for title, grid in grids.items() if grid is not None}


def patch_rows(weights: Tensor, grid: tuple[int, int] | None) -> np.ndarray | None:
    """Return the class token's weights of the patches, (images, rows, columns), of (images, tokens, tokens) weights.

    The patches are the last tokens; without a token before them it is the mean of all rows. None where the tokens are
    no such grid.
    """
    tokens = weights.shape[-1]
    if grid is None or min(grid) < 2 or weights.shape[-2] != tokens:
        return None
    before = tokens - grid[0] * grid[1]
    row = weights[:, 0] if before else weights.mean(1)
    return row[:, before:].reshape(-1, *grid).float().cpu().numpy()
