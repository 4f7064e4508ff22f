"""Rows of pixels, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

Partner = Callable[[torch.Tensor], torch.Tensor]


class PixelRows:
    """Images that are decoded, resized and cropped already, with their labels; a dataset for a ``DataLoader``.

    Args:
        pixels: (images, 3, height, width) uint8, of which it may be a part that counts.
        ids: (rows,) of the images that count: their row numbers in the split.
        labels: of each row, if there are any: numbers, or one list of them a row.
        rationales: of each image, if there are any: (images, bytes) the bits of (height, width) masks.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        ids: np.ndarray | None = None,
        labels: Sequence[Any] | np.ndarray | None = None,
        rationales: np.ndarray | None = None,
    ) -> None:
        self.pixels = pixels
        self.ids = np.arange(len(pixels)) if ids is None else np.asarray(ids, dtype=np.int64)
        self.labels = None if labels is None else _typed(np.asarray(labels))
        self.rationales = rationales

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, draw: int) -> dict[str, Any]:
        """Row ``draw % len``: ``pixels`` (3, height, width) uint8, ``labels``, ``ids``, ``draws`` and ``rationale``."""
        row = int(draw) % len(self)
        item = {"pixels": self.pixels[self.ids[row]], "ids": self.ids[row], "draws": draw}
        if self.rationales is not None:
            height, width = self.pixels.shape[-2:]
            bits = np.unpackbits(self.rationales[self.ids[row]], count=height * width)
            item["rationale"] = bits.reshape(height, width)
        return item if self.labels is None else {**item, "labels": self.labels[row]}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[row] for row in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        """Without the pixels, where they are in a file: a worker opens it again."""
        state = dict(self.__dict__)
        if isinstance(self.pixels, np.memmap):
            state["pixels"] = str(self.pixels.filename)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.pixels, str):
            self.pixels = np.load(self.pixels, mmap_mode="r")


class ImageBatches:
    """Makes a batch of rows of :class:`PixelRows`; see :func:`collate_images`."""

    def __init__(
        self,
        normalize: Callable[[torch.Tensor], torch.Tensor] | None,
        dataset: PixelRows | None,
        partner: Partner | None,
    ) -> None:
        self.normalize, self.dataset, self.partner = normalize, dataset, partner

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Put the rows together."""
        pixels = _stacked(rows, "pixels")
        batch = {"pixels": pixels} if self.normalize is None else {"pixel_values": self.normalize(pixels)}
        batch |= {name: _stacked(rows, name) for name in ("labels", "ids", "rationale") if name in rows[0]}
        if self.normalize is None:
            batch["draws"] = torch.tensor([int(row["draws"]) for row in rows])
        if self.partner is not None and self.dataset is not None:
            others = [self.dataset[row] for row in self.partner(batch["draws"]).tolist()]
            batch |= {f"partner_{name}": _stacked(others, name) for name in ("pixels", "labels") if name in others[0]}
        return batch


def collate_images(
    normalize: Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    dataset: PixelRows | None = None,
    partner: Partner | None = None,
) -> ImageBatches:
    """The function that makes batches of pixels.

    Without ``normalize``, for training: ``pixels`` (rows, 3, height, width) uint8, ``labels`` ((rows,) int64 or
    float32, or (rows, labels) float32), ``ids`` and ``draws`` ((rows,) int64). With it, for evaluation:
    ``pixel_values`` (rows, 3, height, width) float32, ``labels`` and ``ids``.

    Args:
        normalize: as of :class:`processing.Processing`.
        dataset: where partners are.
        partner: the rows to mix the draws with, (rows,) int64 of (rows,) int64; in the batch as ``partner_pixels`` and
            ``partner_labels``.

    Raises:
        ValueError: partners without a dataset to fetch them from, or for batches that are normalised already.
    """
    if partner is not None and (dataset is None or normalize is not None):
        raise ValueError("partners are fetched from a dataset, for batches that are not normalised yet: give dataset=")
    return ImageBatches(normalize, dataset, partner)


def _stacked(rows: list[dict[str, Any]], name: str) -> torch.Tensor:
    return torch.from_numpy(np.stack([row[name] for row in rows]))


def _typed(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.int64 if labels.dtype.kind in "iub" else np.float32)
