"""Pooling heads: from the features of an image to one vector, and how much each position counts for it.

Notation: z_i is the feature at position i of n = height · width, a vector of ``channels``; a_i is its weight, ≥ 0, and
the weights sum to 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .features import ClassToken, Features, Pooling
from .layer_options import check_options
from .vision import make_layer


class AttentionPooling(Pooling):
    """``a = softmax_i(wᵀ tanh(V z_i + b))``, ``Σ a_i z_i`` (Ilse et al. 2018, eq. 7 and 8; b added here).

    With ``gated``, ``a = softmax_i(wᵀ (tanh(V z_i + b) ⊙ σ(U z_i + c)))`` (eq. 9). The score is that of Bahdanau et al.
    2015 without a decoder state. w = 0 at the start: global average pooling.

    Args:
        channels: as of :class:`Pooling`.
        attention_dim: rows of V.
        gated: whether to use the gate.
    """

    name = "attention"
    has_weights = True

    def __init__(self, channels: Sequence[int], attention_dim: int = 128, gated: bool = False) -> None:
        super().__init__(channels)
        if attention_dim < 1:
            raise ValueError(f"attention_dim={attention_dim}: expected at least 1")
        self.hidden = nn.Linear(channels[-1], attention_dim)
        self.gate = nn.Linear(channels[-1], attention_dim) if gated else None
        self.score = nn.Linear(attention_dim, 1, bias=False)

    def reset_parameters(self) -> None:
        """Xavier for V and U, zero for w."""
        _xavier(self.hidden, self.gate)
        nn.init.zeros_(self.score.weight)

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """As :class:`Pooling`; one query."""
        positions = features.map.flatten(2).transpose(1, 2)
        hidden = self.hidden(positions).tanh()
        if self.gate is not None:
            hidden = hidden * self.gate(positions).sigmoid()
        weights = _softmax(self.score(hidden).transpose(1, 2))
        return (weights @ positions)[:, 0], weights


class MultiQueryPooling(Pooling):
    """``softmax(S (Z W_k)ᵀ / √d) Z W_v`` a head, with k learned queries S; the k results, times W_o, side by side.

    The attention inside of pooling by multi-head attention (Lee et al. 2019, section 3.2; the pooling head of SigLIP
    has k = 1), without the residual and the feed-forward layer that follow there. The returned weights are means
    over heads.

    Args:
        channels: as of :class:`Pooling`.
        num_queries: k.
        num_heads: heads; divides the channels.
    """

    name = "multi_query"
    has_weights = True

    def __init__(self, channels: Sequence[int], num_queries: int = 4, num_heads: int = 4) -> None:
        super().__init__(channels)
        width = channels[-1]
        if num_queries < 1 or num_heads < 1 or width % num_heads:
            raise ValueError(
                f"num_queries={num_queries}, num_heads={num_heads}: expected at least 1 of each, and heads that divide "
                f"the {width} channels"
            )
        self.num_heads, self.out_channels = num_heads, num_queries * width
        self.queries = nn.Parameter(torch.empty(num_queries, width))
        self.to_key, self.to_value, self.to_output = (nn.Linear(width, width) for _ in range(3))

    def reset_parameters(self) -> None:
        """Small queries, which attend almost evenly; Xavier for the rest."""
        nn.init.normal_(self.queries, std=0.02)
        _xavier(self.to_key, self.to_value, self.to_output)

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """As :class:`Pooling`; ``num_queries`` queries."""
        positions = features.map.flatten(2).transpose(1, 2)
        query, key, value = (
            _heads(x, self.num_heads) for x in (self.queries[None], self.to_key(positions), self.to_value(positions))
        )
        weights = _softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5)
        context = (weights @ value).transpose(1, 2).flatten(2)
        return self.to_output(context).flatten(1), weights.mean(1)


class JetleyPooling(Pooling):
    """``a^s = softmax_i(u_sᵀ (l_i^s + g))``, ``Σ_i a_i^s l_i^s`` of several stages s side by side.

    Jetley et al. 2018 ("Learn to pay attention"), section 3.2, parametrised compatibility. g is the class token, or the
    mean of the last map where there is none; l^s are the features of a stage, layer-normalised here because the hidden
    states of pretrained encoders have no common scale, and mapped to the size of g. u = 0 at the start: averages.

    Args:
        channels: as of :class:`Pooling`, one a stage.
    """

    name = "jetley"
    num_stages = 3
    has_weights = True

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__(channels)
        width = channels[-1]
        self.out_channels = width * len(channels)
        self.local = nn.ModuleList(nn.Linear(size, width) for size in channels)
        self.compatibility = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in channels)

    def reset_parameters(self) -> None:
        """Xavier for the maps to the size of g, zero for u."""
        _xavier(*self.local)
        for layer in self.compatibility:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """As :class:`Pooling`; one query a stage, all at the resolution of the finest stage."""
        token = features.prefix[:, 0] if features.prefix.shape[1] else features.map.mean((-2, -1))
        size = max((stage.shape[-2:] for stage in features.stages), key=lambda s: s[0] * s[1])
        pooled, maps = [], []
        for stage, local, compatibility in zip(features.stages, self.local, self.compatibility, strict=True):
            positions = stage.flatten(2).transpose(1, 2)
            positions = local(F.layer_norm(positions, positions.shape[-1:]))
            weights = _softmax(compatibility(positions + token[:, None]).transpose(1, 2))
            pooled.append((weights @ positions)[:, 0])
            finest = F.interpolate(weights.unflatten(-1, stage.shape[-2:]), size, mode="nearest").flatten(2)
            maps.append(finest / finest.sum(-1, keepdim=True))
        return torch.cat(pooled, -1), torch.cat(maps, 1)


class GatedAverage(Pooling):
    """Global average pooling of a map that a layer of ``vision.py`` has weighed: ``1/n Σ A(z)_i``.

    Args:
        channels: as of :class:`Pooling`.
        **options: of the layer.
    """

    layer_name: ClassVar[str]

    def __init__(self, channels: Sequence[int], **options: Any) -> None:
        super().__init__(channels)
        self.layer = make_layer(self.layer_name, channels[-1], **options)

    def reset_parameters(self) -> None:
        """As the layer's own."""
        self.layer.reset_parameters()

    def forward(self, features: Features) -> tuple[Tensor, Tensor | None]:
        """As :class:`Pooling`."""
        return self.layer(features.map).mean((-2, -1)), None


