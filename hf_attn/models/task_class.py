"""Which model class a checkpoint is loaded as: the one it was saved as, or the one that has a task's head."""

import logging
from typing import Any

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from ..attention.auto_classes import classes_of, saved_class
from ..errors import InputError

logger = logging.getLogger(__name__)

HEADLESS = "feature-extraction"
POOLED = "image-classification"
"""The task whose models take a pooling head of this package."""
CLASSIFICATIONS = {
    "text-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "image-classification": AutoModelForImageClassification,
}
TASKS = {
    **CLASSIFICATIONS,
    "question-answering": AutoModelForQuestionAnswering,
    "translation": AutoModelForSeq2SeqLM,
    "summarization": AutoModelForSeq2SeqLM,
    "fill-mask": AutoModelForMaskedLM,
    "text-generation": AutoModelForCausalLM,
    "text-ranking": AutoModel,
    HEADLESS: AutoModel,
}
INSTEAD = {
    ("translation", "fill-mask"): "an encoder writes with a decoder: --decoder gives it one",
    ("summarization", "fill-mask"): "an encoder writes with a decoder: --decoder gives it one",
    ("fill-mask", "text-generation"): "it learns what follows, by --objective causal",
    ("text-generation", "fill-mask"): "it learns what is hidden, by --objective masked",
}
"""What to do where an architecture has no head for the first task, and one for the second."""


def class_for(name: str, config: PreTrainedConfig, task: str | None, new_head: bool) -> type[PreTrainedModel]:
    """Return the model class that a checkpoint is loaded as, and say where it was saved as another.

    Args:
        name: of the checkpoint, for messages.
        config: of the checkpoint.
        task: a key of :data:`TASKS`. None is the class that was saved; for a new head the classification that it was
            saved for, or else the first that its architecture has.
        new_head: whether a head for other labels may be made, so that one which was not saved is no surprise.

    Raises:
        InputError: the architecture has no such head, or the configuration names no class where no task is given.
    """
    saved = saved_class(config)
    if task is None and not new_head:
        if saved is None:
            named = ", ".join(config.architectures or ()) or "none"
            raise InputError(f"{name}: config.json names its model class as {named}, not one known here: give a task")
        return saved
    heads: dict[str, tuple[Any, ...]] = {
        key: classes_of(auto_class._model_mapping, type(config))  # type: ignore[arg-type]
        for key, auto_class in TASKS.items()
    }
    task = task or _classification(heads, saved)
    if not heads[task]:
        others = [key for key in TASKS if heads[key] and key != HEADLESS]
        other = next((INSTEAD[task, key] for key in others if (task, key) in INSTEAD), None)
        hint = f"; it has one for task={others[0]!r}" if others else ""
        hint = f"; {other}" if other else hint
        if task == POOLED and not others:
            hint = "; give it one, such as --head attention"
        raise InputError(f"{name}: transformers has no {task} head for {config.model_type!r}{hint}")
    if saved is None or saved in heads[task]:
        return saved or heads[task][0]
    cls = heads[task][0]
    had_head = saved not in heads[HEADLESS]
    if had_head or not new_head:
        lost = "its head is left out" if had_head else "it has no head"
        made = "" if task == HEADLESS else ", and a new one is made"
        logger.log(
            logging.INFO if new_head or task == HEADLESS else logging.WARNING,
            f"{name} was saved as {saved.__name__} and is loaded as {cls.__name__} for {task}: {lost}{made}",
        )
    return cls


def _classification(heads: dict[str, tuple[Any, ...]], saved: type[PreTrainedModel] | None) -> str:
    """Return the classification that a model was saved for, or else the first that its architecture has."""
    tasks = list(CLASSIFICATIONS)
    return next((task for task in tasks if saved in heads[task]), None) or next(
        (task for task in tasks if heads[task]), tasks[0]
    )
