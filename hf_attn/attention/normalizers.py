"""Variants that turn scores into weights by something else than softmax: sparsemax, entmax15, sigmoid."""

import torch
from torch import Tensor, nn

from .registry import register_variant
from .variant import Variant


def _sorted_support(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores shifted to a maximum of 0 and cut at -2, their descending order, and the ranks 1, 2, ….

    A score 2 or more below the maximum has weight 0 in sparsemax and (scores halved) in 1.5-entmax, so the cut is
    exact; it keeps the huge negative numbers of masked keys out of sums and squares, whose gradients overflow.
    """
    shifted = (scores - scores.amax(-1, keepdim=True).detach()).clamp_min(-2.0)
    ordered = shifted.sort(dim=-1, descending=True).values
    ranks = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    return shifted, ordered, ranks


def sparsemax(scores: Tensor) -> Tensor:
    """Project scores (…, keys) on the simplex: ``[s - τ]₊`` with sum 1 (Martins and Astudillo 2016, algorithm 1)."""
    shifted, ordered, ranks = _sorted_support(scores)
    partial = ordered.cumsum(-1) - 1
    size = (ranks * ordered > partial).sum(-1, keepdim=True).clamp_min(1)
    threshold = partial.gather(-1, size - 1) / size.to(scores.dtype)
    return (shifted - threshold).clamp_min(0)


def entmax15(scores: Tensor) -> Tensor:
    """1.5-entmax of scores (…, keys): ``[s/2 - τ]₊²`` with sum 1 (Peters et al. 2019, algorithm 2)."""
    shifted, ordered, ranks = _sorted_support(scores / 2)
    mean = ordered.cumsum(-1) / ranks
    spread = ranks * (ordered.square().cumsum(-1) / ranks - mean.square())
    # The floor keeps the square root's derivative finite where the discriminant vanishes.
    threshold = mean - ((1 - spread) / ranks).clamp_min(1e-12).sqrt()
    size = (threshold <= ordered).sum(-1, keepdim=True).clamp_min(1)
    return (shifted - threshold.gather(-1, size - 1)).clamp_min(0).square()


class Blend(Variant):
    """``p ← p + β (p' - p)``: weights p' of another mechanism, pure or blended in by a learned β per head.

    Args:
        mix: None: p' alone, no parameter. A number: β is learned and starts there; 0 is the pretrained model.
        init: ``"paper"`` is p' alone; ``"identity"`` is the same as ``mix=0``.
    """

    identity = False
    fused_path = "no"
    parameters_per_layer = "0; h with mix"

    def __init__(self, num_heads: int, head_dim: int, mix: float | None = None, init: str = "paper") -> None:
        super().__init__(num_heads, head_dim, init)
        self.mix_start = 0.0 if mix is None and init == "identity" else mix
        if self.mix_start is None:
            self.register_parameter("beta", None)
        else:
            self.beta = nn.Parameter(torch.empty(num_heads, 1, 1))

    def reset_parameters(self) -> None:
        """Start at the given blend."""
        if self.beta is not None:
            nn.init.constant_(self.beta, self.mix_start or 0.0)

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> tuple[Tensor, Tensor] | None:
        """The kernel's normaliser is softmax."""
        return None

    def blended(self, softmax: Tensor, other: Tensor) -> Tensor:
        """Blend two contexts or two weights."""
        return softmax + self.beta * (other - softmax)


class _Normalizer(Blend):
    """A blend whose p' is another function of the scores."""

    def normalize(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Blend softmax with :meth:`other_weights`."""
        other = self.other_weights(scores, keep)
        return other if self.beta is None else self.blended(scores.softmax(-1), other)

    def other_weights(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Return p', (batch, heads, queries, keys)."""
        raise NotImplementedError


@register_variant("sparsemax")
class Sparsemax(_Normalizer):
    """``p = [s - τ]₊``, the projection on the simplex: most weights are 0 (Martins and Astudillo 2016, eq. 1)."""

    equation = "p = [s-τ]₊, Σp = 1"
    source = "Martins & Astudillo 2016, eq. 1"
    cost = "O(n²(d+log n))"
    sparse = True

    def other_weights(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Project on the simplex."""
        return sparsemax(scores)


@register_variant("entmax15")
class Entmax15(_Normalizer):
    """``p = [s/2 - τ]₊²``: between softmax and sparsemax (Peters et al. 2019, eq. 10 with α = 1.5)."""

    equation = "p = [s/2-τ]₊², Σp = 1"
    source = "Peters et al. 2019, eq. 10, α = 1.5"
    cost = "O(n²(d+log n))"
    sparse = True

    def other_weights(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Map by 1.5-entmax."""
        return entmax15(scores)


@register_variant("sigmoid")
class Sigmoid(_Normalizer):
    """``p = σ(s - log m)``, m the number of keys that may be attended to; rows need not sum to 1.

    Ramapuram et al. 2024, section 3, with their bias b = -log n.
    """

    equation = "p = σ(s - log n)"
    source = "Ramapuram et al. 2024, section 3"
    cost = "O(n²d)"
    normalized = False

    def other_weights(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Decide about each key by itself."""
        if keep is None:
            keep = torch.ones(1, 1, 1, scores.shape[-1], dtype=torch.bool, device=scores.device)
        keys = keep.sum(-1, keepdim=True).clamp_min(1).to(scores.dtype)
        return torch.sigmoid(scores - keys.log())
