"""An array of pixels in a file that is whole or not there, mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ....interface.whole_files import flush
from .processing import Processing

VERSION = 4
DAY = 24 * 3600


@dataclass
class Notes:
    """What was seen while decoding: why a row is bad, how many have several frames, a side of one pixel, several pages;
    and how many of more than 8 bits have their white where.
    """

    bad: dict[int, str] = field(default_factory=dict)
    animated: int = 0
    thin: int = 0
    pages: int = 0
    whites: dict[int, int] = field(default_factory=dict)


Blocks = Callable[[Notes], Iterator[np.ndarray]]
"""Pixels of some rows at a time, (rows, 3, height, width) uint8; what is seen goes into the notes."""


def cache_root() -> Path:
    """``$HF_ATTN_CACHE``, else ``$XDG_CACHE_HOME/hf_attn``, else ``~/.cache/hf_attn``."""
    if given := os.environ.get("HF_ATTN_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hf_attn"


def key_of(processing: Processing, digests: list[bytes]) -> str:
    """All that the pixels depend on, as hex digits: images in their order, what is done to them, and by what."""
    import PIL
    import transformers

    versions = [VERSION, PIL.__version__, transformers.__version__]
    total = hashlib.sha256(json.dumps([versions, processing.settings, processing.size]).encode())
    for digest in digests:
        total.update(len(digest).to_bytes() + digest)
    return total.hexdigest()


def stored(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, Notes] | None:
    """The pixels and the notes of a file, if it is there, whole, and every byte is what was written."""
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        given = json.loads(path.with_suffix(".json").read_text())
        bad = {int(row): str(reason) for row, reason in given["bad"].items()}
        whites = {int(white): int(count) for white, count in given["whites"].items()}
        notes = Notes(bad, given["animated"], given["thin"], given["pages"], whites)
        whole = pixels.shape == shape and pixels.dtype == np.uint8 and checksum(pixels) == given["crc32"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError):
        return None
    return (pixels, notes) if whole else None


def checksum(pixels: np.ndarray, before: int = 0) -> int:
    """CRC-32 of an array's bytes, going on from that of the bytes before."""
    for part in np.array_split(pixels, max(1, pixels.nbytes >> 24)):
        before = zlib.crc32(np.ascontiguousarray(part).reshape(-1).data, before)
    return before


def write(path: Path, shape: tuple[int, ...], blocks: Blocks) -> None:
    """Write beside the place, then rename: the notes first, so that pixels never stand without them.

    Raises:
        OSError: the disk is full, or not to be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    beside = path.parent / f".{path.stem}.{uuid.uuid4().hex}.tmp"
    about, notes, crc32 = beside.with_suffix(".json.tmp"), Notes(), 0
    try:
        with open(beside, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.flush()
            if hasattr(os, "posix_fallocate"):  # a full disk is seen before the work
                os.posix_fallocate(file.fileno(), 0, file.tell() + int(np.prod(shape)))
            for block in blocks(notes):
                file.write(block.tobytes())
                crc32 = checksum(block, crc32)
        about.write_text(json.dumps({**asdict(notes), "crc32": crc32}))
        flush(about)
        flush(beside)
        os.replace(about, path.with_suffix(".json"))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
        about.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed process left a day ago or earlier."""
    for file in folder.glob(".*.tmp"):
        try:
            if time.time() - file.stat().st_mtime > DAY:
                file.unlink()
        except FileNotFoundError:
            continue
