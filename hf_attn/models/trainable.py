"""Choose which parameters are trained: freezing, a linear probe, low-rank adapters (LoRA)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ..attention import attention_layers
from ..attention.dispatch import SLOT
from ..errors import InputError

LINEAR = (nn.Linear, Conv1D)
VALUE = frozenset({"value", "v_proj", "v_lin", "v"})
QUERY_VALUE = frozenset({"query", "q_proj", "q_lin", "q", "Wqkv", "qkv"}) | VALUE


def head_modules(model: PreTrainedModel) -> list[str]:
    """Return the names of the modules above the encoder: the head that a task adds.

    An encoder that is not where ``base_model_prefix`` says (CLIP, SigLIP, HGNet) is all but the linear layers.
    """
    children = {name: child for name, child in model.named_children() if any(True for _ in child.parameters())}
    if model.base_model_prefix in children:
        return [name for name in children if name != model.base_model_prefix]
    return [name for name, child in children.items() if isinstance(child, nn.Linear)]


def new_heads(model: PreTrainedModel) -> list[str]:
    """Return the names of :func:`head_modules` but for those that give token scores: a checkpoint has them.

    A copy of one that is tied to the embeddings would not be tied.
    """
    output = model.get_output_embeddings()
    heads = {name: model.get_submodule(name) for name in head_modules(model)}
    return [name for name, head in heads.items() if output is None or output not in list(head.modules())]


def freeze(model: PreTrainedModel, what: str) -> int:
    r"""Stop training a part of a model, and return how many parameters that is.

    Args:
        model: the model, in place.
        what: ``embeddings``, ``encoder`` (everything but the head: a linear probe), or a regular expression on
            parameter names, such as ``layer\.[0-3]\.``.

    Raises:
        InputError: nothing matches, everything would be frozen, or the pattern is no regular expression.
    """
    if what == "encoder":
        heads = tuple(f"{name}." for name in head_modules(model))
        frozen = [p for name, p in model.named_parameters() if not name.startswith(heads)] if heads else []
    else:
        try:
            pattern = re.compile(r"(^|\.)embeddings?\." if what == "embeddings" else what)
        except re.error as error:
            raise InputError(f"--freeze {what!r} is no regular expression: {error}") from None
        frozen = [p for name, p in model.named_parameters() if pattern.search(name)]
    if not frozen:
        names = ", ".join(name for name, _ in list(model.named_parameters())[:3])
        raise InputError(f"--freeze {what!r} matches no parameter of {type(model).__name__}; they are named {names}, …")
    if len(frozen) == sum(1 for p in model.parameters() if p.requires_grad):
        raise InputError(f"--freeze {what!r} freezes all of {type(model).__name__}: nothing would be trained")
    for parameter in frozen:
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in frozen)


def train_in_float32(model: nn.Module) -> None:
    """Make the trainable parameters float32, in place: small updates of half precision would round to nothing."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()


def train_mode(model: nn.Module) -> None:
    """Put a model into training mode, but for batch normalisation that is frozen: its statistics must not drift."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not any(p.requires_grad for p in own):
            module.eval()


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters: ``W ← W + (alpha/rank) B A``, A of (rank, inputs), B of (outputs, rank), B = 0 at the start.

    Hu et al. 2022, section 4.1.
    """

    rank: int = 8
    alpha: float | None = None
    """None is 2 × rank."""
    dropout: float = 0.0
    targets: Sequence[str] | None = None
    """Names of linear layers; None is the query and value projections, or what PEFT takes where those are one layer."""


def add_lora(model: PreTrainedModel, lora: Lora) -> nn.Module:
    """Return ``model`` with adapters; they, a new head and the attention variant are trained, all else is frozen.

    Raises:
        InputError: the model has no such layers.
    """
    from peft import LoraConfig, get_peft_model

    linear = {name.rpartition(".")[2]: module for name, module in model.named_modules() if isinstance(module, LINEAR)}
    targets = list(lora.targets or projections(model) or default_targets(model))
    missing = sorted({name.rpartition(".")[2] for name in targets} - set(linear) - {"all-linear"})
    if missing or not targets:
        wrong = f"LoRA targets {', '.join(missing)} are no linear layers of" if missing else "PEFT has no targets for"
        raise InputError(
            f"{wrong} {type(model).__name__}: name some by --lora_targets; it has {', '.join(sorted(linear))}"
        )
    trained = [SLOT] if any(hasattr(layer, SLOT) for layer in attention_layers(model).values()) else []
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=2 * lora.rank if lora.alpha is None else lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets,
        modules_to_save=new_heads(model) + trained,
        fan_in_fan_out=any(isinstance(linear.get(name.rpartition(".")[2]), Conv1D) for name in targets),
    )
    return get_peft_model(model, config)


def projections(model: nn.Module) -> list[str]:
    """Return the names of the query and value projections of a model's attention layers; none without a query."""
    found = {
        name.rpartition(".")[2]
        for layer in attention_layers(model).values() or [model]
        for name, module in layer.named_modules()
        if isinstance(module, LINEAR)
    }
    return sorted(found & QUERY_VALUE) if found & (QUERY_VALUE - VALUE) else []


def default_targets(model: PreTrainedModel) -> list[str]:
    """Return the names of the layers of a model that PEFT gives adapters by default; none where it knows none."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TARGETS

    return list(TARGETS.get(model.config.model_type, ()))


def merge_lora(model: nn.Module) -> PreTrainedModel:
    """Return the model with its adapters added to its weights; any other model as it is."""
    merge = getattr(model, "merge_and_unload", None)
    return model if merge is None else merge()  # type: ignore[return-value]
