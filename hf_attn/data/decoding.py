"""One image from its bytes or its file: RGB, upright, 8 bit, or a line that says why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..interface.printable import one_line
from .depth import DEPTHS, eight_bits, is_deep, is_wide, lower_bytes, sixteen_bits, white_of
from .paths import no_path
from .signatures import disguised

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO")
"""What is opened, known by its content, whatever the file is called; nothing that runs another program."""

EXTENSIONS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .jp2 .j2k .avif .ico".split()
)
"""Of the files of an image folder that are taken for images."""

ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
PAGED = ("TIFF", "MPO")


@dataclass(frozen=True)
class Seen:
    """What is to be told of an image: of several frames or pages, or the white of its more than 8 bits."""

    animated: bool = False
    paged: bool = False
    white: int | None = None


def decode(source: bytes | str | Path, name: str | None = None, white: int | None = None) -> Image:
    """The image as RGB.

    Grey and palette images become RGB, transparency is dropped (what lies under it shows), CMYK is converted, all as
    ``PIL.Image.convert("RGB")`` and so transformers' pipelines do; more than 8 bits are scaled to 8, not clipped; the
    orientation of EXIF is honoured; of several frames or pages the first is taken.

    Args:
        source: the bytes of a file, or its path.
        name: for the message; the path, if there is one.
        white: value of white in an image of 16 or 32 bits; by default the least of 8, 10, 12, 14 and 16 bits that holds
            all its values.

    Raises:
        InputError: no such file, no image, cut short, or more pixels than pillow's ``MAX_IMAGE_PIXELS``.
    """
    name = name or (f"image of {len(source)} bytes" if isinstance(source, bytes) else str(source))
    try:
        with quiet():
            return decode_frame(source, white)[0]
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def decode_frame(source: bytes | str | Path, white: int | None = None) -> tuple[Image, Seen]:
    """The image as :func:`decode` gives it, and what is to be told of it.

    For many images in several threads, within one :func:`quiet`; the message does not name the image.
    """
    try:
        with _opened(source) as image:
            several = bool(getattr(image, "is_animated", False)) or getattr(image, "n_frames", 1) > 1
            animated, paged = several and image.format in ANIMATED, several and image.format in PAGED
            lower = lower_bytes(_opened(source)) if is_wide(image) else None
            turned = _turned(image)
            values = sixteen_bits(turned, _turned(lower)) if lower else np.asarray(turned) if is_deep(turned) else None
            own = None if values is None else white_of(values)
            if values is None or (lower and max(own or 0, white or 0) == DEPTHS[-1]):
                return _rgb(turned), Seen(animated, paged, own)
            return eight_bits(values, white), Seen(animated, paged, own)
    except InputError:
        raise
    except Exception as error:  # a decoder raises what it likes: OSError, SyntaxError, struct.error, EOFError, …
        raise InputError(_reason(error)) from None


def is_image(source: Path) -> bool:
    """Whether a file is an image by its first bytes."""
    try:
        with quiet(), _opened(source):
            return True
    except Exception:
        return False


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
        why = no_path(str(source))
        if why or not Path(source).exists():
            told = "a link that leads to no file" if not why and Path(source).is_symlink() else "no such file"
            raise InputError(f"{told} ({why})" if why else told)
        if not Path(source).is_file():
            raise InputError("not a file")
    if not (len(source) if isinstance(source, bytes) else Path(source).stat().st_size):
        raise InputError("empty (0 bytes)")
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=known)
    except UnidentifiedImageError:
        what = disguised(source if isinstance(source, bytes) else _start(source))
        raise InputError(
            f"not an image but {what}" if what else "not an image, or of a format that is not read"
        ) from None
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


def _start(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(64)


def upright(image: Image, white: int | None = None) -> Image:
    """An opened image as :func:`decode` gives it: upright, RGB, 8 bit."""
    turned = _turned(image)
    return eight_bits(np.asarray(turned), white) if is_deep(turned) else _rgb(turned)


def _turned(image: Image) -> Image:
    from PIL import ImageOps

    image.load()
    return ImageOps.exif_transpose(image)


def _rgb(image: Image) -> Image:
    return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be read ({error.strerror})"
    return f"damaged or cut short ({one_line(error, most=120)})"
