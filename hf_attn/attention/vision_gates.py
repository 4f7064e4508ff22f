"""Gates on feature maps: squeeze-and-excitation, ECA, CBAM; and what all layers on feature maps share.

Each takes and gives (batch, channels, height, width). With ``init="identity"`` a layer changes nothing at the start, so
that it can be put between the layers of a pretrained network: its gate is 2σ(z) with z = 0, which is 1.
``init="paper"`` starts as published. Parameters are filled in ``reset_parameters``, with ``nn.init`` functions only.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INITS = ("identity", "paper")
# With one or two units of relu, all may be 0 for every image, and the gate would never learn.
FEWEST_HIDDEN = 8


def start_random(weight: Tensor) -> None:
    """Start a weight (out, …) at random, as torch's linear and convolution layers do."""
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))


def adaptive_kernel_size(channels: int, gamma: float = 2.0, b: float = 1.0) -> int:
    """Return ECA-Net's kernel for a number of channels: ``(log₂C + b)/γ``, cut to a whole number and made odd."""
    size = int(abs((math.log2(max(channels, 1)) + b) / gamma))
    return size if size % 2 else size + 1


class VisionLayer(nn.Module):
    """What the layers share: their channels and how they start.

    Args:
        channels: C, the channels of the feature maps.
        init: ``"identity"`` or ``"paper"``.

    Raises:
        ValueError: a size below 1, an even kernel, or an unknown ``init``.
    """

    def __init__(self, channels: int, init: str, **sizes: int) -> None:
        super().__init__()
        given = {"channels": channels, **sizes}
        wrong = [f"{name}={size!r}: expected 1 or more" for name, size in given.items() if size < 1]
        if sizes.get("kernel_size", 1) % 2 == 0:
            wrong.append(f"kernel_size={sizes['kernel_size']!r}: expected an odd number")
        if init not in INITS:
            wrong.append(f"init={init!r}: expected one of {', '.join(INITS)}")
        if wrong:
            raise ValueError("; ".join(wrong))
        self.channels, self.init = channels, init

    def reset_parameters(self) -> None:
        """Fill the parameters with their start values."""
        raise NotImplementedError

    def start_last(self, *weights: Tensor) -> None:
        """Start the layers that feed a gate: at 0, or at random as in the paper."""
        for weight in weights:
            nn.init.zeros_(weight) if self.init == "identity" else start_random(weight)

    def opened(self, logits: Tensor) -> Tensor:
        """Return the gate: 2σ(z), which starts at 1, or the paper's σ(z)."""
        return torch.sigmoid(logits) * (2 if self.init == "identity" else 1)

    def extra_repr(self) -> str:
        """Show the channels and the start."""
        return f"{self.channels}, init={self.init}"


class SqueezeExcitation(VisionLayer):
    """Scale each channel by a gate that sees the means of all: ``x · σ(W₂ relu(W₁ mean(x)))``.

    Hu et al. 2018, eq. 2-4, without biases. Identity start: 2σ in place of σ and W₂ = 0, a gate of 1.

    Args:
        channels: C.
        reduction: r; the gate has C/r hidden units, at least 8.
        init: ``"identity"``, or ``"paper"``: σ and a random W₂.
    """

    def __init__(self, channels: int, reduction: int = 16, init: str = "identity") -> None:
        super().__init__(channels, init, reduction=reduction)
        hidden = max(FEWEST_HIDDEN, channels // reduction)
        self.squeeze = nn.Parameter(torch.empty(hidden, channels))
        self.excite = nn.Parameter(torch.empty(channels, hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with a gate of 1, or at random."""
        start_random(self.squeeze)
        self.start_last(self.excite)

    def gate(self, x: Tensor) -> Tensor:
        """Return the factor of each channel, (batch, channels, 1, 1)."""
        hidden = F.linear(x.mean((2, 3)), self.squeeze).relu()
        return self.opened(F.linear(hidden, self.excite))[..., None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        return x * self.gate(x)


class EfficientChannelAttention(VisionLayer):
    """Scale each channel by a gate that sees the means of its neighbours: ``x · σ(conv_k(mean(x)))`` along channels.

    Wang et al. 2020 (ECA-Net), eq. 9 and 12: k is the odd number next to (log₂C + b)/γ, b = 1, γ = 2. Identity start:
    2σ in place of σ and a kernel of 0, a gate of 1.

    Args:
        channels: C.
        kernel_size: k, odd; None is the paper's choice.
        init: ``"identity"``, or ``"paper"``: σ and a random kernel.
    """

    def __init__(self, channels: int, kernel_size: int | None = None, init: str = "identity") -> None:
        chosen = adaptive_kernel_size(channels) if kernel_size is None else kernel_size
        super().__init__(channels, init, kernel_size=chosen)
        self.kernel = nn.Parameter(torch.empty(1, 1, chosen))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with a gate of 1, or at random."""
        self.start_last(self.kernel)

    def gate(self, x: Tensor) -> Tensor:
        """Return the factor of each channel, (batch, channels, 1, 1)."""
        logits = F.conv1d(x.mean((2, 3))[:, None], self.kernel, padding=self.kernel.shape[-1] // 2)
        return self.opened(logits)[:, 0, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        return x * self.gate(x)


class CBAM(VisionLayer):
    """Scale the channels, then the places: ``y = x · σ(f(mean x) + f(max x))``, ``y · σ(conv([mean_c y, max_c y]))``.

    Woo et al. 2018, eq. 1-3, f = W₂ relu(W₁ ·) without biases, no batch norm after the convolution. Identity start: 2σ
    in place of σ, W₂ = 0 and a kernel of 0: both gates are 1.

    Args:
        channels: C.
        reduction: r; f has C/r hidden units, at least 8.
        kernel_size: side of the convolution, odd.
        init: ``"identity"``, or ``"paper"``: σ and random last layers.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7, init: str = "identity") -> None:
        super().__init__(channels, init, reduction=reduction, kernel_size=kernel_size)
        hidden = max(FEWEST_HIDDEN, channels // reduction)
        self.squeeze = nn.Parameter(torch.empty(hidden, channels))
        self.excite = nn.Parameter(torch.empty(channels, hidden))
        self.kernel = nn.Parameter(torch.empty(1, 2, kernel_size, kernel_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with gates of 1, or at random."""
        start_random(self.squeeze)
        self.start_last(self.excite, self.kernel)

    def channel_gate(self, x: Tensor) -> Tensor:
        """Return the factor of each channel, (batch, channels, 1, 1)."""
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))])
        logits = F.linear(F.linear(pooled, self.squeeze).relu(), self.excite).sum(0)
        return self.opened(logits)[..., None, None]

    def spatial_gate(self, x: Tensor) -> Tensor:
        """Return the factor of each place of channel-scaled maps, (batch, 1, height, width)."""
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.opened(F.conv2d(pooled, self.kernel, padding=self.kernel.shape[-1] // 2))

    def gate(self, x: Tensor) -> Tensor:
        """Return the factor of each element, both gates together, (batch, channels, height, width)."""
        channel = self.channel_gate(x)
        return channel * self.spatial_gate(x * channel)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels, then the places."""
        x = x * self.channel_gate(x)
        return x * self.spatial_gate(x)
