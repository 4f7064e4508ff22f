"""Images of more than 8 bits a value, as 8 bits: scaled by their white, never cut off."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

DEPTHS = (255, 1023, 4095, 16383, 65535)
"""White of 8, 10, 12, 14 and 16 bits."""
SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
COLOURS = ("RGB", "RGBA", "RGBX")


def is_deep(image: Image) -> bool:
    """Whether an image has more than 8 bits a value in pillow."""
    return image.mode in ("F", "I") or image.mode.startswith("I;")


def is_wide(image: Any) -> bool:
    """Whether an image that is not yet decoded has 16 bits a value of which pillow keeps the upper 8 alone."""
    name, _, order = _raw_mode(image).partition(";")
    return order in SWAPPED and name in (*COLOURS, "LA") and len(image.tile) == 1


def lower_bytes(image: Any) -> Any:
    """The lower bytes of an image that :func:`is_wide`: what pillow gives where it is told the other order of bytes."""
    tile, (name, _, order) = image.tile[0], _raw_mode(image).partition(";")
    raw = f"{name};{SWAPPED[order]}" if name in COLOURS else "RGBA"  # grey: two bytes of it, two of transparency
    if name not in COLOURS:
        image._mode = "RGBA"
    image.tile = [tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))]
    with image:
        image.load()
        if name in COLOURS:
            return image
        grey = image.getchannel("G")
        grey.info = image.info
        return grey


def _raw_mode(image: Any) -> str:
    args = next((tile.args for tile in getattr(image, "tile", ())), None)
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


def sixteen_bits(upper: Image, lower: Image) -> np.ndarray:
    """(height, width[, 3]) values without transparency, of both bytes."""
    colours = 1 if lower.mode == "L" else 3
    high, low = (np.atleast_3d(np.asarray(one))[..., :colours].astype(np.uint16) for one in (upper, lower))
    return np.squeeze(high * 256 + low, -1) if colours == 1 else high * 256 + low


def white_of(values: np.ndarray) -> int:
    """The white of the least depth that holds all values.

    Raises:
        InputError: values that are no whole numbers of up to 16 bits.
    """
    least, most = values.min(), values.max()
    whole = values.dtype.kind != "f" or (np.isfinite(values).all() and (values == np.floor(values)).all())
    if not whole or least < 0 or most > DEPTHS[-1]:
        raise InputError(f"pixels from {least} to {most}: expected whole numbers of 8 or 16 bits")
    return next(white for white in DEPTHS if most <= white)


def eight_bits(values: np.ndarray, white: int | None) -> Image:
    """The values as RGB of 8 bits, white becoming 255."""
    from PIL import Image

    white = max(white or 0, white_of(values))
    return Image.fromarray(((values.astype(np.uint64) * 255 + white // 2) // white).astype(np.uint8)).convert("RGB")
