"""Predictions for images: what is given, made what the model takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel

    from .processing import Processing


def image_logits(model: "PreTrainedModel", processor: Any, images: Sequence[Any], batch_size: int) -> np.ndarray:
    """Return (images, outputs) float32 logits; the model's mode is left as it was.

    Raises:
        InputError: images that cannot be read, or are none; or a model that does not take three channels.
    """
    import torch

    from ....attention.modes import evaluation_mode
    from ....models import check_takes_colour
    from .processing import Processing

    check_takes_colour(model)
    processing = Processing(processor)
    rows = pixels_of(images, processing)
    found = np.zeros((len(rows), model.config.num_labels or 1), np.float32)
    with evaluation_mode(model), torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            pixels = np.stack(rows[start : start + batch_size])
            values = processing.normalize(torch.from_numpy(pixels).to(model.device))
            found[start : start + len(pixels)] = model(pixel_values=values).logits.float().cpu().numpy()
    return found


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


def read_images(
    given: Sequence[str], column: str | None = None, delimiter: str | None = None, encoding: str | None = None
) -> tuple[list[str], list[Any], Any]:
    """Return names and sources of images (files, those of a folder, or of a table's column), and that table or None.

    Args:
        given: image files and folders of them, or one table of them; see :func:`data.files.read_files`.
        column: of the images, or of their paths, in that file; ``image``, or the only one of images, by default.
        delimiter: between the fields of a csv or tsv file.
        encoding: of a file of text; UTF-8 by default.

    Raises:
        InputError: nothing there, or a column that holds no images.
    """
    from ....data.contents import extension
    from ....data.decoding import EXTENSIONS
    from ....data.files import READERS
    from ..given import for_tables

    path = Path(given[0])
    if len(given) == 1 and (extension(path) in READERS or (delimiter is not None and path.is_file())):
        return _from_table(path, column or "image", delimiter, encoding)
    for_tables(image=column, delimiter=delimiter, encoding=encoding)
    files: list[Path] = []
    for name in given:
        found = Path(name)
        if found.is_dir():
            inside = sorted(file for file in found.rglob("*") if file.suffix.lower() in EXTENSIONS)
            if not inside:
                raise InputError(f"{name} holds no image ({', '.join(sorted(EXTENSIONS))})")
            files += inside
        else:
            files.append(found)
    return [str(file) for file in files], list(files), None


def _from_table(
    path: Path, column: str, delimiter: str | None, encoding: str | None
) -> tuple[list[str], list[Any], Any]:
    from datasets import DatasetDict

    from ....data.files import read
    from ....data.image_files import located, source_of
    from ....data.images import check_images, image_column

    if not path.exists():
        raise InputError(f"no such file: {path}")
    table = located(read(path, delimiter=delimiter, encoding=encoding, texts=(column,)), column, path)
    check_images(DatasetDict({str(path): table}), column)
    values = [value for batch in image_column(table, column) for value in batch]
    sources = [source_of(value) for value in values]
    names = [str(v["path"]) if isinstance(v, dict) and v.get("path") else str(row) for row, v in enumerate(values)]
    return names, [source if isinstance(source, bytes) else Path(source) for source in sources], table
