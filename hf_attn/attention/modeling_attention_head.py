"""A pretrained image encoder with an attention head: features, pooling, a linear classifier.

``AttentionHeadForImageClassification`` takes any encoder of ``AutoModel`` or ``AutoBackbone``, with an attention
variant or without, and a head of ``pooling.py``. This file and its neighbours are saved beside the weights, so that
``from_pretrained(..., trust_remote_code=True)`` works without the package.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import ImageClassifierOutput

from .backbones import build_encoder, config_of, describe, extract
from .features import Features
from .modeling_cifar_resnet import HfAttnCifarResNetConfig as HfAttnCifarResNetConfig
from .own_variant import SavesOwnVariant
from .pooling import HEADS, head_class, make_head
from .start_values import fill_new_layers


class HfAttnHeadConfig(PreTrainedConfig):
    """An encoder's configuration, whole, and what stands on it.

    Args:
        backbone_config: of the encoder; what ``to_dict`` gives of one is read back.
        head: ``attention``, ``mean``, ``cls``, ``multi_query``, ``jetley``, ``se`` or ``cbam``.
        head_kwargs: options of the head.
        head_dropout: on the pooled vector, in training.
        feature_channels: channels of the maps that the head reads; None is found by running the architecture once.
        prefix_tokens: the encoder's tokens that stand for no position; found with them.
        unused_parameters: the encoder's parameters that features do not depend on, which are not trained; likewise.
    """

    model_type = "hf_attn_head"

    def __init__(
        self,
        backbone_config: PreTrainedConfig | Mapping[str, Any] | None = None,
        head: str = "attention",
        head_kwargs: Mapping[str, Any] | None = None,
        head_dropout: float = 0.0,
        feature_channels: Sequence[int] | None = None,
        prefix_tokens: int = 0,
        unused_parameters: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        if isinstance(backbone_config, Mapping):
            backbone_config = config_of(dict(backbone_config))
        self.backbone_config = backbone_config
        self.head, self.head_kwargs = head, dict(head_kwargs) if head_kwargs else None
        self.head_dropout = head_dropout
        self.feature_channels = None if feature_channels is None else list(feature_channels)
        self.prefix_tokens, self.unused_parameters = prefix_tokens, list(unused_parameters)
        super().__init__(**kwargs)

    @property
    def image_size(self) -> int | list[int] | None:
        """Height and width in pixels that the encoder was made for; None where it takes any."""
        return getattr(self.backbone_config, "image_size", None)

    def complete(self) -> None:
        """Find out what the encoder gives, where that is not known yet.

        Raises:
            ValueError: no encoder, one that takes no images, an unknown head, or one that the encoder cannot feed.
        """
        if self.backbone_config is None:
            raise ValueError("HfAttnHeadConfig has no backbone_config: give it the configuration of an image encoder")
        head = head_class(self.head)
        if self.feature_channels is None:
            found = describe(self.backbone_config, head.num_stages)
            self.feature_channels, self.prefix_tokens, self.unused_parameters = found
        if head.needs_class_token and not self.prefix_tokens:
            others = ", ".join(name for name, cls in HEADS.items() if not cls.needs_class_token)
            raise ValueError(
                f"head {self.head!r}: {self.backbone_config.model_type} has no class token; expected one of {others}"
            )


class NormalizedLinear(nn.Module):
    """``W dropout(layer_norm(x)) + b``; pooled features of different encoders have no common scale."""

    def __init__(self, channels: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, num_labels)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return logits (batch, labels) of pooled vectors (batch, channels)."""
        return self.linear(self.dropout(self.norm(pooled)))


