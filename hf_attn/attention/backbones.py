"""Feature maps of any image encoder of transformers, whatever shape its last hidden state has.

An encoder gives a map (batch, channels, height, width), or tokens (batch, tokens, channels) of a grid of patches with
class and register tokens before them, or the same without. A backbone class gives ``feature_maps``.
"""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoBackbone, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .features import Features
from .modeling_hf_attn import PREFIX, config_class_for

UNKNOWN_SIZE = 64  # pixels; of an encoder whose configuration names no image size


def config_of(fields: dict[str, Any]) -> PreTrainedConfig:
    """Return the configuration that ``to_dict`` wrote, of an architecture with or without an attention variant.

    Raises:
        ValueError: transformers does not know its ``model_type``.
    """
    model_type = str(fields.get("model_type", ""))
    if model_type.startswith(PREFIX) and model_type.removeprefix(PREFIX) in CONFIG_MAPPING:
        return config_class_for(CONFIG_MAPPING[model_type.removeprefix(PREFIX)]).from_dict(fields)
    try:
        return CONFIG_MAPPING[model_type].from_dict(fields)
    except KeyError:
        raise ValueError(f"backbone {model_type!r}: this transformers knows no such model type") from None


def encoder_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """Return the class of the encoder that a configuration belongs to: that of ``AutoModel``, else of ``AutoBackbone``.

    Raises:
        ValueError: there is none.
    """
    for auto_class in (AutoModel, AutoBackbone):
        found: Any = auto_class._model_mapping.get(type(config), None)
        if found is not None:
            return found[0] if isinstance(found, (list, tuple)) else found
    raise ValueError(f"backbone {config.model_type!r}: transformers has no encoder for it")


def encoder_options(cls: type[PreTrainedModel], config: PreTrainedConfig) -> dict[str, Any]:
    """Return the arguments that make an encoder without its pooling layer, which a head replaces."""
    for pools in ("vision_use_head", "do_pooling"):
        if hasattr(config, pools):
            setattr(config, pools, False)
    accepts = (inspect.signature(vars(base)["__init__"]).parameters for base in cls.__mro__ if "__init__" in vars(base))
    return {"add_pooling_layer": False} if any("add_pooling_layer" in names for names in accepts) else {}


def build_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a new encoder, without its pooling layer.

    Raises:
        ValueError: there is none for this configuration, or the library that it runs on is not installed.
    """
    cls = encoder_class(config)
    try:
        return without_classifier(cls(config, **encoder_options(cls, config)))
    except ImportError as error:
        raise ValueError(f"backbone {config.model_type!r}: {' '.join(str(error).split())[:200]}") from error


def without_classifier(encoder: PreTrainedModel) -> PreTrainedModel:
    """Take out, in place, what timm's VGG keeps before its classifier: nine tenths of its parameters."""
    inner = getattr(encoder, "timm_model", None)
    if hasattr(inner, "pre_logits"):
        inner.pre_logits = nn.Identity()  # type: ignore[union-attr]
    return encoder


def extract(encoder: nn.Module, pixel_values: Tensor, num_stages: int = 1, **kwargs: Any) -> tuple[Features, Any]:
    """Run an encoder.

    Args:
        encoder: of ``AutoModel`` or ``AutoBackbone``.
        pixel_values: (batch, channels, height, width), normalised.
        num_stages: how many maps ``Features.stages`` has.
        **kwargs: arguments of the encoder.

    Returns:
        The features, and the encoder's own output.

    Raises:
        ValueError: the tokens cannot be laid out on a grid, or there are fewer stages.
    """
    if num_stages > 1:
        kwargs["output_hidden_states"] = True
    outputs = encoder(pixel_values, **kwargs)
    to_map = functools.partial(as_map, encoder=encoder, size=pixel_values.shape[-2:])
    maps = getattr(outputs, "feature_maps", None)
    if maps is None:
        last, prefix = to_map(_channels_first(encoder, outputs.last_hidden_state))
        earlier = _hidden_maps(outputs)[-num_stages:-1] if num_stages > 1 else []
        maps = [*(to_map(stage)[0] for stage in earlier), last]
    else:
        prefix = maps[-1].new_zeros(len(pixel_values), 0, maps[-1].shape[1])
    if len(maps) < num_stages:
        raise ValueError(f"{type(encoder).__name__} gives {len(maps)} feature maps, the head needs {num_stages}")
    return Features(maps[-1], prefix, tuple(maps[-num_stages:])), outputs


def _channels_first(encoder: nn.Module, hidden_state: Tensor) -> Tensor:
    """Return a last hidden state with its channels first where timm says that they come last, as in its Swin."""
    last = getattr(getattr(encoder, "timm_model", None), "output_fmt", None) == "NHWC"
    return hidden_state.movedim(-1, 1) if last else hidden_state


