"""One image from its bytes or its file: RGB, upright, 8 bit, or a line that says why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO")
"""What is opened, known by its content, whatever the file is called; nothing that runs another program."""

EXTENSIONS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .jp2 .j2k .avif .ico".split()
)
"""Of the files of an image folder that are taken for images."""

ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")


def decode(source: bytes | str | Path, name: str | None = None) -> Image:
    """The image as RGB.

    Grey and palette images become RGB, transparency is dropped (what lies under it shows), CMYK is converted, all as
    ``PIL.Image.convert("RGB")`` and so transformers' pipelines do; 16 bits are scaled to 8, not clipped; the
    orientation of EXIF is honoured; of several frames the first is taken.

    Args:
        source: the bytes of a file, or its path.
        name: for the message; the path, if there is one.

    Raises:
        InputError: no such file, no image, cut short, or more pixels than pillow's ``MAX_IMAGE_PIXELS``.
    """
    name = name or (f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source))
    try:
        with quiet():
            return decode_frame(source)[0]
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def decode_frame(source: bytes | str | Path) -> tuple[Image, bool]:
    """The image as :func:`decode` gives it, and whether it is the first of several frames.

    For many images in several threads, within one :func:`quiet`; the message does not name the image.
    """
    try:
        with _opened(source) as image:
            animated = image.format in ANIMATED and bool(getattr(image, "is_animated", False))
            return upright(image), animated
    except InputError:
        raise
    except Exception as error:  # a decoder raises what it likes: OSError, SyntaxError, struct.error, EOFError, …
        raise InputError(_reason(error)) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without pillow's warnings: what matters of them is refused or counted here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _opened(source: bytes | str | Path) -> Image:
    """The image, of which no pixel is decoded yet."""
    from PIL import Image, UnidentifiedImageError

    if not isinstance(source, bytes):
        if not Path(source).exists():
            raise InputError("no such file")
        if not Path(source).is_file():
            raise InputError("not a file")
    if not (len(source) if isinstance(source, bytes) else Path(source).stat().st_size):
        raise InputError("empty (0 bytes)")
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=known)
    except UnidentifiedImageError:
        raise InputError("not an image, or of a format that is not read") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"too large to be decoded safely ({error})") from None
    limit = Image.MAX_IMAGE_PIXELS
    if limit and image.width * image.height > limit:
        image.close()
        raise InputError(
            f"{image.width} × {image.height} pixels are too many to be decoded safely (the limit is {limit}): "
            "make it smaller"
        )
    return image


def upright(image: Image) -> Image:
    """An opened image as :func:`decode` gives it: upright, RGB, 8 bit."""
    from PIL import ImageOps

    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("F", "I") or upright.mode.startswith("I;"):
        return _eight_bits(upright)
    if upright.mode == "P":
        upright = upright.convert("RGBA")
    return upright.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Grey of 16 bits as 8 bits, 65535 becoming 255."""
    from PIL import Image

    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise InputError(f"pixels from {values.min()} to {values.max()}: expected whole numbers of 8 or 16 bits")
    grey = (values.astype(np.uint32) + 128) // 257
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be read ({error.strerror})"
    text = " ".join(str(error).split())[:120]
    return f"damaged or cut short ({text or type(error).__name__})"
