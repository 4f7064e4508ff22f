"""A model that holds a part with an attention variant: saved as what it is, not as the stock model around it."""

import functools
import json
import logging
import re
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from .dispatch import SLOT
from .guard import send_to_variant
from .layers import is_attention_layer
from .modeling_hf_attn import HfAttnMixin, derived_model_class, variant_config
from .saveable import nested_configs
from .unsaved import name_unsaved

logger = logging.getLogger(__name__)


def adopt_parts(model: PreTrainedModel) -> bool:
    """Make a model the variant class of its kind, in place, where a variant in it would be lost by saving.

    ``model.bert = swap_attention(model.bert, …)`` leaves a model whose configuration says nothing of the variant. What
    a part's configuration says is kept where the model's own configuration holds that.

    Returns:
        Whether it was changed.

    Raises:
        ValueError: its parts have different variants, which no configuration can say.
    """
    if isinstance(model, HfAttnMixin):
        return False
    layers = {name: module for name, module in model.named_modules() if is_attention_layer(module)}
    chosen = [name for name, module in layers.items() if SLOT in module._modules]
    told = {id(config) for config in nested_configs(model.config)}
    sources = {name: _source(model, name, told) for name in chosen}
    if not any(source is not None for source in sources.values()):
        return False
    said = {name: _settings(source) for name, source in sources.items()}
    if len(set(said.values())) > 1:
        raise ValueError(
            f"{type(model).__name__} cannot be saved whole: its parts have different attention variants "
            f"({'; '.join(sorted(set(said.values())))}), and its configuration can name one. Save the parts, each with "
            "its own save_pretrained, or give all of them one variant"
        )
    config: Any = next(iter(sources.values()))
    include = "" if len(chosen) == len(layers) else _pattern(model, chosen, layers)
    base = type(model)
    variant_config(model.config, config.attn_variant, config.attn_variant_kwargs, include)
    model.__class__ = derived_model_class(base)
    send_to_variant(model)
    logger.warning(
        "%s holds parts with the attention variant %r and is saved as %s: load it by an Auto class, or by "
        "hf_attn.model_class_for(%s).from_pretrained",
        *(base.__name__, config.attn_variant, type(model).__name__, base.__name__),
    )
    return True


def _source(model: nn.Module, layer: str, told: set[int]) -> PreTrainedConfig | None:
    """Return the configuration that says which variant a layer has; None where the model's own holds it."""
    names = [layer[:i] for i, letter in enumerate(layer + ".") if letter == "."]
    configs = [getattr(model.get_submodule(name), "config", None) for name in reversed(names)]
    ours = [config for config in configs if hasattr(config, "attn_variant")]
    if not ours:
        raise ValueError(f"{layer} has an attention variant, but no configuration says which: swap it once more")
    return None if any(id(config) in told for config in ours) else ours[0]


def _settings(config: Any) -> str:
    if config is None:
        return "one that is named inside"
    return f"{config.attn_variant!r} {json.dumps(config.attn_variant_kwargs or {}, sort_keys=True)}"


def _pattern(model: nn.Module, chosen: list[str], layers: dict[str, nn.Module]) -> str:
    """Return a regular expression that matches the chosen layers alone: parts where all of a part is chosen."""
    parts = [f"{name}." for name, module in model.named_modules() if name and isinstance(module, HfAttnMixin)]
    whole = [p for p in parts if all(name in chosen for name in layers if name.startswith(p))]
    single = [re.escape(name) + "$" for name in chosen if not name.startswith(tuple(whole))]
    return f"^(?:{'|'.join([*map(re.escape, whole), *single])})"


def keep_variants_when_saving() -> None:
    """Let every model look for variants in its parts when it is saved: no other door sees the whole."""
    save = PreTrainedModel.save_pretrained
    if hasattr(save, "adopts_parts"):
        return

    @functools.wraps(save)
    def save_pretrained(self: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
        return self.save_pretrained(*args, **kwargs) if adopt_parts(self) else save(self, *args, **kwargs)

    save_pretrained.adopts_parts = True  # type: ignore[attr-defined]
    PreTrainedModel.save_pretrained = save_pretrained  # type: ignore[method-assign]


def keep_variants_in_adapters() -> None:
    """Let PEFT look for variants below its adapters when it saves them: it would name the stock checkpoint as the base.

    Such an adapter would load on the original attention in silence; this way it is refused, in words that say why.
    """
    from peft import PeftModel

    save = PeftModel.save_pretrained
    if hasattr(save, "adopts_parts"):
        return

    @functools.wraps(save)
    def save_pretrained(self: Any, *args: Any, **kwargs: Any) -> Any:
        base = self.get_base_model()
        if isinstance(base, PreTrainedModel) and adopt_parts(base):
            name_unsaved(base, f"{base.config.attn_variant} variant of {base.name_or_path}")
            for config in self.peft_config.values():
                config.base_model_name_or_path = base.name_or_path
            logger.warning(
                "an adapter is saved without its base, and the attention variant stands in the base alone: save that "
                "as well, by unload().save_pretrained(folder), and put the folder under base_model_name_or_path in "
                "adapter_config.json; or save all in one, by merge_and_unload().save_pretrained(folder)"
            )
        return save(self, *args, **kwargs)

    save_pretrained.adopts_parts = True  # type: ignore[attr-defined]
    PeftModel.save_pretrained = save_pretrained  # type: ignore[method-assign]


keep_variants_when_saving()
