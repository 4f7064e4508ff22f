"""Where a model attends: in one text, and what a run shows of its test split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interface.plotting import Picture
from ..interface.printable import one_line
from ..tasks.predict import outputs, target_of
from ..tasks.table import task_of
from ..training.evaluation import Predictions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..tasks.contracts import Examples, Target

logger = logging.getLogger(__name__)

ERRORS = 24
"""Examples on the sheet of errors."""


def attend(
    model: PreTrainedModel, processor: Any, one: Any, text_pair: str | None = None, *, label: str | None = None
) -> Any:
    """Run one input through a trained model and return what it says of it and where it attends in it.

    Args:
        model: of texts or images.
        processor: its tokenizer or image processor.
        one: a text, or an image as :func:`hf_attn.predict` takes it.
        text_pair: a second text.
        label: what it is, where that is known.

    Raises:
        InputError: what the model does not take, or attention that cannot be seen.
    """
    inputs = task_of(model).input
    found = outputs(model, inputs.read([one], None if text_pair is None else [text_pair]), processor, 1)
    said = target_of(model, found, processor).described(Predictions(np.arange(1), found), [0])[0].said
    return inputs.attend(model, processor, one, text_pair, prediction=said, label=label)


@dataclass(frozen=True)
class Shown:
    """What a run shows of its examples: pictures, and lines for a terminal."""

    pictures: Sequence[Picture] = ()
    text: str = ""


def shown(model: PreTrainedModel, examples: Examples, target: Target, predictions: Predictions) -> Shown:
    """Return the greatest errors on a test split and where the model attends in some of its examples.

    Args:
        model: trained.
        examples: of the split.
        target: what is predicted.
        predictions: for the rows of the split, in their order.
    """
    pictures: list[Picture] = []
    right = None
    if predictions.labels is not None:
        worst = np.argsort(-target.row_losses(predictions), kind="stable")[:ERRORS].tolist()
        said = target.described(predictions, worst)
        titles = [f"{one.true}\n→ {one.said}" + ("" if one.score is None else f" {one.score:.2f}") for one in said]
        pictures = examples.sheet(worst, titles, [one.wrong for one in said])
        right = target.right(predictions).tolist()
    rows = examples.chosen(right)
    said = target.described(predictions, rows)
    try:
        seen = examples.attended(model, rows, [one.said for one in said], [one.true for one in said])
    except Exception as error:  # the model is trained and not saved yet: a picture must not cost it
        logger.warning("no picture of where the model attends: %s", one_line(error))
        seen = []
    return Shown([*pictures, *examples.pictures(seen)], examples.text(seen))
