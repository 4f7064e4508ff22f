"""Files that appear whole or not at all, whatever kills the program or fills the disk."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STAGE = ".unfinished"


def beside(path: Path) -> Path:
    """Where ``path`` is written before it takes its place; a killed program may leave it there."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, which becomes ``path`` at the end of the block; a link at ``path`` is replaced.

    What stood there stays as it was if the block fails.

    Raises:
        OSError: it could not be written.
    """
    place = beside(path)
    place.unlink(missing_ok=True)
    try:
        yield place
        flush(place)
        os.replace(place, path)
    finally:
        place.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    with whole(path) as place:
        place.write_text(text, encoding="utf-8")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write to, whose files take their places in ``folder`` at the end of the block.

    Each appears whole, weights after all others; a link in its place is replaced. What stood there stays as it was if
    the block fails.

    Raises:
        OSError: a file could not be written.
    """
    place = folder / STAGE
    remove_stage(folder)
    place.mkdir()
    try:
        yield place
        files = sorted(path for path in place.rglob("*") if path.is_file())
        for file in sorted(files, key=lambda file: file.suffix == ".safetensors"):
            flush(file)
            final = folder / file.relative_to(place)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, final)
        flush(folder)
    finally:
        remove_stage(folder)


def remove_stage(folder: Path) -> None:
    """Remove what a killed program left of :func:`whole_folder`."""
    place = folder / STAGE
    if place.is_symlink():
        place.unlink()
    shutil.rmtree(place, ignore_errors=True)


def as_os_error(error: Exception, what: str) -> OSError:
    """Return the OSError behind what torch, safetensors or arrow raised for a file they could not write.

    Args:
        error: what was raised.
        what: the message, with ``{reason}`` where the operating system's word goes.
    """
    cause = error.__context__ if isinstance(error.__context__, OSError) and not isinstance(error, OSError) else error
    text = " ".join(str(cause).split())  # whole: the code may stand behind a long path
    code = getattr(cause, "errno", None)
    if code is None:
        found = re.search(r"code: (\d+)|os error (\d+)", text)
        code = int(found[1] or found[2]) if found else errno.ENOSPC
        text = os.strerror(code) if found else text
    return OSError(code, what.format(reason=getattr(cause, "strerror", None) or text))


def flush(path: Path) -> None:
    """Have the disk hold what was written to the file or folder ``path``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
