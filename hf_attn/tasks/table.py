"""The tasks: what goes in, and what comes out, as names of modules. A new task is a row here."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from .contracts import Input, Targets


@dataclass(frozen=True)
class Task:
    """A task: an input and a target.

    Attributes:
        name: on the Hub, where it is the name of a pipeline.
        inputs: module of the input, in ``tasks/inputs``.
        targets: module of the target, in ``tasks/targets``.
        auto: transformers' Auto class of the models.
        named: how the names of its model classes end, where that is not how the Auto class' ends.
    """

    name: str
    inputs: str
    targets: str
    auto: str
    named: str = ""

    @property
    def input(self) -> Input:
        """What goes in: ``Options``, ``load_splits``, ``rows``, ``read``, ``batches`` and the rest of its contract."""
        return cast("Input", importlib.import_module(f"hf_attn.tasks.inputs.{self.inputs}"))

    @property
    def target(self) -> Targets:
        """What comes out: ``Options``, ``encode``, ``of_model`` and the rest of its contract."""
        return cast("Targets", importlib.import_module(f"hf_attn.tasks.targets.{self.targets}"))

    @property
    def head(self) -> str:
        """How the names of its model classes end, as a rule."""
        return self.named or self.auto.removeprefix("AutoModel")

    def fits(self, name: str) -> bool:
        """Return whether a model class of that name is one of the task's: by its ending, or by transformers' table."""
        if self.named:
            return self.named in name
        return self.head in name or name.removeprefix("HfAttn") in _class_names(self.auto)


TASKS = {
    task.name: task
    for task in (
        Task("text-classification", "text", "labels", "AutoModelForSequenceClassification"),
        Task("token-classification", "words", "tags", "AutoModelForTokenClassification"),
        Task("question-answering", "passage", "spans", "AutoModelForQuestionAnswering"),
        Task("image-classification", "images", "labels", "AutoModelForImageClassification"),
        Task("translation", "source_text", "texts", "AutoModelForSeq2SeqLM"),
        Task("summarization", "source_text", "texts", "AutoModelForSeq2SeqLM"),
        Task("fill-mask", "masked_text", "tokens.masked", "AutoModelForMaskedLM"),
        Task("text-generation", "prompt", "tokens.following", "AutoModelForCausalLM"),
        Task("text-ranking", "history", "preferences", "AutoModel", "ForRecommendation"),
    )
}


@functools.cache
def _class_names(auto: str) -> frozenset[str]:
    """Names of the model classes that an Auto class of transformers has."""
    from transformers.models.auto import modeling_auto

    known = getattr(modeling_auto, auto)._model_mapping._model_mapping.values()
    return frozenset(name for names in known for name in ((names,) if isinstance(names, str) else names))


def named_in(config: Any, names: Iterable[str]) -> str | None:
    """Return the one of these tasks that a configuration names in ``task_specific_params``, as T5's does.

    None where it names none of them, or several.
    """
    told = getattr(config, "task_specific_params", None) or {}
    found = [name for name in names if any(key.startswith(name) for key in told)]
    return found[0] if len(found) == 1 else None


def task_for(config: Any, classes: Iterable[str]) -> Task | None:
    """Return the task of a model class, by its names; where several have that head, the one its configuration names."""
    named = [name for name, task in TASKS.items() if any(map(task.fits, classes))]
    return TASKS[named_in(config, named) or named[0]] if named else None


def task_of(model: PreTrainedModel) -> Task:
    """Return the task of a model in hand: the one that its class is named for, or the first whose input it takes."""
    named = task_for(model.config, [type(model).__name__])
    tasks = [*([named] if named else []), *TASKS.values()]
    return next((task for task in tasks if task.input.takes(model)), next(iter(TASKS.values())))
