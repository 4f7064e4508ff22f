"""What a model predicts of a row, and all that follows from it: its loss, its scores, its words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ....data.columns import refuse
from ....data.reading import HALF, SURROGATE
from ....errors import InputError
from ....training.evaluation import logits as outputs
from ....training.step import model_inputs
from ...explained import Asked
from ..words import Described
from .answers import described
from .options import Options, numbers
from .scoring import Scored

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import Tensor, nn

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions
    from ....training.step import Batch


@dataclass(frozen=True)
class Labels(Scored):
    """What a model predicts: one class, several labels or a number; the base of the three.

    Attributes:
        names: of the classes, in the order of the model's outputs; empty for a number.
        column: where they were read, or the columns.
        counts: rows of train that have each label; empty for a number.
        options: of the loss.
        taught: number of the first row of train whose label an earlier model gave, and the weight of such rows.
    """

    kind: ClassVar[str]
    """As ``--problem`` has it."""
    problem_type: ClassVar[str]
    """As transformers spells it."""
    by_area: ClassVar[bool] = True
    """Whether a mixture of two images can have a label of both, each by its share of the area."""

    names: tuple[str, ...] = ()
    column: str | tuple[str, ...] = "label"
    counts: tuple[int, ...] = ()
    options: Options = field(default_factory=Options, compare=False)
    taught: tuple[int, float] | None = None

    def __post_init__(self) -> None:
        """Refuse names that no file can hold, before the run that would write them.

        Raises:
            InputError: as a ``ClassLabel`` in the metadata of a parquet file may have them.
        """
        refuse(f"the label name {name!r} holds {HALF}: rename it" for name in self.names if SURROGATE.search(name))

    # Columns of the data

    @classmethod
    @abstractmethod
    def read(
        cls, splits: DatasetDict, columns: list[str], label_names: str | None, *, asked: bool
    ) -> tuple[dict[str, Any], tuple[str, ...], tuple[int, ...]]:
        """Read labels: the encoded ones by split, the names, and train's rows of each label.

        Args:
            splits: with labels.
            columns: of the labels.
            label_names: column of the names of numbered classes.
            asked: whether the user said that the labels are of this kind.

        Raises:
            InputError: all that is wrong with them.
        """

    @staticmethod
    @abstractmethod
    def feature() -> Any:
        """Type of the column ``labels``, of datasets."""

    # What a model is made with

    @property
    def num_labels(self) -> int:
        """Outputs of the model."""
        return len(self.names) or 1

    @property
    def num_classes(self) -> int | None:
        """Classes, where a label is the number of one."""
        return None

    @property
    def id2label(self) -> dict[int, str]:
        """Names by number, as a model's config has them; a regression's one output is called ``value``."""
        return dict(enumerate(self.names or ("value",)))

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What the model gives each example, in words."""

    # Training

    def recounted(self, values: Any) -> Self:
        """Return the same with the counts of these rows of train: encoded labels, (rows,) or (rows, labels)."""
        return replace(self, counts=self.count_labels(np.asarray(values)))

    @abstractmethod
    def count_labels(self, values: np.ndarray) -> tuple[int, ...]:
        """Rows that have each label."""

    @cached_property
    def weight(self) -> Tensor | None:
        """(labels,) weight of each label in the loss; None weighs all alike.

        Raises:
            InputError: weights that are not one a label.
        """
        import torch

        if self.options.class_weights is None:
            return None
        if self.options.class_weights == "balanced":
            return self.balanced(torch.tensor(self.counts, dtype=torch.float32))
        weight = torch.tensor(numbers(self.options.class_weights))
        if len(weight) != self.num_labels:
            raise InputError(
                f"class_weights {self.options.class_weights!r}: expected 'balanced', or {self.num_labels} numbers "
                f"above 0 with commas, in the order {', '.join(self.names[:5])}, …"
            )
        return weight

    def balanced(self, counts: Tensor) -> Tensor:
        """Weights, (labels,), that make up for rare labels; numbers, which have none, refuse them before."""
        raise NotImplementedError

    @cached_property
    @abstractmethod
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of logits (batch, outputs) and labels, summed over the batch.

        Raises:
            InputError: options that these labels do not have.
        """

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch, summed over its rows; those that an earlier model labelled have their weight."""
        logits, labels = self.outputs(model, model_inputs(batch)), batch["labels"]
        if self.taught is None:
            return self.criterion(logits, labels)
        first, weight = self.taught
        own = batch["ids"] < first
        return self.criterion(logits[own], labels[own]) + weight * self.criterion(logits[~own], labels[~own])

    def count(self, batch: Batch) -> Tensor:
        """What :meth:`loss` is to be divided by."""
        labels = batch["labels"]
        if self.taught is None:
            return self.items(labels)
        first, weight = self.taught
        own = batch["ids"] < first
        return self.items(labels[own]) + weight * self.items(labels[~own])

    def items(self, labels: Tensor) -> Tensor:
        """What the loss of some labels is to be divided by, ()."""
        from .. import losses

        return losses.item_count(labels)

    outputs = staticmethod(outputs)

    # Explanation

    @abstractmethod
    def asked(self, outputs: np.ndarray, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """What is to be explained of a row.

        Args:
            outputs: (outputs,) logits of the row, which choose what is explained by default.
            wanted: name or number of a class or label.
            against: of another one: their difference is explained.

        Raises:
            InputError: the model has no such output, or no two of them.
        """

    # Words, columns and pictures

    @abstractmethod
    def say(self, outputs: np.ndarray, top_k: int | None = None) -> list[dict[str, Any]]:
        """What (rows, outputs) logits say, one dict a row, as :func:`hf_attn.predict` gives it."""

    @abstractmethod
    def named(self, value: Any) -> str | list[str] | float:
        """A true label, as it is encoded, by its name: a class, a list of labels, or the number itself."""

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """What is said of some rows, and what they are, in words."""
        answers = self.say(predictions.outputs[list(rows)])
        truth = [None if predictions.labels is None else self.named(predictions.labels[row]) for row in rows]
        return [described(answer, true) for answer, true in zip(answers, truth, strict=True)]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Columns of ``predictions.parquet``: label, prediction, and probabilities in the order of the names."""
        said = [row["label"] for row in self.say(predictions.outputs)]
        truth = None if predictions.labels is None else [self.named(value) for value in predictions.labels]
        found = {"label": truth, "prediction": said, "probabilities": list(self.probabilities(predictions))}
        return {name: column for name, column in found.items() if column is not None}

    @abstractmethod
    def pictures(self, predictions: Predictions) -> list[Picture]:
        """What can be drawn of predictions whose truth is known."""

    def summary(self, predictions: Predictions) -> str:
        """What a terminal shows beside the scores; empty where that is nothing."""
        return ""
