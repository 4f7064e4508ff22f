"""What an image encoder gives to a pooling head, and the two heads that weigh nothing."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Features(NamedTuple):
    """What an encoder gives for a batch of images.

    Attributes:
        map: the last feature map, (batch, channels, height, width).
        prefix: tokens that stand for no position, (batch, tokens, channels): class token first, then registers.
        stages: the feature maps of the last stages or layers, the last of them ``map``.
    """

    map: Tensor
    prefix: Tensor
    stages: tuple[Tensor, ...]


class Pooling(nn.Module):
    """Global average pooling, ``1/n Σ z_i``, and the base of the heads (Lin et al. 2014, section 3.2).

    Args:
        channels: of the maps in ``Features.stages``; the last is that of the last map.
    """

    name: ClassVar[str] = "mean"
    num_stages: ClassVar[int] = 1
    needs_class_token: ClassVar[bool] = False
    has_weights: ClassVar[bool] = False

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = channels[-1]

    def reset_parameters(self) -> None:
        """Fill the parameters with their start values."""

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """Return the pooled vector, (batch, out_channels), and weights, (batch, queries, height · width), or None."""
        return features.map.mean((-2, -1)), None


class ClassToken(Pooling):
    """The encoder's class token (Dosovitskiy et al. 2021, eq. 4)."""

    name = "cls"
    needs_class_token = True

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """As :class:`Pooling`."""
        return features.prefix[:, 0], None
