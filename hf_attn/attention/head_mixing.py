"""Variants that act on heads: talking heads mix them, gated attention scales what they give."""

import math

import torch
from torch import Tensor, nn

from .registry import register_variant
from .variant import Variant


@register_variant("talking_heads")
class TalkingHeads(Variant):
    """Heads exchange scores and weights: ``s ← (I+A) s``, ``p ← (I+B) p`` over the heads, A = B = 0 at the start.

    Shazeer et al. 2020, section 3. A bias on the scores is added after their exchange. ``init="paper"`` starts both
    matrices at random, with standard deviation 1/√h.
    """

    equation = "p = (I+B)·softmax((I+A)·s) over heads"
    source = "Shazeer et al. 2020, section 3"
    parameters_per_layer = "2h²"
    cost = "O(n²(d+h))"
    normalized = False
    fused_path = "no"

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__(num_heads, head_dim, init)
        self.before = nn.Parameter(torch.empty(num_heads, num_heads))
        self.after = nn.Parameter(torch.empty(num_heads, num_heads))

    def reset_parameters(self) -> None:
        """Start with heads that keep to themselves, or at random."""
        for matrix in (self.before, self.after):
            if self.init == "identity":
                nn.init.zeros_(matrix)
            else:
                nn.init.normal_(matrix, std=self.num_heads**-0.5)
                with torch.no_grad():
                    matrix.sub_(torch.eye(self.num_heads, dtype=matrix.dtype, device=matrix.device))

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> None:
        """A kernel sees one head at a time."""
        return None

    def scores(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """Exchange scores between heads."""
        scores = super().scores(query, key, scaling)
        return scores + torch.einsum("gh,bhnm->bgnm", self.before.to(scores.dtype), scores)

    def mix(self, weights: Tensor) -> Tensor:
        """Exchange weights between heads."""
        return weights + torch.einsum("gh,bhnm->bgnm", self.after.to(weights.dtype), weights)


@register_variant("gated")
class Gated(Variant):
    """``o ← 2σ(qW + b) ⊙ o`` per head, W = b = 0 at the start: a gate of 1 (Qiu et al. 2025, eq. 5).

    The gate sees the query of the head, where the paper's sees the layer's input. ``init="paper"`` starts W at random
    and b at -log 3, the paper's open-half gate σ(0) = ½.
    """

    equation = "o ← 2σ(qW+b) ⊙ o"
    source = "Qiu et al. 2025, eq. 5"
    parameters_per_layer = "h·(d²+d)"
    cost = "O(n²d)"
    fused_path = "sdpa, then the gate"

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__(num_heads, head_dim, init)
        self.weight = nn.Parameter(torch.empty(num_heads, head_dim, head_dim))
        self.bias = nn.Parameter(torch.empty(num_heads, 1, head_dim))

    def reset_parameters(self) -> None:
        """Start with gates that let everything through."""
        if self.init == "identity":
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)
        else:
            nn.init.normal_(self.weight, std=0.02)
            nn.init.constant_(self.bias, -math.log(3.0))

    def output(self, context: Tensor, query: Tensor) -> Tensor:
        """Scale the context by the gate."""
        gate = query @ self.weight.to(query.dtype) + self.bias.to(query.dtype)
        return context * (2 * torch.sigmoid(gate))
