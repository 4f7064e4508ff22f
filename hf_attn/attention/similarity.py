"""Variants that differ in how a query is compared with a key: general, additive, cosine, temperature."""

import math

import torch
from torch import Tensor, nn

from .registry import register_variant
from .variant import Variant


@register_variant("general")
class General(Variant):
    """``s = qᵀ (I + Δ) k / √d``, Δ = 0 at the start: a learned bilinear form per head (Luong et al. 2015, eq. 8).

    ``init="paper"`` starts W = I + Δ at random, with standard deviation 1/√d.
    """

    equation = "s = qᵀ(I+Δ)k/√d"
    source = "Luong et al. 2015, eq. 8 (general)"
    parameters_per_layer = "h·d²"
    cost = "O(n²d)"
    fused_path = "sdpa on q(I+Δ)"

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__(num_heads, head_dim, init)
        self.delta = nn.Parameter(torch.empty(num_heads, head_dim, head_dim))

    def reset_parameters(self) -> None:
        """Start at W = I, or at a random W."""
        if self.init == "identity":
            nn.init.zeros_(self.delta)
        else:
            nn.init.normal_(self.delta, std=self.head_dim**-0.5)
            with torch.no_grad():
                self.delta.sub_(torch.eye(self.head_dim, dtype=self.delta.dtype, device=self.delta.device))

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """Turn the query: q(I+Δ)."""
        return (query + query @ self.delta.to(query.dtype)) * scaling, key

    def scores(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """Compare by the bilinear form."""
        query, key = self.dot_form(query, key, scaling)
        return query @ key.transpose(-1, -2)


@register_variant("temperature")
class Temperature(Variant):
    """``s = (1 + g) q·k/√d``: learned sharpening of each head, g = 0 at the start."""

    equation = "s = (1+g)·q·k/√d"
    source = "learned inverse temperature per head"
    parameters_per_layer = "h"
    cost = "O(n²d)"
    fused_path = "sdpa on (1+g)q"

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__(num_heads, head_dim, init)
        self.gain = nn.Parameter(torch.empty(num_heads, 1, 1))

    def reset_parameters(self) -> None:
        """Start at the pretrained sharpness."""
        nn.init.zeros_(self.gain)

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """Scale the query by 1 + g."""
        return query * ((1 + self.gain) * scaling).to(query.dtype), key

    def scores(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """Scale the pretrained scores."""
        return super().scores(query, key, scaling) * (1 + self.gain)


class _Mixed(Variant):
    """``s = (1-a) q·k/√d + a s'``: another score s', mixed into the pretrained one by a learned a per head."""

    def __init__(self, num_heads: int, head_dim: int, mix: float | None, init: str) -> None:
        super().__init__(num_heads, head_dim, init)
        self.mix_start = float(init == "paper") if mix is None else mix
        self.alpha = nn.Parameter(torch.empty(num_heads, 1, 1))

    def reset_parameters(self) -> None:
        """Start at the given mix."""
        nn.init.constant_(self.alpha, self.mix_start)

    def scores(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """Mix the two scores."""
        return (1 - self.alpha) * super().scores(query, key, scaling) + self.alpha * self.other_scores(query, key)

    def other_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Return s', (batch, heads, queries, keys)."""
        raise NotImplementedError


@register_variant("additive")
class Additive(_Mixed):
    """``s = (1-a) q·k/√d + a wᵀ tanh(W_q q + W_k k)`` per head (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        attn_dim: size of the hidden layer of the comparison; memory grows with it, (batch, heads, n, m, attn_dim).
        mix: a at the start; None is 0 for ``init="identity"`` and 1 for ``init="paper"``.
    """

    equation = "s = (1-a)·q·k/√d + a·wᵀtanh(W₁q + W₂k)"
    source = "Bahdanau et al. 2015, A.1.2"
    parameters_per_layer = "h·(2d·r + r + 1), r = attn_dim = 8"
    cost = "O(n²(d+r))"
    fused_path = "no"

    def __init__(
        self, num_heads: int, head_dim: int, attn_dim: int = 8, mix: float | None = None, init: str = "identity"
    ) -> None:
        super().__init__(num_heads, head_dim, mix, init)
        self.query_projection = nn.Parameter(torch.empty(num_heads, head_dim, attn_dim))
        self.key_projection = nn.Parameter(torch.empty(num_heads, head_dim, attn_dim))
        self.score = nn.Parameter(torch.empty(num_heads, attn_dim))

    def reset_parameters(self) -> None:
        """Start the comparison at random, the mix where it was asked for."""
        super().reset_parameters()
        for projection in (self.query_projection, self.key_projection):
            nn.init.normal_(projection, std=self.head_dim**-0.5)
        nn.init.normal_(self.score, std=self.score.shape[-1] ** -0.5)

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> None:
        """The tanh of a sum is no inner product."""
        return None

    def other_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Compare by a small network."""
        query = query @ self.query_projection.to(query.dtype)
        key = key @ self.key_projection.to(key.dtype)
        hidden = torch.tanh(query.unsqueeze(-2) + key.unsqueeze(-3))
        return torch.einsum("bhnmr,hr->bhnm", hidden, self.score.to(hidden.dtype))


@register_variant("cosine")
class Cosine(_Mixed):
    """``s = (1-a) q·k/√d + a τ cos(q, k)``, τ = exp(t) ≤ 100 learned per head, 10 at the start.

    Liu et al. 2022 (Swin V2), eq. 2.

    Args:
        mix: a at the start; None is 0 for ``init="identity"`` and 1 for ``init="paper"``.
    """

    equation = "s = (1-a)·q·k/√d + a·τ·cos(q,k)"
    source = "Liu et al. 2022 (Swin V2), eq. 2"
    parameters_per_layer = "2h"
    cost = "O(n²d)"
    fused_path = "sdpa on [q, q̂]·[k, k̂], head size 2d"

    def __init__(self, num_heads: int, head_dim: int, mix: float | None = None, init: str = "identity") -> None:
        super().__init__(num_heads, head_dim, mix, init)
        self.log_temperature = nn.Parameter(torch.empty(num_heads, 1, 1))

    def reset_parameters(self) -> None:
        """Start at τ = 10."""
        super().reset_parameters()
        nn.init.constant_(self.log_temperature, math.log(10.0))

    @property
    def temperature(self) -> Tensor:
        """τ, (heads, 1, 1)."""
        return self.log_temperature.clamp(max=math.log(100.0)).exp()

    scores = _Mixed.scores

    def other_scores(self, query: Tensor, key: Tensor) -> Tensor:
        """Compare directions only."""
        return self.temperature * (direction(query) @ direction(key).transpose(-1, -2))

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """Stack the plain and the normalised vectors: one inner product of size 2d gives the mixed score."""
        plain = query * ((1 - self.alpha) * scaling).to(query.dtype)
        turned = direction(query) * (self.alpha * self.temperature).to(query.dtype)
        return torch.cat([plain, turned], -1), torch.cat([key, direction(key)], -1)


def direction(x: Tensor) -> Tensor:
    """Return x / ‖x‖ along the last dimension, in at least fp32 until the end; 0, without gradient, where ‖x‖ < ε.

    Such are the places of a static cache that nothing was written to. ε is 1e-6, in fp16 its smallest normal number.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    short = norm < max(1e-6, torch.finfo(x.dtype).tiny)
    return (wide.masked_fill(short, 0.0) / norm.masked_fill(short, 1.0)).to(x.dtype)
