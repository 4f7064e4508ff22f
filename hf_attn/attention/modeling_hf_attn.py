"""Model classes: a pretrained architecture with an attention variant, for the Auto classes and for the Hub.

``model_class_for(BertForSequenceClassification)`` is ``HfAttnBertForSequenceClassification``, whose configuration
``HfAttnBertConfig`` has its own ``model_type``, ``hf_attn_bert``: plain transformers refuses to load it, where it would
otherwise run softmax in silence. This file and its neighbours are saved beside the weights, so that
``from_pretrained(..., trust_remote_code=True)`` works without the package.
"""

import copy
import inspect
import logging
import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, initialization
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .auto_classes import PREFIX as PREFIX
from .auto_classes import (
    VariantName,
    auto_map,
    auto_names,
    classes_of,
    lost_head,
    mappings,
    register_config,
    register_model,
)
from .dispatch import IMPLEMENTATION, SLOT
from .guard import send_to_variant
from .image_grid import forget_grids, watch_grid
from .layer_kind import describe_layer
from .layers import find_layers, heads_of, refusal, supported
from .own_variant import SavesOwnVariant
from .registry import make_variant, variant_class
from .saveable import drop_output_attentions
from .start_values import start
from .variant import Variant
from .variants import Sparsemax as Sparsemax

logger = logging.getLogger(__name__)
_DERIVED: dict[type, Any] = {}
"""The classes made here, by what they were made of."""


