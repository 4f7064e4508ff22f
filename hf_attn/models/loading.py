"""Load a pretrained model for a task, with the attention that was asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..errors import InputError
from .adapter_files import is_adapter
from .adapter_folder import load_adapter
from .attention_head import Head, load_with_head
from .checkpoint import LabelSet, checkpoint_config, head_options, load_whole
from .checkpoint_files import check_model_folder
from .task_class import POOLED, TASKS


def load(
    name: str | Path,
    *,
    task: str | None = None,
    labels: Sequence[str] | LabelSet | int | None = None,
    attention: str | None = None,
    attention_kwargs: Mapping[str, Any] | None = None,
    include: str = "",
    head: str | None = None,
    head_kwargs: Mapping[str, Any] | None = None,
    config_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load a checkpoint, a run folder or a Hub model, with a head for a task and a chosen attention.

    Args:
        name: Hub id or folder.
        task: ``text-classification``, ``token-classification``, ``image-classification``, ``question-answering``,
            ``translation``, ``summarization``, ``fill-mask``, ``text-generation`` or ``feature-extraction``. None is
            the very model that was saved, whatever its head; with labels, the classification that it was saved for, or
            else the first that its architecture has.
        labels: names of the classes, their number, or a ``Labels``; None keeps the checkpoint's own head.
        attention: a name of :func:`hf_attn.list_variants`; None keeps the checkpoint's own attention.
        attention_kwargs: options of the variant.
        include: regular expression on module names: the layers that get the variant. Empty is all.
        head: a pooling head on the encoder of an image model, a name of ``hf_attn.attention.pooling.HEADS``, in place
            of the architecture's own; None keeps that.
        head_kwargs: options of the head.
        config_options: changes of the configuration, such as a dropout, before the model is made.
        **kwargs: for ``from_pretrained``, such as ``revision``, ``dtype`` or ``token``. Without ``dtype`` all weights,
            those of a new head too, have the one that the checkpoint is saved in; train with ``torch.float32``.

    Raises:
        InputError: no such checkpoint, no usable weights in it, unknown task, variant or head, an architecture that
            cannot take it, or weights that do not fit.
    """
    name = str(name)
    if task not in (None, *TASKS):
        raise InputError(f"task {task!r}: expected one of {', '.join(TASKS)}, or none for the model as it was saved")
    on_top = head is not None or bool(head_kwargs)
    chosen = Head(task or POOLED, head, head_kwargs, attention, attention_kwargs, include) if on_top else None
    check_model_folder(name, cache_dir=kwargs.get("cache_dir"))
    if is_adapter(name):
        if head is not None:
            raise InputError(f"{name} is an adapter: a head goes on a whole model, so merge it and save that first")
        chosen_attention = (attention, attention_kwargs, include)
        return load_adapter(name, chosen_attention, task=task, labels=labels, config_options=config_options, **kwargs)
    if chosen:
        config = checkpoint_config(name, config_options, **kwargs)
        return load_with_head(name, config, chosen, head_options(labels), **kwargs)
    return load_whole(
        name,
        task=task,
        labels=labels,
        attention=attention,
        attention_kwargs=attention_kwargs,
        include=include,
        config_options=config_options,
        **kwargs,
    )
