"""The tags of a trained model, as its configuration has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..labels.saved import label_names
from .layouts import of_names
from .tags import Tags

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Tags:
    """Return what a trained model says of a word; its names tell whether they say entities.

    Raises:
        InputError: two tags have one name, so that a prediction would not tell them apart.
    """
    names = label_names(model, int(model.config.num_labels or 1))
    return Tags(names, of_names(names))
