"""An image as the patches or segments that an explanation weighs, and the same without some of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ....attention.backbones import grid_of
from ....errors import InputError
from ...explained import Leaf, Part
from . import attributed
from .prediction import pixels_of
from .processing import Processing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

REMOVALS = ("mean", "blur")
"""What stands for a part that is removed: the mean colour of the processor, or the image blurred."""
BLUR = 1 / 12
"""Standard deviation of the blur, of the image's shorter side."""
SQUARES = 14
"""Squares on each side of an image for a model that has no patches of its own."""
SEGMENTS = 50
"""Segments that SLIC is asked for."""


@dataclass(frozen=True)
class ImageParts:
    """One image in parts.

    Attributes:
        parts: in the order of their numbers.
        pixels: (height, width, 3) uint8, as the model sees it.
        segments: (height, width) the part that a pixel belongs to.
        patch: rows and columns of the patches that so many tokens stand for; None where they are no grid.
        batch: the input as the model takes it.
        gone: what stands for pixels that are removed, as ``pixel_values``.
    """

    parts: list[Part]
    pixels: np.ndarray
    segments: np.ndarray
    patch: Callable[[int], tuple[int, int] | None]
    batch: dict[str, Tensor]
    gone: Tensor
    rows_at_once: int | None = None

    def kept(self, keep: np.ndarray) -> dict[str, Tensor]:
        """Return the image with some of its parts alone, a row for each row of ``keep``, (rows, parts) bool."""
        values = self.batch["pixel_values"]
        there = torch.from_numpy(keep[:, self.segments]).to(values.device)[:, None]
        return {"pixel_values": torch.where(there, values, self.gone)}

    def of_tokens(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (…, parts) sums of (…, tokens) weights of patches; None where they are not of this image's patches."""
        grid = self.patch(weights.shape[-1])
        if grid is None:
            return None
        patches = weights[..., weights.shape[-1] - grid[0] * grid[1] :]
        return self.of_map(patches.reshape(*weights.shape[:-1], *grid))

    def of_map(self, weights: np.ndarray) -> np.ndarray:
        """Return (…, parts) sums of a map (…, rows, columns) over the image; a cell is spread over its pixels."""
        height, width = self.segments.shape
        rows, columns = weights.shape[-2:]
        cell = (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width
        share = 1 / np.bincount(cell.ravel(), minlength=rows * columns)
        table = np.zeros((rows * columns, len(self.parts)))
        np.add.at(table, (cell.ravel(), self.segments.ravel()), share[cell.ravel()])
        return weights.reshape(*weights.shape[:-2], -1) @ table

    def own_tokens(self, count: int) -> list[tuple[int, str]]:
        """Return places and names of the tokens, of so many, that stand for no patch."""
        grid = self.patch(count)
        before = 0 if grid is None else count - grid[0] * grid[1]
        return [(at, "class token" if at == 0 else f"register {at}") for at in range(before)]

    @property
    def aside(self) -> dict[str, Tensor]:
        """Nothing: a target is told no more than the pixels."""
        return {}

    @property
    def left_out(self) -> str:
        """Nothing: a model sees the whole of its pixels."""
        return ""

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns that the parts stand in; None for segments."""
        boxes = [part.box or (0, 0, 0, 0) for part in self.parts]
        rows, columns = len({box[1] for box in boxes}), len({box[0] for box in boxes})
        return (rows, columns) if rows * columns == len(boxes) else None

    def html(self, weights: np.ndarray) -> str:
        """Return the image as HTML, in colours of (parts,) weights."""
        return attributed.html(self.pixels, self.segments, self.parts, weights)

    def line(self, weights: np.ndarray, *, colour: bool | None = None) -> str:
        """Return the image for a terminal, as (parts,) weights."""
        return attributed.line(self.segments, weights, colour=colour)

    def draw(self, weights: np.ndarray) -> Figure:
        """Draw the image in colours of (parts,) weights."""
        return attributed.draw(self.pixels, self.segments, weights)

    def leaf(self, model: PreTrainedModel, outputs: Callable[[nn.Module, dict[str, Tensor]], Tensor]) -> Leaf:
        """Return the pixels, at which gradients are taken."""
        value = self.batch["pixel_values"]
        at = torch.from_numpy(self.segments.ravel()).to(value.device)

        def by_part(values: Tensor) -> Tensor:
            flat = values.sum(1).flatten(1)
            return flat.new_zeros(len(flat), len(self.parts)).index_add_(1, at, flat)

        return Leaf(value, self.gone, lambda pixels: outputs(model, {"pixel_values": pixels}), by_part)


def parted(
    model: PreTrainedModel,
    processor: Any,
    image: Any,
    text_pair: None = None,
    *,
    segments: str | None = None,
    removal: str | None = None,
) -> ImageParts:
    """Return an image in parts.

    Args:
        model: that sees it.
        processor: of the model.
        image: a file, pillow image, or (height, width, 3) uint8 array.
        text_pair: None.
        segments: ``patches`` (by default: the model's, or 14 × 14 squares where it has none), ``slic`` (about 50 of
            one colour, Achanta et al. 2012), or rows and columns of squares such as ``7x7``.
        removal: ``mean`` (by default) or ``blur``.

    Raises:
        InputError: another kind of segments or removal, or an image that cannot be read.
    """
    if removal not in (None, *REMOVALS):
        raise InputError(f"removal {removal!r}: expected {' or '.join(REMOVALS)}")
    processing = Processing(processor)
    pixels = pixels_of([image], processing)[0]
    size = pixels.shape[-2:]
    config = getattr(model.config, "backbone_config", None) or getattr(model.config, "vision_config", model.config)

    def patch(tokens: int) -> tuple[int, int] | None:
        return grid_of(config, tokens, size)

    values = processing.normalize(torch.from_numpy(pixels[None]).to(model.device)).to(model.dtype)
    labels = _segments(np.moveaxis(pixels, 0, -1), segments or "patches", config)
    gone = torch.zeros_like(values) if removal != "blur" else _blurred(values)
    parts = [_part(labels == number, number) for number in range(labels.max() + 1)]
    return ImageParts(parts, np.moveaxis(pixels, 0, -1), labels, patch, {"pixel_values": values}, gone)


def marks(table: Any, column: str, images: Any) -> list[list[tuple[int, int]]]:
    """Refuse rationales of images.

    Raises:
        InputError: always.
    """
    raise InputError(f"--rationale {column}: rationales are read of texts, and this model classifies images")


def _segments(pixels: np.ndarray, kind: str, config: Any) -> np.ndarray:
    height, width = pixels.shape[:2]
    if kind == "slic":
        try:
            from skimage.segmentation import slic
        except ImportError:
            raise InputError("segments 'slic' need scikit-image: pip install 'hf_attn[explain]'") from None
        found = slic(pixels, n_segments=SEGMENTS, compactness=10, sigma=1, start_label=0)
        return np.unique(found, return_inverse=True)[1].reshape(height, width)
    if kind == "patches":
        patch = getattr(config, "patch_size", None)
        sides = (patch, patch) if isinstance(patch, int) else patch
        rows = columns = SQUARES
        if sides and not hasattr(config, "depths"):
            rows, columns = height // sides[0], width // sides[1]
    elif match := re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", kind):
        rows, columns = int(match[1]), int(match[2])
    else:
        raise InputError(f"segments {kind!r}: expected patches, slic, or rows and columns such as 7x7")
    rows, columns = min(rows, height), min(columns, width)
    return (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width


def _part(inside: np.ndarray, number: int) -> Part:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Part(f"pixels {left}–{right} across, {top}–{bottom} down", box=(left, top, right, bottom))


def _blurred(values: Tensor) -> Tensor:
    from scipy.ndimage import gaussian_filter

    width = BLUR * min(values.shape[-2:])
    blurred = gaussian_filter(values.cpu().numpy(), sigma=(0, 0, width, width))
    return torch.from_numpy(blurred).to(values.device)
