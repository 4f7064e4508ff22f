"""What a run on images shows beside its scores: the worst errors, and where the model attends."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..tasks.inputs.images.shown import attention_over_patches, contact_sheet
from . import patches

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

    from ..tasks.inputs.images.pixels import PixelRows
    from ..tasks.inputs.images.processing import Processing
    from ..tasks.targets.labels.labels import Labels
    from ..training.evaluation import Predictions

ERRORS, ATTENDED = 24, 4
"""Images on the sheet of errors, and in the picture of attention."""


def pictures(
    model: "PreTrainedModel", rows: "PixelRows", processing: "Processing", predictions: "Predictions", labels: "Labels"
) -> "dict[str, Callable[[], Figure]]":
    """Return what draws ``errors.png`` and, where the model's attention can be seen, ``patches.png``.

    Args:
        model: a trained model.
        rows: of the test split.
        processing: of the model.
        predictions: for these rows, in their order.
        labels: of the split.
    """
    worst = np.argsort(-losses(predictions, labels), kind="stable")[:ERRORS]
    said = [described(predictions, labels, row) for row in worst]
    drawn: dict[str, Callable[[], Figure]] = {
        "errors.png": partial(
            contact_sheet,
            [image(rows, row) for row in worst],
            [f"{true}\n→ {predicted}" for predicted, true, _ in said],
            "Greatest losses on the test split: true → predicted",
            wrong=[is_wrong for *_, is_wrong in said],
        )
    }
    some = np.linspace(0, len(rows) - 1, min(ATTENDED, len(rows))).astype(int)
    pixels = torch.from_numpy(np.stack([rows[int(row)]["pixels"] for row in some]))
    names = [described(predictions, labels, row) for row in some]
    attended = patches.attend(
        model, pixels, processing.normalize(pixels), [name for name, *_ in names], [true for _, true, _ in names]
    )
    if attended:
        drawn["patches.png"] = partial(attention_over_patches, attended)
    return drawn


def image(rows: "PixelRows", row: int) -> np.ndarray:
    """Return the pixels of a row, (height, width, 3) uint8."""
    return np.moveaxis(rows[int(row)]["pixels"], 0, -1)


def losses(predictions: "Predictions", labels: "Labels") -> np.ndarray:
    """Return how wrong each prediction is, (rows,): cross-entropy, its mean over labels, or the squared error."""
    logits, truth = torch.from_numpy(predictions.logits).double(), torch.from_numpy(np.asarray(predictions.labels))
    if labels.kind == "regression":
        return ((logits.flatten() - truth) ** 2).numpy()
    if labels.kind == "multi":
        return (
            torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.double(), reduction="none")
            .mean(1)
            .numpy()
        )
    return torch.nn.functional.cross_entropy(logits, truth.long(), reduction="none").numpy()


def described(predictions: "Predictions", labels: "Labels", row: int) -> tuple[str, str, bool]:
    """Return prediction and truth of a row as text, and whether they differ."""
    from ..tasks.targets.labels.scoring import probabilities
    from .attended import listed

    truth = np.asarray(predictions.labels)[row]
    if labels.kind == "regression":
        value = float(predictions.logits[row].reshape(-1)[0])
        return f"{value:.3g}", f"{float(truth):.3g}", False
    shares = probabilities(predictions, labels)[row]
    if labels.kind == "multi":
        said = [name for name, share in zip(labels.names, shares, strict=True) if share >= 0.5]
        true = [name for name, on in zip(labels.names, truth, strict=True) if on]
        return listed(said), listed(true), said != true
    best = int(shares.argmax())
    return f"{labels.names[best]} {shares[best]:.2f}", labels.names[int(truth)], best != int(truth)
