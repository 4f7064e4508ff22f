"""The tasks: what goes in, and what comes out, as names of modules. A new task is a row here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

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
    """

    name: str
    inputs: str
    targets: str
    auto: str

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
        """How the names of its model classes end."""
        return self.auto.removeprefix("AutoModel")


TASKS = {
    task.name: task
    for task in (
        Task("text-classification", "text", "labels", "AutoModelForSequenceClassification"),
        Task("token-classification", "words", "tags", "AutoModelForTokenClassification"),
        Task("image-classification", "images", "labels", "AutoModelForImageClassification"),
    )
}


def task_of(model: PreTrainedModel) -> Task:
    """Return the task of a model in hand: the one that its class is named for, or the first whose input it takes."""
    named = [task for task in TASKS.values() if task.head in type(model).__name__]
    return next((task for task in [*named, *TASKS.values()] if task.input.takes(model)), next(iter(TASKS.values())))
