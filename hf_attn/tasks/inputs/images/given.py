"""Images that are given to :func:`hf_attn.predict`, made a list, or refused in a line that says what was given."""

from pathlib import Path
from typing import Any

from ....errors import InputError
from ..given import as_list


def read(inputs: Any, text_pair: Any = None, run: Any = None) -> list[Any]:
    """Return what is given as a list of images: files, pillow images or arrays.

    Raises:
        InputError: second texts, one image, or what :func:`as_list` refuses.
    """
    if text_pair is not None:
        raise InputError("text_pair given, but this model classifies images")
    return images_of(inputs)


def images_of(images: Any) -> list[Any]:
    """Return images as a list.

    Raises:
        InputError: one image, or what :func:`as_list` refuses.
    """
    from PIL.Image import Image

    if isinstance(images, str | bytes | Path | Image):
        raise InputError(f"images is one {type(images).__name__}, expected a list: [image]")
    if getattr(images, "ndim", 1) in (2, 3):
        raise InputError(f"images is one array of shape {tuple(images.shape)}, expected a list: [image]")
    return as_list(images, "images")
