"""The bytes and the text of a file: unpacked where it is compressed, and decoded, or a line that says how to."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import zlib
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.printable import one_line
from .charsets import advice, guess, seen_wrong
from .reading import HALF, SURROGATE, without_surrogates
from .signatures import disguised

log = logging.getLogger(__name__)

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
BLOCK = 1 << 24
LEAST_BOMB = 1 << 30
BOMB = 200
"""A file of more than a gigabyte that is so many times as long as it was packed is no data."""


def extension(path: Path) -> str:
    """What a file is by its name, without what it is packed by: ``.csv`` of ``a.csv.gz``."""
    packed = path.suffix.lower() in COMPRESSED
    return Path(path.stem).suffix.lower() if packed else path.suffix.lower()


def stem(path: Path) -> str:
    """The name of a file without its extensions: ``train`` of ``train.csv.gz``."""
    return Path(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked.

    Raises:
        InputError: it is not packed as its name says, cut short, or unpacks to absurdly much.
    """
    kind = path.suffix.lower()
    if kind not in COMPRESSED:
        return path.read_bytes()
    most, parts, total = max(LEAST_BOMB, BOMB * path.stat().st_size), [], 0
    try:
        with opened(path) as file:
            while part := file.read(BLOCK):
                parts.append(part)
                total += len(part)
                if total > most:
                    raise InputError(f"{path} unpacks to more than {most:,} bytes: unpack it yourself if that is right")
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{path} does not unpack as {kind}: {one_line(error)}: fetch it anew, or unpack it first"
        ) from None
    return b"".join(parts)


def opened(path: Path) -> Any:
    """Return a file of the bytes of a file, unpacked."""
    kind = path.suffix.lower()
    if kind == ".zst":
        import pyarrow

        return pyarrow.input_stream(str(path), compression="zstd")
    return {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(kind, open)(path, "rb")  # type: ignore[operator]


def read_text(path: Path, encoding: str | None = None) -> str:
    """The text of a file, UTF-8 unless another encoding is named; a byte order mark is no part of it.

    Raises:
        InputError: an unknown encoding, or bytes that are not of it, with the one that they seem to be of.
    """
    data = read_bytes(path)
    if not data:
        raise InputError(f"{path} is empty: expected a file of examples")
    if extension(path) != ".txt" and (told := disguised(data)):
        raise InputError(f"{path} is {told}")
    text = decoded(data, path, encoding)
    if "\0" in text:
        raise InputError(f"{path} holds NUL bytes: expected a text file in UTF-8")
    if half := SURROGATE.search(text):
        line = text.count("\n", 0, half.start()) + 1
        log.warning("%s: %s, first in line %d: U+FFFD takes its place", path, HALF, line)
        text = without_surrogates(text)
    if wrong := seen_wrong(text):
        log.warning(
            "%s holds %r, as a text does that was read in a wrong encoding and saved again: look at line %d",
            path,
            wrong[0],
            text.count("\n", 0, wrong.start()) + 1,
        )
    return text


def decoded(data: bytes, path: Path, encoding: str | None) -> str:
    """Bytes as text; see :func:`read_text`."""
    if encoding is None and b"\0" in data and (wide := guess(data)) and wide.startswith("utf-"):
        raise InputError(_not_utf8(path, data, UnicodeDecodeError("utf-8", data, 0, 1, "")))
    try:
        return data.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if encoding is None:
            raise InputError(_not_utf8(path, data, error)) from None
        raise InputError(
            f"{path} is not {encoding} (byte 0x{data[error.start]:02x} at position {error.start}): give another "
            "--encoding, or none for UTF-8"
        ) from None
    except (LookupError, ValueError, TypeError):
        raise InputError(
            f"unknown encoding {encoding!r}: expected a name such as utf-8, utf-16, cp1252, shift_jis or gbk"
        ) from None
    except UnicodeError as error:
        raise InputError(f"{path} is not {encoding}: {error}") from None


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> str:
    return f"{path} is not UTF-8 (byte 0x{data[error.start]:02x} at position {error.start}): {advice(data, error)}"