class SqueezeExcitationAverage(GatedAverage):
    """Squeeze-and-excitation on the map, then global average pooling (Hu et al. 2018)."""

    name = layer_name = "se"


class CBAMAverage(GatedAverage):
    """Channel and spatial attention on the map, then global average pooling (Woo et al. 2018)."""

    name = layer_name = "cbam"


HEADS: dict[str, type[Pooling]] = {
    cls.name: cls
    for cls in (
        AttentionPooling,
        Pooling,
        ClassToken,
        MultiQueryPooling,
        JetleyPooling,
        SqueezeExcitationAverage,
        CBAMAverage,
    )
}


def head_class(name: str) -> type[Pooling]:
    """Return the class of a head.

    Raises:
        ValueError: there is no head of that name.
    """
    if name not in HEADS:
        raise ValueError(f"head {name!r}: expected one of {', '.join(HEADS)}")
    return HEADS[name]


def make_head(name: str, channels: Sequence[int], options: Mapping[str, Any] | None = None) -> Pooling:
    """Build a head.

    Raises:
        ValueError: unknown head, unknown option, or an option that does not fit.
    """
    cls, options = head_class(name), dict(options or {})
    if not issubclass(cls, GatedAverage):  # whose options are its layer's, which checks them
        check_options(f"head {name!r}", cls, options)
    return cls(channels, **options)


def _xavier(*layers: nn.Linear | None) -> None:
    for layer in layers:
        if layer is not None:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def _softmax(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(-1).to(scores.dtype)


def _heads(tensor: Tensor, heads: int) -> Tensor:
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)
