"""Batches with targets: what a decoder reads, and what it is to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....data.batching import Collate
from ..losses import IGNORED


@dataclass(frozen=True)
class TargetPadding:
    """Makes a batch of rows by another function, and adds the targets, (rows, tokens) int64.

    ``labels``, padded by -100, and ``decoder_input_ids``, the same one place to the right behind the start token, where
    the rows have labels.

    Attributes:
        sources: makes a batch of the rest.
        start: id of the token that the decoder starts with.
        pad: id of padding.
        multiple: the number of tokens is rounded up to one of it.
    """

    sources: Collate
    start: int
    pad: int
    multiple: int = 1

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Put the rows together."""
        batch = self.sources([{name: value for name, value in row.items() if name != "labels"} for row in rows])
        if "labels" not in rows[0]:
            return batch
        longest = max(len(row["labels"]) for row in rows)
        width = -(-longest // self.multiple) * self.multiple
        labels = torch.full((len(rows), width), IGNORED)
        for row, given in zip(labels, rows, strict=True):
            row[: len(given["labels"])] = torch.as_tensor(given["labels"])
        decoder = torch.full_like(labels, self.start)
        decoder[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, self.pad)
        return {**batch, "decoder_input_ids": decoder, "labels": labels}


def collate(sources: Collate, start: int, pad: int, pad_to_multiple_of: int = 1) -> TargetPadding:
    """Return the function that makes batches of rows with targets."""
    return TargetPadding(sources, start, pad, pad_to_multiple_of)
