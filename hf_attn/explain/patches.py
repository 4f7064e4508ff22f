"""Images, what a model says of them, and where it attends in them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..tasks.inputs.example import AttendedImage

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def attend(
    model: "PreTrainedModel",
    pixels: Tensor,
    pixel_values: Tensor,
    predictions: Sequence[str],
    labels: Sequence[str | None],
) -> list[AttendedImage]:
    """Run some images through a model and return where it attends in them; an empty list if that cannot be seen.

    A ViT is read at its class token, or as the mean over patches where it has none: in the last layer, heads averaged,
    and rolled out over all layers. A head that pools a feature map shows its own weights.

    Args:
        model: a trained model.
        pixels: (images, 3, height, width) uint8.
        pixel_values: the same as the model takes them.
        predictions: what the model says of each.
        labels: what each is, or None.
    """
    found = maps_of(model, pixel_values.to(model.device))
    if not found:
        return []
    shown = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return [
        AttendedImage(shown[i], {title: grids[i] for title, grids in found.items()}, predictions[i], labels[i])
        for i in range(len(shown))
    ]


def maps_of(model: "PreTrainedModel", pixel_values: Tensor) -> dict[str, np.ndarray]:
    """Return (images, rows, columns) weights by title."""
    from ..attention import attention_map, attention_rollout, supported
    from ..attention.backbones import grid_of

    inputs = {"pixel_values": pixel_values}
    own: Any = getattr(model, "attention_over_positions", None)
    try:
        if own is not None:
            grid = own(pixel_values).float().mean(1).cpu().numpy()
            return {"head, mean of queries": grid} if min(grid.shape[1:]) > 1 else {}
        if not supported(type(model)):
            return {}
        last = attention_map(model, inputs, layers=[-1])[0].mean(1)
        rolled = attention_rollout(model, inputs)
    except (ValueError, IndexError):
        return {}
    config = getattr(model.config, "vision_config", model.config)
    grid = grid_of(config, last.shape[-1], pixel_values.shape[-2:])
    grids = {"last layer, mean of heads": patch_rows(last, grid), "rollout over all layers": patch_rows(rolled, grid)}
    return {title: grid for title, grid in grids.items() if grid is not None}


def patch_rows(weights: Tensor, grid: tuple[int, int] | None) -> np.ndarray | None:
    """Return the class token's weights of the patches, (images, rows, columns), of (images, tokens, tokens) weights.

    The patches are the last tokens; without a token before them it is the mean of all rows. None where the tokens are
    no such grid.
    """
    tokens = weights.shape[-1]
    if grid is None or min(grid) < 2 or weights.shape[-2] != tokens:
        return None
    before = tokens - grid[0] * grid[1]
    row = weights[:, 0] if before else weights.mean(1)
    return row[:, before:].reshape(-1, *grid).float().cpu().numpy()
