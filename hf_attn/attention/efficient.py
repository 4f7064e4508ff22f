"""Variants that look at less than every pair, or at every pair more cheaply: local windows and linear attention."""

from dataclasses import replace

import torch
from torch import Tensor

from .call import Call
from .normalizers import Blend
from .registry import register_variant
from .softmax_path import wide_products


@register_variant("local")
class Local(Blend):
    """Softmax over a window of ±``window`` positions and the first ``global_tokens``; those see and are seen by all.

    Beltagy et al. 2020 (Longformer), section 3.1. A position is a token's place in its own text: padding in front,
    other texts of a packed row, and places of a cache that are not filled yet count for nothing. Where a cache holds
    more keys than there are queries, the queries are the last tokens that it holds. A layer that has a window of its
    own (sliding or chunked) keeps no first tokens, so that none are global there. In cross-attention, where the keys
    are of another sequence, there is no distance: every key is in reach.

    Args:
        window: positions on each side.
        global_tokens: first tokens of a text that are global, [CLS] being the first.
        mix, init: see :class:`Blend`.

    Raises:
        ValueError: in the forward pass, numbers of queries and keys that are no tokens of one sequence.
    """

    equation = "softmax over |i-j| ≤ w and global tokens"
    source = "Beltagy et al. 2020 (Longformer), section 3.1"
    cost = "O(n²d): the mask saves no time"
    fused_path = "sdpa with the window as mask"

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        window: int = 32,
        global_tokens: int = 1,
        mix: float | None = None,
        init: str = "paper",
    ) -> None:
        super().__init__(num_heads, head_dim, mix, init)
        if window < 0 or global_tokens < 0:
            raise ValueError(
                f"window={window}, global_tokens={global_tokens}: expected numbers of positions, 0 or more"
            )
        self.window, self.global_tokens = window, global_tokens

    def near(self, query: Tensor, key: Tensor, keep: Tensor | None) -> Tensor:
        """Return which of the pairs that may be kept are in reach, boolean (1 or batch, 1, queries, keys)."""
        queries, keys = query.shape[-2], key.shape[-2]
        at_key = torch.arange(keys, device=query.device)
        if self.crosses:
            near = (at_key >= 0)[None, None, None]
            return near if keep is None else keep
        at_query = torch.arange(queries, device=query.device) + self._first_place(queries, keys, keep)
        near = ((at_query[:, None] - at_key).abs() <= self.window)[None, None]
        if self.global_tokens and not self.windowed:
            near = near | self._global(queries, at_key[None, None, None] >= 0 if keep is None else keep)
        return near if keep is None else near & keep

    def _first_place(self, queries: int, keys: int, keep: Tensor | None) -> Tensor | int:
        """Return the key at which the first query stands: the last query stands at the last key that it may see."""
        if queries == keys:
            return 0
        if not self.causal:
            raise ValueError(
                f"attention variant {self.name!r} looks at positions, and {queries} queries and {keys} keys are no "
                "tokens of one sequence: leave this layer out with attn_variant_include"
            )
        if keep is None:
            return keys - queries
        last = keep[..., -1, :].long().mul(torch.arange(keys, device=keep.device)).amax()
        return (last - (queries - 1)).clamp_min(0)

    def _global(self, queries: int, keep: Tensor) -> Tensor:
        """Return which pairs hold one of the first tokens that a query may see, boolean as ``keep``."""
        first = keep & (keep.cumsum(-1) <= self.global_tokens)
        if self.causal:  # the first tokens see nothing that is not global
            return first
        sees_all = first.mT if keep.shape[-2] == 1 else first.diagonal(dim1=-2, dim2=-1)[..., None]
        return first | sees_all

    def within_reach(self, call: Call) -> Call:
        """Return the same call, in which a query sees what is in reach."""
        return replace(call, keep=self.near(call.query, call.key, call.keep))

    def weights(self, call: Call) -> Tensor:
        """Return the weights; see :meth:`Variant.weights`."""
        local = super().weights(self.within_reach(call))
        return local if self.beta is None else self.blended(super().weights(call), local)

    def fused(self, call: Call) -> Tensor | None:
        """Give the window to the kernel as its mask; two blended kernels would drop weights apart from each other."""
        if self.beta is not None and call.dropout:
            return None
        local = self.within_reach(call).softmax_context()
        return local if self.beta is None else self.blended(call.softmax_context(), local)


@register_variant("linear")
class Linear(Blend):
    """``p_ij = φ(q_i)·φ(k_j) / Σ_j φ(q_i)·φ(k_j)``, φ(x) = elu(x) + 1 of inputs scaled by 1/√√d.

    Katharopoulos et al. 2020, eq. 4 and 7. With a mask over keys only, the context is φ(q)(φ(k)ᵀv) in linear time;
    a mask that differs from query to query (causal) takes the quadratic definition, as weights and dropout do.
    """

    equation = "p ∝ φ(q)·φ(k), φ = elu+1"
    source = "Katharopoulos et al. 2020, eq. 4, 7"
    cost = "O(nd²)"
    accepts_bias = False
    fused_path = "φ(q)(φ(k)ᵀv); no for masks that differ per query, or dropout"

    @staticmethod
    def feature(x: Tensor) -> Tensor:
        """φ(x) = elu(x) + 1, in a form that compiles on transposed tensors."""
        return x.clamp_min(0) + x.clamp_max(0).exp()

    def weights(self, call: Call) -> Tensor:
        """Return the weights by the quadratic definition; see :meth:`Variant.weights`."""
        root = call.scale**0.5
        with wide_products(call.query) as wide:
            features = self.feature(wide(call.key) * root)
            pairs = self.feature(wide(call.of_rows(call.query)) * root) @ features.transpose(-1, -2)
        pairs = pairs.to(torch.promote_types(pairs.dtype, torch.float32))
        if call.keep is not None:
            pairs = pairs.masked_fill(~call.of_rows(call.keep), 0.0)
        linear = pairs / pairs.sum(-1, keepdim=True).clamp_min(1e-6)
        return linear if self.beta is None else self.blended(super().weights(call), linear)

    def fused(self, call: Call) -> Tensor | None:
        """Sum over the keys once for all queries."""
        if call.dropout or call.mask_differs or call.value is None:
            return None
        root = call.scale**0.5
        with wide_products(call.query) as wide:
            features = self.feature(wide(call.key) * root)
            if call.keep is not None:
                features = features * call.keep.transpose(-1, -2).to(features.dtype)
            phi = self.feature(wide(call.query) * root)
            total = (phi @ features.sum(-2).unsqueeze(-1)).clamp_min(1e-6)
            linear = phi @ (features.transpose(-1, -2) @ wide(call.value)) / total
        return linear if self.beta is None else self.blended(call.softmax_context(), linear)
