"""Attention layers for feature maps: gates (see vision_gates.py), non-local and dual attention, and their names.

Each takes and gives (batch, channels, height, width) and starts as the identity unless ``init="paper"`` says otherwise:
gates are 2σ(0) = 1, sums have a factor of 0.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layer_options import check_options
from .vision_gates import CBAM, EfficientChannelAttention, SqueezeExcitation, VisionLayer


def places_first(x: Tensor) -> Tensor:
    """Return maps (batch, channels, height, width) as (batch, height · width, channels)."""
    return x.flatten(2).mT


class NonLocal(VisionLayer):
    """Add to each place what it reads from all: ``x + W_z softmax(θ(x)ᵀ φ(x)) g(x)``, 1·1 convolutions.

    Wang et al. 2018, eq. 1, 4 and 6, embedded Gaussian, without scaling of the scores and without batch norm. W_z = 0
    at the start, which is the identity: the paper's own start, so that ``init`` changes nothing.

    Args:
        channels: C.
        reduction: θ, φ and g have C/reduction channels, at least 1.
        init: either.
    """

    def __init__(self, channels: int, reduction: int = 2, init: str = "identity") -> None:
        super().__init__(channels, init, reduction=reduction)
        inner = max(1, channels // reduction)
        self.theta, self.phi, self.g = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        self.output = nn.Conv2d(inner, channels, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with W_z = 0."""
        for projection in (self.theta, self.phi, self.g):
            projection.reset_parameters()
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)

    def weights(self, x: Tensor) -> Tensor:
        """Return where each place reads, (batch, places, places), a place being row · width + column."""
        return (places_first(self.theta(x)) @ places_first(self.phi(x)).mT).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what each place reads, by torch's fused kernel."""
        query, key, value = (places_first(project(x))[:, None] for project in (self.theta, self.phi, self.g))
        read = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
        return x + self.output(read.mT.unflatten(-1, x.shape[2:]))


class DualAttention(VisionLayer):
    """Add what each place reads from all places, and each channel from all channels: ``x + α P(x) + β Q(x)``.

    Fu et al. 2019 (DANet), eq. 1-4: P = softmax(B(x)ᵀ C(x)) D(x) with 1·1 convolutions, Q = softmax(X Xᵀ) X over the
    channels, scores without scaling. α = β = 0 at the start, which is the identity: the paper's own start, so that
    ``init`` changes nothing. Not as in the paper: one sum in place of two branches that each add x and are convolved
    before and after, which would be no identity; Q subtracts nothing from its scores, as the equation has it.

    Args:
        channels: C.
        reduction: B and C have C/reduction channels, at least 1.
        init: either.
    """

    def __init__(self, channels: int, reduction: int = 8, init: str = "identity") -> None:
        super().__init__(channels, init, reduction=reduction)
        inner = max(1, channels // reduction)
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.empty(1))
        self.beta = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with α = β = 0."""
        for projection in (self.query, self.key, self.value):
            projection.reset_parameters()
        nn.init.zeros_(self.alpha)
        nn.init.zeros_(self.beta)

    def position_weights(self, x: Tensor) -> Tensor:
        """Return where each place reads, (batch, places, places), a place being row · width + column."""
        return (places_first(self.query(x)) @ places_first(self.key(x)).mT).softmax(-1)

    def channel_weights(self, x: Tensor) -> Tensor:
        """Return where each channel reads, (batch, channels, channels)."""
        flat = x.flatten(2)
        return (flat @ flat.mT).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what places and channels read."""
        places = (self.position_weights(x) @ places_first(self.value(x))).mT
        channels = self.channel_weights(x) @ x.flatten(2)
        return x + (self.alpha * places + self.beta * channels).unflatten(-1, x.shape[2:])


LAYERS: dict[str, type[VisionLayer]] = {
    "se": SqueezeExcitation,
    "eca": EfficientChannelAttention,
    "cbam": CBAM,
    "non_local": NonLocal,
    "dual": DualAttention,
}


def make_layer(name: str, channels: int, **options: Any) -> VisionLayer:
    """Build an attention layer for feature maps.

    Args:
        name: a key of ``LAYERS``.
        channels: channels of the feature maps.
        **options: of the layer, such as ``reduction`` or ``init``.

    Raises:
        ValueError: unknown name, or an option that the layer does not have or take.
    """
    if name not in LAYERS:
        raise ValueError(f"unknown attention layer {name!r}: expected one of {', '.join(LAYERS)}")
    check_options(f"attention layer {name!r}", LAYERS[name], options)
    return LAYERS[name](channels, **options)
