"""Variants on the grid of patches of a vision transformer: a window in two dimensions, and focal attention."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .call import Call
from .efficient import Local
from .grid import PatchGrid, mistakes
from .image_grid import SeenGrid
from .normalizers import Blend
from .registry import register_variant


@register_variant("window")
class Window(Local):
    """Softmax over the patches at most ``window`` rows and columns away; class token and registers see and are seen.

    Beltagy et al. 2020 (Longformer), section 3.1, in two dimensions. Unlike `local` it starts as the identity: of a
    pretrained ViT-Ti at 224 pixels, bare windows of 5·5 patches keep the class of 8 images in a hundred. A patch that
    has nothing to attend to in its window (padding) gets nothing from it.

    Args:
        window: patches on each side.
        grid: rows and columns of patches, which every image must have; None is the grid of each image.
        mix, init: see :class:`Blend`.
    """

    equation = "softmax over |Δrow|, |Δcolumn| ≤ w and prefix tokens"
    source = "Beltagy et al. 2020 (Longformer), section 3.1, in two dimensions"
    parameters_per_layer = "h; 0 with init=paper"
    cost = Local.cost
    fused_path = Local.fused_path
    identity = True
    needs_patches = True
    seen: SeenGrid | None = None

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        window: int = 2,
        grid: Sequence[int] | None = None,
        mix: float | None = None,
        init: str = "identity",
    ) -> None:
        if wrong := mistakes(window, [2], grid):
            raise ValueError(wrong)
        super().__init__(num_heads, head_dim, window, 0, mix, init)
        self.grid = grid

    def near(self, query: Tensor, key: Tensor, keep: Tensor | None) -> Tensor:
        """Return which of the pairs that may be kept are in reach, boolean (1 or batch, 1, queries, keys)."""
        near = place(self, query, key).near(self.window, query.device)[None, None]
        return near if keep is None else near & keep

    fused = Local.fused


@register_variant("focal")
class Focal(Blend):
    """One softmax over the patches near a query, one by one, and over all patches pooled into cells.

    Yang et al. 2021 (Focal self-attention), eq. 1-3, with every cell of the grid in the focal region. A cell is a
    convex combination of its patches, W = softmax of learned logits per head, 0 at the start: the mean. Pooling is
    linear, so the scores of pooled keys are pooled scores, and the weight of a cell falls back on its patches::

        p' = p_near + p_cell W,   [p_near, p_cell] = softmax([s_near, s Wᵀ]),   o = p_near v + p_cell (W v)

    Class token and registers are seen by all and attend to every token by plain softmax. Masked keys leave their
    cell; a cell without kept keys is masked. The paper's linear pooling has any weights and its scores a relative
    position bias; here the pretrained positions do that work.

    Args:
        window: patches on each side that are near.
        pool: side of a cell in patches; a list for several levels. 2 divides the grids 14·14 and 6·6, with 25 near and
            49 or 9 pooled keys, and of the single levels it moves a pretrained model the least.
        grid: rows and columns of patches, which every image must have; None is the grid of each image.
        mix, init: see :class:`Blend`.
    """

    equation = "p_near + p_cell·W of softmax([s_near, s·Wᵀ])"
    source = "Yang et al. 2021, eq. 1-3"
    parameters_per_layer = "h·(1 + Σc²), c = pool = 2"
    cost = "O(n²d): the pooled keys come on top"
    identity = True
    accepts_bias = False
    needs_patches = True
    seen: SeenGrid | None = None
    fused_path = "sdpa on [k; Wk], [v; Wv]; no for masks per query, or dropout"

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        window: int = 2,
        pool: int | Sequence[int] = 2,
        grid: Sequence[int] | None = None,
        mix: float | None = None,
        init: str = "identity",
    ) -> None:
        super().__init__(num_heads, head_dim, mix, init)
        levels = [pool] if isinstance(pool, int) else pool
        if wrong := mistakes(window, levels, grid):
            raise ValueError(wrong)
        self.window, self.levels, self.grid = window, levels, grid
        self.pooling = nn.Parameter(torch.empty(num_heads, sum(size * size for size in levels)))

    def reset_parameters(self) -> None:
        """Start with the mean of each cell."""
        super().reset_parameters()
        nn.init.zeros_(self.pooling)

    def cells(self, grid: PatchGrid) -> tuple[Tensor, Tensor]:
        """Return which tokens are in which cell, boolean (cells, tokens), and W, (heads, cells, tokens)."""
        members, shares = [], []
        sizes = [size * size for size in self.levels]
        for logits, size in zip(self.pooling.split(sizes, -1), self.levels, strict=True):
            member, place = grid.cells(size, logits.device)
            share = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)[:, None, place]
            members.append(member)
            shares.append(F.pad(share, (grid.prefix, 0)) * member)
        return torch.cat(members), _shared(torch.cat(shares, 1))

    def reach(self, grid: PatchGrid, member: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the tokens, and the cells, that a query sees: boolean, (…, queries, keys) and (…, queries, cells)."""
        near = grid.near(self.window, member.device)
        is_patch = (torch.arange(len(near), device=member.device) >= grid.prefix)[:, None]
        if keep is None:
            return near, is_patch.expand(-1, len(member))
        return near & keep, (keep.float() @ member.mT.float() > 0) & is_patch

    def weights(self, call: Call) -> Tensor:
        """Return the weights; see :meth:`Variant.weights`."""
        grid = place(self, call.query, call.key)
        member, share = self.cells(grid)
        near, cells = (call.of_rows(x) for x in self.reach(grid, member, call.keep))
        scores, keep = self.masked_scores(call)
        least = torch.finfo(scores.dtype).min
        known, total = scores, torch.ones_like(scores[:1, :1, :1, :1])
        if keep is not None:
            known = scores.masked_fill(~keep, 0.0)
            total = (keep.to(scores.dtype) @ share.mT).clamp_min(torch.finfo(scores.dtype).tiny)
        pooled = (known @ share.mT / total).to(scores.dtype)
        both = torch.cat([scores.masked_fill(~near, least), pooled.masked_fill(~cells, least)], -1).softmax(-1)
        fine, coarse = both.split([scores.shape[-1], pooled.shape[-1]], -1)
        focal = fine + (coarse * cells / total) @ share
        weights = focal if self.beta is None else self.blended(scores.softmax(-1), focal)
        return weights if keep is None else weights * keep

    def fused(self, call: Call) -> Tensor | None:
        """Give the kernel the cells as further keys and values."""
        if call.dropout or call.mask_differs or call.value is None:
            return None
        grid = place(self, call.query, call.key)
        member, share = self.cells(grid)
        visible = torch.cat(self.reach(grid, member, call.keep), -1)
        share = (share if call.keep is None else _shared(share * call.keep)).to(call.key.dtype)
        keys, values = (torch.cat([x, share @ x], -2) for x in (call.key, call.value))
        focal = replace(call, key=keys, value=values, keep=visible).softmax_context()
        return focal if self.beta is None else self.blended(call.softmax_context(), focal)


def place(variant: Window | Focal, query: Tensor, key: Tensor) -> PatchGrid:
    """Return where the tokens of a call stand: on the image's grid, or by itself on the variant's own.

    Raises:
        ValueError: the image has another grid than the variant was given, or the tokens are no such grid.
    """
    tokens = key.shape[-2]
    if variant.seen is None or query.shape[-2] != tokens:
        return PatchGrid(query.shape[-2], tokens, variant.grid)
    seen = variant.seen.of(tokens)
    if variant.grid is not None and tuple(variant.grid) != seen:
        raise ValueError(
            f"grid={list(variant.grid)}, but the image has {seen[0]} rows and {seen[1]} columns of patches: leave grid "
            "out, or give images of that shape"
        )
    return PatchGrid(tokens, tokens, seen)


def _shared(weights: Tensor) -> Tensor:
    """Divide by the sums of the last dimension; what is 0 everywhere stays 0."""
    return weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
