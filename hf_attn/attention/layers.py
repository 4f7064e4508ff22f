"""Which layers of an architecture go through transformers' attention interface, and which architectures have such."""

import inspect
import re
import sys
from collections.abc import Sequence
from itertools import groupby
from types import CellType
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto.auto_factory import _BaseAutoModelClass

SILENT = ("builtins", PreTrainedModel.__module__)
"""Modules whose classes, as those of torch, attend by themselves nowhere."""


def is_attention_layer(module: nn.Module) -> bool:
    """Whether a module looks its attention up in transformers' attention interface."""
    return not isinstance(module, PreTrainedModel) and dispatches(type(module))


def dispatches(cls: type) -> bool:
    """Whether a function that a class has, its own or one that it inherits or calls below it, uses the interface."""
    replaced: set[str] = set()
    for base in cls.__mro__:
        if base.__module__ in SILENT or base.__module__.startswith("torch."):
            continue
        functions = {name: inspect.unwrap(f) for name, f in vars(base).items() if inspect.isfunction(f)}
        for name in functions.keys() - replaced:
            code = functions[name].__code__
            if "ALL_ATTENTION_FUNCTIONS" in (*code.co_names, *code.co_freevars):
                return True
            if not {"super", *(above.__name__ for above in base.__mro__[1:])} & set(code.co_names):
                replaced.add(name)
    return False


def find_layers(model: nn.Module, include: str = "") -> dict[str, nn.Module]:
    """Return the layers of a model that go through the attention interface, by name.

    Args:
        include: regular expression on module names: the layers that a variant is meant for. Empty is all.

    Raises:
        ValueError: there are none; others beside them compute attention themselves, which would not get the
            variant, and the mask that the interface makes for it would be added to their scores; or one uses
            soft-capped scores or attention sinks.
    """
    layers = {name: module for name, module in model.named_modules() if is_attention_layer(module)}
    if not layers:
        raise ValueError(refusal(type(model)))
    others = {n: m for n, m in model.named_modules() if "Attention" in type(m).__name__ and n not in layers}
    parts = {name: _part_of(model, name) for name in others}
    mixes = {part: any(layer.startswith(part) for layer in layers) for part in parts.values()}
    apart = {n: type(m).__name__ for n, m in others.items() if not mixes[parts[n]] or _attends_by_itself(type(m))}
    mixed = [name for name in apart if mixes[parts[name]]]
    if found := mixed or [name for name in apart if re.search(include, name)]:
        names = ", ".join(sorted({apart[name] for name in found}))
        cure = "" if mixed else f"; leave {parts[found[0]].rstrip('.')} out by include, a pattern of layer names"
        raise ValueError(refusal(type(model), f"{names} computes its attention itself{cure}"))
    for module in layers.values():
        if what := _unhonoured(module):
            raise ValueError(refusal(type(model), f"{type(module).__name__} uses {what}"))
    return layers


def _part_of(model: nn.Module, name: str) -> str:
    """Return how the names begin in the innermost model that holds a module: what shares its masks."""
    while name and not isinstance(model.get_submodule(name), PreTrainedModel):
        name = name.rpartition(".")[0]
    return name and f"{name}."


def _unhonoured(module: nn.Module) -> str:
    """Return what a layer adds to its softmax that no variant can honour, in words; empty if nothing."""
    config = getattr(module, "config", None)
    cap = getattr(module, "attn_logit_softcapping", getattr(config, "attn_logit_softcapping", None))
    if cap is not None:
        return "soft-capped scores (softcap)"
    return "" if getattr(module, "sinks", None) is None else "attention sinks (s_aux)"


def refusal(cls: type, reason: str = "") -> str:
    """Return the words that refuse an architecture."""
    reason = reason or "its attention does not go through transformers' attention interface"
    return (
        f"{cls.__name__.removeprefix('HfAttn')} cannot take an attention variant: {reason}; choose an architecture "
        "whose layers all use transformers' attention interface, such as BERT, RoBERTa, ModernBERT, ViT or DINOv2"
    )


def _attends_by_itself(cls: type) -> bool:
    """Whether a layer makes and masks its own softmax; deformable attention has no scores and no such mask."""
    if "Attention" not in cls.__name__ or "Deformable" in cls.__name__ or dispatches(cls):
        return False
    codes = [inspect.unwrap(f).__code__ for f in vars(cls).values() if inspect.isfunction(f)]
    masked = any("mask" in name for code in codes for name in code.co_varnames)
    return masked and any("softmax" in code.co_names for code in codes)


def heads_of(module: nn.Module) -> tuple[int, int]:
    """Return the number of query heads of an attention layer and their size."""
    config = getattr(module, "config", None)

    def first(*names: str) -> int | None:
        return next((v for n in names if isinstance(v := getattr(module, n, None), int)), None)

    size = first("attention_head_size", "head_dim", "key_value_proj_dim")
    heads = first("num_attention_heads", "num_heads", "n_heads") or getattr(config, "num_attention_heads", None)
    projection = getattr(module, "q_proj", None)
    if not heads and size and isinstance(projection, nn.Linear):
        heads = projection.out_features // size
    if not heads:
        raise ValueError(f"{type(module).__name__}: its number of heads cannot be found, so no variant can be put in")
    return heads, size or (first("embed_dim", "hidden_size") or config.hidden_size) // heads  # type: ignore[union-attr]


def in_order(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Return the modules of attention layers in the order in which they run, each as often as it stands for a layer."""
    order: list[nn.Module] = []
    config: Any
    for config, part in groupby(modules, key=lambda module: getattr(module, "config", None)):
        shared = list(part)
        hybrid = list(getattr(config, "layers_block_type", None) or ()).count("hybrid")
        if groups := getattr(config, "num_hidden_groups", None):  # ALBERT
            inner, depth = len(shared) // groups, config.num_hidden_layers
            starts = (i * groups // depth * inner for i in range(depth))
            order += [module for start in starts for module in shared[start : start + inner]]
        elif hybrid > len(shared):  # Zamba
            order += [shared[i % len(shared)] for i in range(hybrid)]
        else:
            order += shared
    return order


def supported(base: type) -> bool:
    """Whether the attention of a model class goes through transformers' attention interface.

    Of a class made of other models the answer is theirs; where a configuration chooses them it is yes, and the model
    itself is asked when it is made.
    """
    models = [cls for cls in base.__mro__ if issubclass(cls, PreTrainedModel) and cls is not PreTrainedModel]
    classes = {cls for model in models for cls in vars(sys.modules[model.__module__]).values() if inspect.isclass(cls)}
    own = (cls for cls in classes if issubclass(cls, nn.Module) and not issubclass(cls, PreTrainedModel))
    return any(map(dispatches, own)) or any(map(_may_hold, _parts(models)))


def _parts(models: list[type]) -> set[type]:
    """Return the model classes, Auto classes among them, that model classes name where they are made."""
    makers = [inspect.unwrap(f) for cls in models if inspect.isfunction(f := vars(cls).get("__init__"))]
    named = {value for f in makers for value in _named_in(f) if inspect.isclass(value)}
    return {cls for cls in named if issubclass(cls, (PreTrainedModel, _BaseAutoModelClass))} - {
        PreTrainedModel,
        *models,
    }


def _named_in(function: Any) -> list[Any]:
    names, cells = function.__code__.co_names, function.__closure__ or ()
    return [function.__globals__.get(name) for name in names] + [
        cell.cell_contents for cell in cells if cell != CellType()
    ]


def _may_hold(part: type) -> bool:
    return issubclass(part, _BaseAutoModelClass) or supported(part)
