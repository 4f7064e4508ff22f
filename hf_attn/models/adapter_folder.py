"""A folder that PEFT saved: an adapter, which is a model only on the base that it was trained on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..attention import swap_attention
from ..errors import InputError
from ..interface.printable import one_line
from .adapter_files import PREFIX, WEIGHTS, base_of, task_of, weight_shapes
from .checkpoint import load_whole, quietly, tell_rows
from .configuration import load_config
from .input_length import embedding_rows
from .own_head import OwnHead, order_as_named
from .trainable import head_modules

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


def load_adapter(
    source: str,
    variant: tuple[str | None, Mapping[str, Any] | None, str],
    *,
    task: str | None,
    labels: Any,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load an adapter's base, put the adapter on it and merge it in.

    The head that was saved with the adapter is kept where it has as many outputs as there are labels; its rows follow
    the names of the base's classes where they are the labels', and else are taken in order.

    Args:
        source: the adapter's folder.
        variant: the merged model's attention (None keeps it), its options, and the layers that get it.
        task: as in :func:`hf_attn.load`.
        labels: as in :func:`hf_attn.load`.
        **kwargs: for loading the base.

    Raises:
        InputError: no base, or an adapter of another model or of a kind that cannot be merged.
    """
    from peft import PeftModel, get_peft_model_state_dict

    base, shapes = base_of(source), weight_shapes(Path(source) / WEIGHTS)
    task = task or task_of(source)
    model = load_whole(base, task=task, labels=labels, **kwargs)
    outputs = saved_outputs(model, shapes)
    if labels is None and outputs not in (None, model.config.num_labels):
        model = load_whole(base, task=task, labels=outputs, **kwargs)
    tokens = shapes.get(input_embeddings_name(model))
    if tokens is not None and tokens[0] != embedding_rows(model):
        model.resize_token_embeddings(tokens[0])
    if labels is not None and outputs not in (None, model.config.num_labels):
        logger.info("the adapter's head has %d outputs for %d labels: a new one", outputs, model.config.num_labels)
    try:
        with quietly(), warnings.catch_warnings(action="ignore"):
            adapted = PeftModel.from_pretrained(model, source, ignore_mismatched_sizes=labels is not None)
            made = get_peft_model_state_dict(adapted, save_embedding_layers=False)
            odd = {key.removeprefix(PREFIX) for key in made} ^ set(shapes) - {input_embeddings_name(model)}
            merged = adapted.merge_and_unload()  # type: ignore[operator]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(f"adapter {source!r} cannot be put on {base!r}: {one_line(error)}") from None
    if any("lora_" in key for key in odd):
        raise InputError(f"adapter {source!r} is of another model than {base!r}: {min(odd)} is only in one of them")
    logger.info("%s: the adapter is merged into its base %s", source, base)
    merged.name_or_path = source
    if outputs is not None and outputs == len(
        getattr(labels, "names", () if isinstance(labels, int) else labels or ())
    ):
        tell_rows(source, order_as_named(merged, OwnHead.of(load_config(base))))
    attention, options, include = variant
    if attention is None:
        return merged
    try:
        return swap_attention(merged, attention, include, **(options or {}))
    except ValueError as error:
        raise InputError(f"{source}: {one_line(error)}") from None


def saved_outputs(model: PreTrainedModel, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return how many outputs the head saved with an adapter has; None where none was saved."""
    heads = tuple(f"{name}." for name in head_modules(model))
    own = {name: tuple(p.shape) for name, p in model.named_parameters() if name.startswith(heads)}
    saved = [shapes[name] for name in own if name in shapes and own[name][0] == model.config.num_labels]
    return saved[-1][0] if saved else None


def input_embeddings_name(model: PreTrainedModel) -> str:
    """Return the name of the weights that turn token ids into vectors; empty where there are none."""
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        return ""
    weight = getattr(table, "weight", None)
    return next((name for name, parameter in model.named_parameters() if parameter is weight), "")
