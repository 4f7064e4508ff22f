"""The tags of a trained model, as its configuration has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..labels.saved import label_names
from .layouts import of_names
from .tags import Tags

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def of_model(model: PreTrainedModel, outputs: int) -> Tags:
    """Return what a trained model says of a word; its names tell whether they say entities.

    Raises:
        InputError: two tags have one name, so that a prediction would not tell them apart.
    """
    names = label_names(model, outputs)
    return Tags(names, of_names(names))
