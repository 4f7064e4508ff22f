"""Which tokens are alike, and the tokens that they become: bipartite soft matching (Bolya et al. 2023, section 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Merging:
    """One pass' groups of tokens at one block: which tokens become one, and how many patches each one stands for.

    Args:
        group: (batch, tokens), the number of the new token that each token goes into.
        kept: (batch, new tokens), the token of each group that the others are merged into.
        gone: (batch, r), those others.
        size: (batch, tokens), patches that each token stands for.
    """

    def __init__(self, group: Tensor, kept: Tensor, gone: Tensor, size: Tensor) -> None:
        into = group.gather(1, gone)
        self.size = size.gather(1, kept).scatter_add_(1, into, size.gather(1, gone))
        self.share = (size.gather(1, gone) / self.size.gather(1, into)).flatten()[:, None]
        self.group, self.into = _flat(group, kept), _flat(into, kept)
        self.kept, self.gone = _flat(kept, group), _flat(gone, group)
        self.target = self.kept[self.into]

    def merge(self, x: Tensor) -> Tensor:
        """Mean of the tokens of each group, weighted by size: (batch, tokens, dim) to (batch, new tokens, dim).

        Written as x_kept + Σ share·(x_gone - x_kept), which touches only the tokens that merge.
        """
        flat = x.flatten(0, 1)
        change = self.share.to(x.dtype) * (flat.index_select(0, self.gone) - flat.index_select(0, self.target))
        return flat.index_select(0, self.kept).index_add(0, self.into, change).view(*self.size.shape, -1)

    def unmerge(self, x: Tensor) -> Tensor:
        """Give each token what its group has: (batch, new tokens, dim) to (batch, tokens, dim)."""
        return x.flatten(0, 1).index_select(0, self.group).view(len(x), -1, x.shape[-1])


def _flat(index: Tensor, tokens: Tensor) -> Tensor:
    """Indices (batch, …) of tokens (batch, tokens) as indices into all tokens of the batch, (all,)."""
    return (index + torch.arange(len(index), device=index.device)[:, None] * tokens.shape[1]).flatten()


def match(keys: Tensor, size: Tensor, r: int, first: int) -> Merging:
    """Bipartite soft matching (section 3, "Bipartite Soft Matching").

    Tokens go alternately to A and B; each of A is tied to the one of B whose key has the greatest cosine with its own;
    the r strongest ties merge. Tokens keep their order, and the ``first`` ones are never merged.

    Args:
        keys: (batch, tokens, d).
        size: (batch, tokens).
        r: tokens to merge away; at most half of those that may be.
        first: tokens that stay as they are.
    """
    batch, tokens = keys.shape[:2]
    patches = torch.arange(first, tokens, device=keys.device)
    a, b = patches[::2], patches[1::2]
    unit = F.normalize(keys.detach().float(), dim=-1)
    with torch.autocast(keys.device.type, enabled=False):  # half precision would make ties of near cosines
        best, to = (unit[:, a] @ unit[:, b].mT).max(-1)
    merged = best.topk(r, dim=-1).indices
    gone = a[merged]
    stays = torch.ones_like(size, dtype=torch.bool).scatter_(1, gone, False)
    group = stays.cumsum(1) - 1
    # The tokens that stay, each at the place of its group; those that go are written behind the last one.
    places, numbers = group.where(stays, tokens - r), torch.arange(tokens, device=keys.device).expand(batch, -1)
    kept = torch.empty_like(places[:, : tokens - r + 1]).scatter_(1, places, numbers)[:, : tokens - r]
    group.scatter_(1, gone, group.gather(1, b[to.gather(1, merged)]))
    return Merging(group, kept, gone, size)