class HfAttnMixin(SavesOwnVariant):
    """What every model class adds to its architecture: slots, their start values, and the attention function's name."""

    # transformers' Trainer would otherwise leave the loss of several accumulated batches undivided
    # (huggingface/transformers#47688).
    accepts_loss_kwargs = False

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        if isinstance(config, PreTrainedConfig):
            if not _is_derived(type(config)):  # the architecture's own, which stays as it is
                config = variant_config(copy.deepcopy(config))
            elif config._attn_implementation not in (None, IMPLEMENTATION):
                logger.warning(
                    "%s runs the attention variant %r: attn_implementation=%r is left out",
                    type(self).__name__,
                    config.attn_variant,
                    config._attn_implementation,
                )
            config._attn_implementation = IMPLEMENTATION
            vars(config).pop("model_type", None)  # a stock checkpoint's own, which would hide the class's
            drop_output_attentions(config)
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        install_slots(self, config)  # type: ignore[arg-type]
        self.post_init()  # type: ignore[attr-defined]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a class that was made here as what it is made of: two bases of one name have two classes."""
        return _reduced(self, _empty_model, self.__getstate__())  # type: ignore[attr-defined]

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Fill new slots, then let the architecture fill the rest.

        Here and not in ``_init_weights``, which transformers takes from the inner model and not from this class.
        """
        with initialization.guard_torch_init_functions():
            for module in self.modules():  # type: ignore[attr-defined]
                if isinstance(module, Variant):
                    start(module)
        super().initialize_weights()  # type: ignore[misc]

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load the model as transformers does, and say so where the head that was saved is left out."""
        loaded = super().from_pretrained(*args, **kwargs)  # type: ignore[misc]
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if lost := lost_head(model):
            logger.warning("%s loaded as %s: %s", model.name_or_path, cls.__name__, lost)
        return loaded

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save the model as transformers does, and with its code the names of all Auto classes that know it."""
        if type(self)._auto_class is not None:  # type: ignore[attr-defined]
            self.config.auto_map = auto_map(self)  # type: ignore[attr-defined, arg-type]
        super().save_pretrained(*args, **kwargs)

    def set_attn_implementation(self, attn_implementation: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse any other attention function: the variant would be dropped in silence."""
        if attn_implementation == IMPLEMENTATION:
            send_to_variant(self)  # type: ignore[arg-type]
        else:
            raise ValueError(
                f"{type(self).__name__} runs the attention variant {self.config.attn_variant!r}, "  # type: ignore[attr-defined]
                f"not {attn_implementation!r}: load the original class for another attention"
            )

    def init_continuous_batching(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse continuous batching, whose paged cache only transformers' own attention functions can read."""
        raise ValueError(
            f"{type(self).__name__} runs the attention variant {self.config.attn_variant!r}, "  # type: ignore[attr-defined]
            "which cannot read the paged cache of continuous batching: call generate() on a padded batch instead"
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
    layers = find_layers(model, include.pattern)
    chosen = {name: module for name, module in layers.items() if include.search(name)}
    if not chosen:
        raise ValueError(
            f"attn_variant_include={config.attn_variant_include!r} matches none of the {len(layers)} attention layers "
            f"of {type(model).__name__}, from {next(iter(layers))} to {next(reversed(layers))}"
        )
    forget_grids(model)
    for name, module in chosen.items():
        variant = make_variant(config.attn_variant, *heads_of(module), config.attn_variant_kwargs)
        describe_layer(variant, name, module)
        if variant.needs_patches:
            watch_grid(variant, model, name)
        setattr(module, SLOT, variant)
    send_to_variant(model)


def _derive(base: type, parents: tuple[type, ...], **namespace: Any) -> Any:
    """Make (once) the class ``HfAttn<base>``.

    It belongs to the class ``base`` itself: two libraries, or two runs of a notebook's cell, have classes of one name.
    Only the name of one of transformers' classes says which class it is, and stands in this module.
    """
    if base not in _DERIVED:
        name = "HfAttn" + base.__name__
        exported = getattr(transformers, base.__name__, None)
        if exported not in (None, base) or name in {cls.__name__ for cls in _DERIVED.values()}:
            name += f"_{len(_DERIVED)}"
        named = {"__module__": __name__, "__qualname__": name, "attn_base": base, **namespace}
        _DERIVED[base] = type(base)(VariantName(name, base.__name__), parents, named)
        if exported is base:
            globals()[name] = _DERIVED[base]
    return _DERIVED[base]


def _is_derived(cls: type) -> bool:
    """Whether a class was made here, or is a subclass of one: an architecture's with an attention variant."""
    return hasattr(cls, "attn_base")


def _rename_keys(old: str, new: str) -> None:
    """Let the key renames that transformers keeps by class name or model type hold for a derived class too."""
    conversion = get_checkpoint_conversion_mapping(old) if new else None
    if conversion and get_checkpoint_conversion_mapping(new) is None:
        register_checkpoint_conversion_mapping(new, conversion)


def _of_transformers(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "transformers"


def config_class_for(base: type[PreTrainedConfig]) -> type[PreTrainedConfig]:
    """Return the configuration class ``HfAttn<base>``, known to ``AutoConfig``, and make its model classes known.

    It adds ``attn_variant`` (a name), ``attn_variant_kwargs`` (options of the variant) and ``attn_variant_include``
    (a regular expression on module names; empty = every attention layer).
    """
    base = vars(base).get("attn_base", base)
    if base in _DERIVED:
        return _DERIVED[base]
    if _is_derived(base):  # a subclass of one
        return base
    own = {} if _of_transformers(base) else {"__init__": _init_config}  # else a dataclass' takes its place
    cls = _derive(
        base,
        (base,),
        **own,
        __doc__=f"{base.__name__} with an attention variant.",
        __annotations__={"attn_variant": str, "attn_variant_kwargs": dict | None, "attn_variant_include": str},
        __reduce__=_reduce_config,
        model_type=VariantName(PREFIX + base.model_type, base.model_type),
        attn_variant="dot_product",
        attn_variant_kwargs=None,
        attn_variant_include="",
    )
    known = CONFIG_MAPPING[base.model_type] if base.model_type in CONFIG_MAPPING else None
    if known is base or (known is None and _of_transformers(base)):
        AutoConfig.register(str(cls.model_type), cls, exist_ok=True)
        _rename_keys(base.model_type, cls.model_type)
        register_config(cls, base)
    cls._auto_class = "AutoConfig" if getattr(transformers, base.__name__, None) is base else None
    for model in {model: None for mapping in mappings() for model in classes_of(mapping, base)}:
        if issubclass(model, PreTrainedModel) and supported(model):
            register_model(model_class_for(model), model, cls, base)
    return cls


def _init_config(self: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
    """Make a configuration as its base does, which may know none of the fields that were added."""
    added = {key: kwargs.pop(key) for key in list(kwargs) if key.startswith("attn_variant")}
    type(self).attn_base.__init__(self, *args, **kwargs)  # type: ignore[attr-defined]
    for key, value in added.items():
        setattr(self, key, value)


def _reduce_config(self: PreTrainedConfig) -> tuple[Any, ...]:
    return _reduced(self, _empty_config, vars(self).copy())


def _reduced(made: Any, empty: Any, state: Any) -> tuple[Any, ...]:
    """What pickle keeps of an object of a class that was made here, or of a subclass of one, known by its own name."""
    cls = type(made)
    if "attn_base" in vars(cls):
        return empty, (cls.attn_base,), state
    return cls.__new__, (cls,), state


def _empty_config(base: type[PreTrainedConfig]) -> PreTrainedConfig:
    cls = config_class_for(base)
    return cls.__new__(cls)


def _empty_model(base: type[PreTrainedModel]) -> PreTrainedModel:
    cls = model_class_for(base)
    return cls.__new__(cls)


def variant_config(
    config: PreTrainedConfig, variant: str | None = None, kwargs: Mapping[str, Any] | None = None, include: str = ""
) -> PreTrainedConfig:
    """Return ``config``, changed in place to its variant's class, everything else kept.

    Without a variant it keeps what it says of one; what says nothing gets ``dot_product``.
    """
    config.__class__ = config_class_for(type(config))
    if variant is not None:
        config.attn_variant, config.attn_variant_include = variant, include
        config.attn_variant_kwargs = dict(kwargs) if kwargs else None
    vars(config).pop("model_type", None)  # a stock checkpoint's own, which would hide the class's
    return config


def model_class_for(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """Return the model class ``HfAttn<base>``, known to the Auto classes that know ``base``.

    Raises:
        ValueError: the attention of ``base`` does not go through transformers' attention interface.
    """
    stock = vars(base).get("attn_base", base)  # of a saved model's own code
    if not (issubclass(base, HfAttnMixin) or stock in _DERIVED or supported(stock)):
        raise ValueError(refusal(stock))
    return derived_model_class(base)


def derived_model_class(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """:func:`model_class_for` of a class whose models were looked at: it need not say what they are made of."""
    if issubclass(base, HfAttnMixin):
        return base
    base = vars(base).get("attn_base", base)
    config_class = config_class_for(base.config_class)  # type: ignore[arg-type]
    if base in _DERIVED:  # made on the way, with its configuration
        return _DERIVED[base]
    cls = _derive(
        base,
        (HfAttnMixin, base),
        config_class=config_class,
        _auto_class=None,
        __doc__=f"{base.__name__} with an attention variant.",
    )
    if _of_transformers(base):
        _rename_keys(base.__name__, cls.__name__)
    else:  # none, as transformers itself has none for it, even where it has its class' name or model type
        register_checkpoint_conversion_mapping(cls.__name__, [], overwrite=True)
    register_model(cls, base, config_class, base.config_class)  # type: ignore[arg-type]
    if (found := auto_names(config_class, cls)) and getattr(transformers, base.__name__, None) is base:
        cls.register_for_auto_class(found[0])
    return cls


def __getattr__(name: str) -> type:
    """Find ``HfAttnBertConfig`` and its like: the names that a saved configuration points to."""
    base: Any = getattr(transformers, name.removeprefix("HfAttn"), None) if name.startswith("HfAttn") else None
    if not inspect.isclass(base):
        raise AttributeError(name)
    return model_class_for(base) if issubclass(base, PreTrainedModel) else config_class_for(base)  # type: ignore[arg-type]
