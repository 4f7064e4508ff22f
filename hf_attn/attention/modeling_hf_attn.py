"""Model classes: a pretrained architecture with an attention variant, for the Auto classes and for the Hub.

``model_class_for(BertForSequenceClassification)`` is ``HfAttnBertForSequenceClassification``, whose configuration
``HfAttnBertConfig`` has its own ``model_type``, ``hf_attn_bert``: plain transformers refuses to load it, where it would
otherwise run softmax in silence. This file and its neighbours are saved beside the weights, so that
``from_pretrained(..., trust_remote_code=True)`` works without the package.
"""

import inspect
import re
import sys
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping

from .dispatch import IMPLEMENTATION, SLOT, dispatches, find_layers, heads_of, refusal
from .efficient import Local as Local
from .head_mixing import TalkingHeads as TalkingHeads
from .normalizers import Sparsemax as Sparsemax
from .own_variant import SavesOwnVariant
from .patch_grid import Focal as Focal
from .registry import make_variant, variant_class
from .similarity import Cosine as Cosine
from .variant import Variant

PREFIX = "hf_attn_"
AUTO_CLASSES = (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForImageClassification,
)
# Fields of a configuration whose layers see patches, but not one image's, row by row, as the last tokens.
NO_GRID = {
    "num_frames": "its layers see several frames",
    "num_detection_tokens": "other tokens come after the patches",
    "mask_ratio": "its patches are shuffled and masked",
}


class HfAttnMixin(SavesOwnVariant):
    """What every model class adds to its architecture: slots, their start values, and the attention function's name."""

    # transformers' Trainer would otherwise leave the loss of several accumulated batches undivided
    # (huggingface/transformers#47688).
    accepts_loss_kwargs = False

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        config._attn_implementation = IMPLEMENTATION
        vars(config).pop("model_type", None)  # a stock checkpoint's own, which would hide the class's
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        install_slots(self, config)  # type: ignore[arg-type]
        self.post_init()  # type: ignore[attr-defined]

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Fill new slots, then let the architecture fill the rest.

        Here and not in ``_init_weights``, which transformers takes from the inner model and not from this class.
        """
        with initialization.guard_torch_init_functions():
            for module in self.modules():  # type: ignore[attr-defined]
                if isinstance(module, Variant) and not getattr(module, "_is_hf_initialized", False):
                    module.reset_parameters()
                    module._is_hf_initialized = True  # type: ignore[assignment]
        super().initialize_weights()  # type: ignore[misc]

    def set_attn_implementation(self, attn_implementation: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse any other attention function: the variant would be dropped in silence."""
        if attn_implementation != IMPLEMENTATION:
            raise ValueError(
                f"{type(self).__name__} runs the attention variant {self.config.attn_variant!r}, "  # type: ignore[attr-defined]
                f"not {attn_implementation!r}: load the original class for another attention"
            )


def install_slots(model: PreTrainedModel, config: PreTrainedConfig) -> None:
    """Put the variant that a configuration names on the attention layers that it includes.

    Raises:
        ValueError: unknown variant or option, a pattern that is no regular expression or matches no layer, an
            architecture whose attention does not go through transformers' attention interface, or a layer without the
            grid of patches that the variant needs.
    """
    variant_class(config.attn_variant)
    try:
        include = re.compile(config.attn_variant_include or "")
    except re.error as error:
        raise ValueError(
            f"attn_variant_include={config.attn_variant_include!r} is no regular expression: {error}"
        ) from None
    layers = find_layers(model)
    chosen = {name: module for name, module in layers.items() if include.search(name)}
    if not chosen:
        raise ValueError(
            f"attn_variant_include={config.attn_variant_include!r} matches none of the {len(layers)} attention layers "
            f"of {type(model).__name__}, from {next(iter(layers))} to {next(reversed(layers))}"
        )
    for name, module in chosen.items():
        variant = make_variant(config.attn_variant, *heads_of(module), config.attn_variant_kwargs)
        if variant.needs_patches:
            _check_patches(model, name, getattr(variant, "grid", None))
        variant.causal = bool(getattr(module, "is_causal", False))
        setattr(module, SLOT, variant)


