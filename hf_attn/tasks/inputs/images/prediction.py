"""Predictions for images: what is given, made batches that a trained model takes."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....models.checkpoint_files import check_model_folder
from ....models.image_processor import load_image_processor

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from transformers import PreTrainedModel

    from .processing import Processing

check_folder, load_processor = check_model_folder, load_image_processor


def takes(model: "PreTrainedModel") -> bool:
    """Return whether a model's input is an image."""
    names = inspect.signature(model.forward).parameters
    return model.main_input_name == "pixel_values" or ("pixel_values" in names and "input_ids" not in names)


def batches(
    given: Sequence[Any], processor: Any, model: "PreTrainedModel", batch_size: int
) -> "Iterator[dict[str, torch.Tensor]]":
    """Yield batches of ``pixel_values`` with the ``ids`` of their images, normalised on the model's device.

    Raises:
        InputError: images that cannot be read, or are none; or a model that does not take three channels.
    """
    import torch

    from ....models import check_takes_colour
    from .processing import Processing

    check_takes_colour(model)
    processing = Processing(processor)
    rows = pixels_of(given, processing)
    for start in range(0, len(rows), batch_size):
        pixels = torch.from_numpy(np.stack(rows[start : start + batch_size]))
        values = processing.normalize(pixels.to(model.device)).to(model.dtype)
        yield {"pixel_values": values, "ids": torch.arange(start, start + len(pixels))}


def pixels_of(images: Sequence[Any], processing: "Processing") -> list[np.ndarray]:
    """Return the pixels, (3, height, width) uint8, of files, bytes, pillow images or arrays (height, width[, 3]).

    One image is open at a time: a photograph takes hundreds of times the memory of what the model sees of it.

    Raises:
        InputError: all that cannot be read, by place in the list.
    """
    made, wrong = [], []
    for index, image in enumerate(images):
        try:
            made.extend(processing.pixels([opened(image, processing.white)]))
        except InputError as error:
            name = "" if isinstance(image, str | Path) else f"image {index}: "
            wrong.append(f"{name}{error}")
    if wrong:
        raise InputError("; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""))
    return made


def opened(image: Any, white: int | None = None) -> "Image":
    """Return an RGB image of a file, bytes, a pillow image or an array (height, width[, 3]) of bytes.

    Args:
        image: The one to open.
        white: Of images of more than 8 bits, as :func:`data.decoding.decode` takes it.

    Raises:
        InputError: it is none of these, or cannot be read.
    """
    from PIL import Image

    from ....data.decoding import decode, upright

    if isinstance(image, str | Path | bytes):
        return decode(image, white=white)
    if isinstance(image, Image.Image):
        return upright(image, white)
    if isinstance(image, dict) and image.keys() <= {"bytes", "path"} and any(image.values()):
        return decode(image.get("bytes") or image["path"], white=white)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        given = f"an array of {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"{given} given, expected a file, a pillow image or an array of uint8")
    try:
        if not image.size:
            raise ValueError("it has no pixels")
        return Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).convert("RGB")
    except (TypeError, ValueError) as error:
        raise InputError(f"an array of shape {image.shape} is no image: {error}") from None