def _hidden_maps(outputs: Any) -> list[Tensor]:
    """Return the hidden states, laid out already where the encoder does that: channels first, or last in Hiera."""
    tokens = outputs.hidden_states or ()
    maps = getattr(outputs, "reshaped_hidden_states", None)
    if maps is None:
        return list(tokens)
    return [m if m.shape[1] == t.shape[-1] else m.movedim(-1, 1) for m, t in zip(maps, tokens, strict=True)]


def as_map(hidden_state: Tensor, encoder: nn.Module, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Lay a hidden state out as a map.

    Args:
        hidden_state: (batch, tokens, channels), or a map already.
        encoder: what gave it.
        size: height and width of the image in pixels.

    Returns:
        The map, (batch, channels, height, width), and the tokens before it, (batch, tokens, channels).

    Raises:
        ValueError: no grid of this image has so many positions.
    """
    if hidden_state.dim() == 4:
        return hidden_state, hidden_state.new_zeros(len(hidden_state), 0, hidden_state.shape[1])
    tokens = hidden_state.shape[1]
    timm = getattr(encoder, "timm_model", None)
    grid = grid_of(encoder.config, tokens, size) if timm is None else grid_of_timm(timm, tokens, size)
    if grid is None:
        raise ValueError(
            f"{type(encoder).__name__} gives {tokens} tokens for an image of {size[0]} × {size[1]} pixels, which are "
            "no grid of patches: a head cannot be put on it"
        )
    prefix, patches = hidden_state.split([tokens - grid[0] * grid[1], grid[0] * grid[1]], 1)
    return patches.transpose(1, 2).unflatten(2, grid), prefix


def grid_of(config: Any, tokens: int, size: Sequence[int]) -> tuple[int, int] | None:
    """Return rows and columns of the patches that the last of ``tokens`` tokens stand for; None if nothing fits.

    An encoder of one resolution has one token a patch; what is left are class and register tokens. One of several
    stages halves the grid, rounding up, and has one more token at most.

    Args:
        config: the encoder's.
        tokens: what it gives.
        size: height and width of the image in pixels.
    """
    patch, staged = getattr(config, "patch_size", None), hasattr(config, "depths")
    height, width = (patch, patch) if isinstance(patch, int) else (patch or (0, 0))[:2]
    if not staged:
        rows, columns = (size[0] // height, size[1] // width) if height and width else (0, 0)
        return (rows, columns) if 0 < rows * columns <= tokens else None
    height, width = height or 4, width or 4
    rows, columns = -(-size[0] // height), -(-size[1] // width)
    while rows * columns not in (tokens, tokens - 1):
        if rows * columns < tokens:
            return None
        rows, columns = -(-rows // 2), -(-columns // 2)
    return rows, columns


def grid_of_timm(model: Any, tokens: int, size: Sequence[int]) -> tuple[int, int] | None:
    """:func:`grid_of` of a model of timm: by its patch embedding, or by a stride that both sides have in common."""
    embedding: Any = getattr(model, "patch_embed", None)
    patches = tokens - getattr(model, "num_prefix_tokens", 0)
    if hasattr(embedding, "dynamic_feat_size"):
        rows, columns = embedding.dynamic_feat_size(tuple(size))
        if rows * columns == patches:
            return rows, columns
    strides = range(1, min(size) + 1)
    down = {(size[0] // stride, size[1] // stride) for stride in strides}
    up = {(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides}
    grids = [(rows, columns) for rows, columns in down | up if rows * columns == patches]
    return grids[0] if len(grids) == 1 else None


def describe(config: PreTrainedConfig, num_stages: int) -> tuple[list[int], int, list[str]]:
    """Return the channels of an encoder's last maps, its tokens without a position, and parameters without effect.

    The architecture runs once, without memory and without an attention variant.

    Raises:
        ValueError: there is no such encoder, or it cannot be run on images (batch, channels, height, width).
    """
    if type(config).__name__.startswith("HfAttn") and hasattr(config, "attn_variant"):
        stock: Any = type(config).__mro__[1]
        fields = {key: value for key, value in config.to_dict().items() if key != "model_type"}
        config = stock.from_dict(fields)
    of_timm = (getattr(config, "pretrained_cfg", None) or {}).get("input_size", ())[1:]  # channels before it
    size = getattr(config, "image_size", None) or of_timm or UNKNOWN_SIZE
    height, width = (size, size) if isinstance(size, int) else size
    with torch.device("meta"), torch.enable_grad():
        encoder = build_encoder(config).eval()
        images = torch.zeros(2, getattr(config, "num_channels", 3), height, width, dtype=encoder.dtype)
        try:
            features, _ = extract(encoder, images, num_stages)
            sum(part.sum() for part in (features.map, features.prefix, *features.stages)).backward()  # type: ignore[union-attr]
        except (RuntimeError, IndexError, TypeError, AttributeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"backbone {config.model_type!r} cannot carry this head, tried on images (batch, channels, {height}, "
                f"{width}): {' '.join(str(error).split())[:200]}"
            ) from error
    unused = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    return [stage.shape[1] for stage in features.stages], features.prefix.shape[1], unused
