"""Residual networks for 32-pixel images, with an attention layer in each block where one is asked for.

A residual network of depth 6n + 2 has a 3 × 3 convolution and three stages of n blocks, on maps of 32, 16 and 8
pixels with 16, 32 and 64 channels (He et al. 2016, section 4.2). This file and its neighbours are saved beside the
weights, so that ``from_pretrained(..., trust_remote_code=True)`` works without the package.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    PreTrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutputWithNoAttention,
)

from .start_values import fill_new_layers
from .vision import make_layer


class HfAttnCifarResNetConfig(PreTrainedConfig):
    """Shape of a residual network for small images.

    Args:
        num_blocks: n, blocks a stage; 3, 5, 7 and 9 are ResNet-20, -32, -44 and -56.
        hidden_sizes: channels of the stages; each stage after the first halves height and width.
        num_channels: channels of an image.
        image_size: height and width in pixels for which the network was trained; it takes any.
        channel_attention: layer in each block, ``se``, ``eca``, ``cbam``, ``non_local`` or ``dual``; None is none.
        channel_attention_kwargs: options of that layer.
    """

    model_type = "hf_attn_cifar_resnet"

    def __init__(
        self,
        num_blocks: int = 3,
        hidden_sizes: Sequence[int] = (16, 32, 64),
        num_channels: int = 3,
        image_size: int = 32,
        channel_attention: str | None = None,
        channel_attention_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_blocks, self.hidden_sizes = num_blocks, list(hidden_sizes)
        self.num_channels, self.image_size = num_channels, image_size
        self.channel_attention = channel_attention
        self.channel_attention_kwargs = dict(channel_attention_kwargs) if channel_attention_kwargs else None
        super().__init__(**kwargs)


class CifarResNetBlock(nn.Module):
    """``relu(A(bn(conv(relu(bn(conv(x)))))) + shortcut(x))``; the attention layer A is the identity where none is set.

    A stands at the end of the residual branch, before the sum, as in Hu et al. 2018, figure 3. The shortcut has no
    parameters: every ``stride``-th pixel, and zeros for the channels that are new (He et al. 2016, option A).
    """

    def __init__(self, config: HfAttnCifarResNetConfig, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, out_channels - channels
        self.convolution1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.normalization1 = nn.BatchNorm2d(out_channels)
        self.convolution2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.normalization2 = nn.BatchNorm2d(out_channels)
        self.hf_attn: nn.Module | None = None
        if config.channel_attention is not None:
            self.hf_attn = make_layer(config.channel_attention, out_channels, **(config.channel_attention_kwargs or {}))

    def forward(self, hidden_state: Tensor) -> Tensor:
        """Return (batch, out_channels, height / stride, width / stride)."""
        residual = F.relu(self.normalization1(self.convolution1(hidden_state)))
        residual = self.normalization2(self.convolution2(residual))
        if self.hf_attn is not None:
            residual = self.hf_attn(residual)
        return F.relu(residual + self.shortcut(hidden_state))

    def shortcut(self, hidden_state: Tensor) -> Tensor:
        """Return what is added to the residual branch, in its shape."""
        before = self.new_channels // 2
        kept = hidden_state[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, before, self.new_channels - before)) if self.new_channels else kept


class CifarResNetPreTrainedModel(PreTrainedModel):
    """What the encoder and the classifier share."""

    config_class = HfAttnCifarResNetConfig
    base_model_prefix = "resnet"
    main_input_name = "pixel_values"
    input_modalities = ["image"]
    _no_split_modules = ["CifarResNetBlock"]
    accepts_loss_kwargs = False

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Fill attention layers that are new, then the rest."""
        fill_new_layers(self)
        super().initialize_weights()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He et al. 2015 for convolutions and the classifier, as the source of the pretrained weights had it."""
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            initialization.kaiming_normal_(module.weight)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            initialization.ones_(module.weight)
            initialization.zeros_(module.bias)
            initialization.zeros_(module.running_mean)  # type: ignore[arg-type]
            initialization.ones_(module.running_var)  # type: ignore[arg-type]
            initialization.zeros_(module.num_batches_tracked)  # type: ignore[arg-type]


class CifarResNetModel(CifarResNetPreTrainedModel):
    """The network without its classifier."""

    def __init__(self, config: HfAttnCifarResNetConfig) -> None:
        super().__init__(config)
        channels = config.hidden_sizes[0]
        self.convolution = nn.Conv2d(config.num_channels, channels, 3, 1, 1, bias=False)
        self.normalization = nn.BatchNorm2d(channels)
        self.stages = nn.ModuleList()
        for stage, size in enumerate(config.hidden_sizes):
            blocks = []
            for block in range(config.num_blocks):
                blocks.append(CifarResNetBlock(config, channels, size, 2 if stage and not block else 1))
                channels = size
            self.stages.append(nn.Sequential(*blocks))
        self.post_init()

    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        """Encode images.

        Args:
            pixel_values: (batch, channels, height, width), normalised.
            output_hidden_states: whether to return the maps after the first convolution and after each stage.

        Returns:
            ``last_hidden_state`` (batch, channels, height / 4, width / 4) and its mean over positions,
            ``pooler_output`` (batch, channels).
        """
        hidden_state = F.relu(self.normalization(self.convolution(pixel_values)))
        hidden_states = [hidden_state]
        for stage in self.stages:
            hidden_state = stage(hidden_state)
            hidden_states.append(hidden_state)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden_state,
            pooler_output=hidden_state.mean((-2, -1)),
            hidden_states=tuple(hidden_states) if wanted else None,
        )


class CifarResNetForImageClassification(CifarResNetPreTrainedModel):
    """Global average pooling and a linear classifier on the network."""

    def __init__(self, config: HfAttnCifarResNetConfig) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        self.resnet = CifarResNetModel(config)
        self.classifier = nn.Linear(config.hidden_sizes[-1], self.num_labels)
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> ImageClassifierOutputWithNoAttention:
        """Classify images.

        Args:
            pixel_values: (batch, channels, height, width), normalised.
            labels: (batch,) classes, or (batch, labels) for several labels or a regression.
            output_hidden_states: as of :class:`CifarResNetModel`.

        Returns:
            ``logits`` (batch, labels), and ``loss``, its mean over the batch, where labels are given.
        """
        outputs = self.resnet(pixel_values, output_hidden_states=output_hidden_states)
        logits = self.classifier(outputs.pooler_output)
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


AutoConfig.register(HfAttnCifarResNetConfig.model_type, HfAttnCifarResNetConfig, exist_ok=True)
HfAttnCifarResNetConfig.register_for_auto_class()
for auto_class, model_class in (
    (AutoModel, CifarResNetModel),
    (AutoModelForImageClassification, CifarResNetForImageClassification),
):
    auto_class.register(HfAttnCifarResNetConfig, model_class, exist_ok=True)
    model_class.register_for_auto_class(auto_class.__name__)
