"""The labels of a trained model, as its configuration has them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ....data.reading import characters
from ....errors import InputError
from .encoding import KINDS
from .labels import Labels
from .number import Number
from .one_class import OneClass

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Labels:
    """Return what a trained model says of a row.

    Args:
        model: with its configuration.
        outputs: the logits that it gives.
        processor: not used: labels have names.

    Raises:
        InputError: two classes have one name, so that a prediction would not tell them apart.
    """
    if outputs == 1:
        return Number()
    types = {cls.problem_type: cls for cls in KINDS.values()}
    cls = types.get(str(model.config.problem_type), OneClass)
    return cls(() if cls is Number else label_names(model, outputs))


def label_names(model: PreTrainedModel, outputs: int) -> tuple[str, ...]:
    """Return the names of a model's outputs; ``LABEL_0`` and so on where it has none.

    Raises:
        InputError: two have one name.
    """
    known = {int(index): str(name) for index, name in (model.config.id2label or {}).items()}
    names = tuple(characters([known.get(index, f"LABEL_{index}") for index in range(outputs)], "label names"))
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"the model has several classes named {twice[0]!r}: name each one in config.json, id2label")
    return names