class AttentionHeadForImageClassification(SavesOwnVariant, PreTrainedModel):
    """``classifier(pool(encoder(pixels)))``, a classifier being :class:`NormalizedLinear`.

    Args:
        config: of the encoder and the head.
        backbone: an encoder in hand, of ``config.backbone_config``; None makes a new one.

    Raises:
        ValueError: unknown head or option, or an encoder that the head cannot be put on.
    """

    config_class = HfAttnHeadConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    input_modalities = ["image"]
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: HfAttnHeadConfig, backbone: PreTrainedModel | None = None) -> None:
        config.complete()
        requested = config._attn_implementation
        super().__init__(config)
        if backbone is None:
            if requested is not None:
                config.backbone_config._attn_implementation = requested  # type: ignore[union-attr]
            backbone = build_encoder(config.backbone_config)  # type: ignore[arg-type]
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        self.backbone = backbone
        self.supports_gradient_checkpointing = backbone.supports_gradient_checkpointing
        self._no_split_modules = list(backbone._no_split_modules or ())
        self.pooling = make_head(config.head, config.feature_channels or (), config.head_kwargs)
        self.classifier = NormalizedLinear(self.pooling.out_channels, self.num_labels, config.head_dropout)
        unused = set(config.unused_parameters)
        for name, parameter in backbone.named_parameters():
            if name in unused:
                parameter.requires_grad_(False)
        self.post_init()

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Fill the head, and an attention variant inside the encoder, where they are new; then the rest."""
        fill_new_layers(self)
        super().initialize_weights()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            initialization.normal_(module.weight, std=0.02)
            initialization.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            initialization.ones_(module.weight)
            initialization.zeros_(module.bias)

    def set_attn_implementation(self, attn_implementation: Any, *args: Any, **kwargs: Any) -> None:
        """Change the attention function of the encoder; one with an attention variant refuses."""
        self.backbone.set_attn_implementation(attn_implementation, *args, **kwargs)

    def train(self, mode: bool = True) -> "AttentionHeadForImageClassification":
        """Switch the mode; what is frozen of the encoder stays in evaluation mode.

        An encoder of which nothing is trained runs without dropout, and batch normalisation whose parameters are
        frozen keeps its running statistics.
        """
        super().train(mode)
        if mode and not any(parameter.requires_grad for parameter in self.backbone.parameters()):
            self.backbone.eval()
        elif mode:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    own = list(module.parameters(recurse=False))
                    module.train(not own or any(parameter.requires_grad for parameter in own))
        return self

    def encode(self, pixel_values: Tensor, **kwargs: Any) -> Features:
        """Return what the head reads of images (batch, channels, height, width); see :class:`Features`."""
        return extract(self.backbone, pixel_values, self.pooling.num_stages, **kwargs)[0]

    def classify(self, features: Features) -> Tensor:
        """Return logits (batch, labels) of features."""
        return self.classifier(self.pooling(features)[0])

    def attention_over_positions(self, pixel_values: Tensor) -> Tensor:
        """Return how much each position counts for the pooled vector.

        Args:
            pixel_values: (batch, channels, height, width), normalised.

        Returns:
            (batch, queries, height, width) of the feature map, each query's sum 1. ``attention`` has one query,
            ``multi_query`` several, ``jetley`` one a stage.

        Raises:
            ValueError: the head weighs no positions.
        """
        if not self.pooling.has_weights:
            others = ", ".join(name for name, cls in HEADS.items() if cls.has_weights)
            raise ValueError(f"head {self.config.head!r} gives no weight to positions; these do: {others}")
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                features = self.encode(pixel_values)
                weights = self.pooling(features)[1]
        finally:
            self.train(training)
        sizes = (stage.shape[-2:] for stage in features.stages)
        return weights.unflatten(-1, max(sizes, key=lambda size: size[0] * size[1]))

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutput:
        """Classify images.

        Args:
            pixel_values: (batch, channels, height, width), normalised.
            labels: (batch,) classes, or (batch, labels) for several labels or a regression.
            output_attentions: the encoder's weights, each (batch, heads, queries, keys), where it can give them.
            output_hidden_states: the encoder's hidden states.
            **kwargs: arguments of the encoder.

        Returns:
            ``logits`` (batch, labels), and ``loss``, its mean over the batch, where labels are given.
        """
        asked = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        kwargs |= {key: value for key, value in asked.items() if value is not None}
        features, outputs = extract(self.backbone, pixel_values, self.pooling.num_stages, **kwargs)
        logits = self.classify(features)
        return ImageClassifierOutput(
            loss=None if labels is None else self.loss_function(labels, logits, self.config),
            logits=logits,
            hidden_states=outputs.hidden_states if output_hidden_states else None,
            attentions=getattr(outputs, "attentions", None) if output_attentions else None,
        )


AutoConfig.register(HfAttnHeadConfig.model_type, HfAttnHeadConfig, exist_ok=True)
HfAttnHeadConfig.register_for_auto_class()
AutoModelForImageClassification.register(HfAttnHeadConfig, AttentionHeadForImageClassification, exist_ok=True)
AttentionHeadForImageClassification.register_for_auto_class("AutoModelForImageClassification")
