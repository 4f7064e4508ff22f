"""Where patches stand: the tokens of a vision transformer's layer as a grid.

The n tokens are a prefix (class token, registers) and then the patches, row by row. In a model the grid is that of the
image (see image_grid.py); a variant by itself takes the one that it is given, or the largest square that fits: 197
tokens are 1 + 14·14, 261 are 5 + 16·16.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LARGEST_PREFIX = 16


class PatchGrid:
    """Where the tokens of a layer stand: ``prefix`` tokens, then ``rows`` · ``columns`` patches.

    Args:
        queries, keys: numbers of tokens, which must be equal.
        grid: rows and columns; None is the largest square.

    Raises:
        ValueError: the tokens are no such grid.
    """

    def __init__(self, queries: int, keys: int, grid: Sequence[int] | None) -> None:
        if queries != keys:
            raise ValueError(
                f"{queries} queries and {keys} keys do not stand on one grid of patches: "
                "leave this layer out with attn_variant_include"
            )
        self.rows, self.columns = grid or (int(math.sqrt(keys)),) * 2
        self.prefix = keys - self.rows * self.columns
        shape = f"grid of {self.rows} rows and {self.columns} columns" if grid else "square grid"
        if not 0 <= self.prefix <= LARGEST_PREFIX:
            cure = "" if grid else "give grid=[rows, columns], or "
            raise ValueError(
                f"{keys} tokens are no {shape} of patches after at most {LARGEST_PREFIX} other tokens: "
                f"{cure}leave this layer out with attn_variant_include"
            )

    def near(self, window: int, device: torch.device) -> Tensor:
        """Return which pairs are at most ``window`` rows and columns apart or have a prefix token, (tokens, tokens)."""
        row = torch.arange(self.rows, device=device).repeat_interleave(self.columns)
        column = torch.arange(self.columns, device=device).repeat(self.rows)
        apart = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs())
        near = torch.ones(self.prefix + len(row), self.prefix + len(row), dtype=torch.bool, device=device)
        near[self.prefix :, self.prefix :] = apart <= window
        return near

    def cells(self, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cut the grid into cells of ``size`` · ``size`` patches, smaller ones at its far edges.

        Returns:
            Which tokens are in which cell, boolean (cells, tokens), and the place of each patch in its cell.
        """
        row = torch.arange(self.rows, device=device)[:, None]
        column = torch.arange(self.columns, device=device)
        across = -(-self.columns // size)
        cell = (row // size * across + column // size).flatten()
        member = torch.arange(-(-self.rows // size) * across, device=device)[:, None] == cell
        place = (row % size * size + column % size).flatten()
        return torch.cat([member.new_zeros(len(member), self.prefix), member], 1), place


def mistakes(window: object, pool: object, grid: object) -> str:
    """Return what is wrong with the options of a variant on patches, in words; empty if nothing is."""

    def whole(value: object, least: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    wrong = []
    if not whole(window, 0):
        wrong.append(f"window={window!r}: expected a number of patches, 0 or more")
    if not isinstance(pool, (list, tuple)) or not pool or not all(whole(size, 2) for size in pool):
        wrong.append(f"pool={pool!r}: expected the side of a cell in patches, 2 or more, or a list of such sides")
    if grid is not None and not (
        isinstance(grid, (list, tuple)) and len(grid) == 2 and all(whole(side, 1) for side in grid)
    ):
        wrong.append(f"grid={grid!r}: expected [rows, columns] of the patches, or null for a square")
    return "; ".join(wrong)