def _check_patches(model: PreTrainedModel, layer: str, grid: Any) -> None:
    """Refuse a layer that has no grid of patches, or one whose shape its configuration does not tell."""
    config = getattr(model.get_submodule(layer), "config", None)
    config = config or getattr(model.config, "vision_config", model.config)
    name = f"{type(model).__name__.removeprefix('HfAttn')} cannot take the attention variant"
    reason = "" if getattr(config, "patch_size", None) else f"{type(config).__name__} has no patch_size"
    for field, words in NO_GRID.items():
        reason = reason or (words if getattr(config, field, None) else "")
    if reason:
        raise ValueError(
            f"{name} {model.config.attn_variant!r} on {layer}: no grid of patches, {reason}; choose a vision "
            "transformer such as ViT or DINOv2, or the vision layers alone by attn_variant_include"
        )
    sizes = [getattr(config, size, None) or (0, 1) for size in ("image_size", "patch_size")]
    oblong = any(isinstance(size, (list, tuple)) and len(set(size)) > 1 for size in sizes)
    varied = {"image_sizes", "spatial_shapes"} & set(inspect.signature(model.forward).parameters)
    if grid is None and (oblong or varied):
        raise ValueError(
            f"{name} {model.config.attn_variant!r} on {layer}: its patches are no square; give grid=[rows, columns]"
        )


def supported(base: type) -> bool:
    """Whether the attention of a model class goes through transformers' attention interface."""
    models = (cls for cls in base.__mro__ if issubclass(cls, PreTrainedModel) and cls is not PreTrainedModel)
    classes = {cls for model in models for cls in vars(sys.modules[model.__module__]).values() if inspect.isclass(cls)}
    return any(
        issubclass(cls, nn.Module) and not issubclass(cls, PreTrainedModel) and dispatches(cls) for cls in classes
    )


def _derive(base: type, parents: tuple[type, ...], **namespace: Any) -> Any:
    """Make (once) the class ``HfAttn<base>``, with the key renames that transformers keeps by class or model type."""
    name = "HfAttn" + base.__name__
    if name not in globals():
        globals()[name] = type(base)(name, parents, {"__module__": __name__, **namespace})
        renames = ((base.__name__, name), (getattr(base, "model_type", ""), namespace.get("model_type", "")))
        for old, new in renames:
            conversion = get_checkpoint_conversion_mapping(old) if new else None
            if conversion and get_checkpoint_conversion_mapping(new) is None:
                register_checkpoint_conversion_mapping(new, conversion)
    return globals()[name]


def config_class_for(base: type[PreTrainedConfig]) -> type[PreTrainedConfig]:
    """Return the configuration class ``HfAttn<base>``, known to ``AutoConfig``, and make its model classes known.

    It adds ``attn_variant`` (a name), ``attn_variant_kwargs`` (options of the variant) and ``attn_variant_include``
    (a regular expression on module names; empty = every attention layer).
    """
    if base.__name__.startswith("HfAttn"):
        return base
    cls = _derive(
        base,
        (base,),
        __doc__=f"{base.__name__} with an attention variant.",
        __annotations__={"attn_variant": str, "attn_variant_kwargs": dict | None, "attn_variant_include": str},
        model_type=PREFIX + base.model_type,
        attn_variant="dot_product",
        attn_variant_kwargs=None,
        attn_variant_include="",
    )
    if "_auto_class" not in vars(cls):
        AutoConfig.register(cls.model_type, cls, exist_ok=True)
        cls.register_for_auto_class()
        for auto_class in AUTO_CLASSES:
            for model in _classes_of(auto_class, base):
                if supported(model):
                    model_class_for(model)
    return cls


def _classes_of(auto_class: Any, config: type[PreTrainedConfig] | None) -> tuple[type, ...]:
    found = auto_class._model_mapping.get(config, ())
    return tuple(found) if isinstance(found, (list, tuple)) else (found,)


def model_class_for(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """Return the model class ``HfAttn<base>``, known to the Auto classes that know ``base``.

    Raises:
        ValueError: the attention of ``base`` does not go through transformers' attention interface.
    """
    if issubclass(base, HfAttnMixin):
        return base
    if not supported(base):
        raise ValueError(refusal(base))
    config_class = config_class_for(base.config_class)  # type: ignore[arg-type]
    cls = _derive(
        base, (HfAttnMixin, base), config_class=config_class, __doc__=f"{base.__name__} with an attention variant."
    )
    for auto_class in AUTO_CLASSES:
        if base in _classes_of(auto_class, base.config_class):
            auto_class.register(config_class, cls, exist_ok=True)
            cls.register_for_auto_class(auto_class.__name__)
    return cls


def __getattr__(name: str) -> type:
    """Find ``HfAttnBertConfig`` and its like: the names that a saved configuration points to."""
    base: Any = getattr(transformers, name.removeprefix("HfAttn"), None) if name.startswith("HfAttn") else None
    if not inspect.isclass(base):
        raise AttributeError(name)
    return model_class_for(base) if issubclass(base, PreTrainedModel) else config_class_for(base)  # type: ignore[arg-type]
