"""Decode and resize every image once; what cannot be decoded is said in one message."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import UNLABELLED, listing, refuse
from ....data.decoding import EXTENSIONS, decode_frame, quiet
from ....data.depth import DEPTHS
from ....data.image_files import digest, source_of
from ....data.images import image_column
from ....data.origin import place_of
from ....errors import InputError
from ....interface.printable import one_line
from ....training.launcher import wait
from .pixel_cache import Notes, cache_root, key_of, stored, write
from .pixels import PixelRows
from .processing import Processing

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

BLOCK = 512
"""Rows whose files are in memory together."""
SHOWN = 3
MOST = 20_000
"""Files that are looked at for one that is not there."""


def load_pixels(
    splits: DatasetDict,
    image: str,
    processing: Processing,
    *,
    cache_dir: str | Path | None = None,
    skip_bad: bool = False,
    accelerator: Any = None,
    progress: bool = True,
) -> dict[str, PixelRows]:
    """The pixels of every image, resized and cropped: decoded once, then mapped from a file.

    Images of 16 or 32 bits have one white, the least of 8, 10, 12, 14 and 16 bits that holds the values of all of them;
    it is kept in ``processing`` and so with the model.

    The file is named by the sha256 of the images' bytes in their order, of the processor's settings, and of the
    versions of pillow and transformers, so that nothing stale is read. Where it cannot be written, the pixels stay in
    memory. Several programs may do this at once.

    Args:
        splits: with a column of images (:func:`images.check_images`) and, if there are any, ``labels``.
        image: the column.
        processing: resizes and crops.
        cache_dir: folder for the files; ``images`` in :func:`pixel_cache.cache_root` by default.
        skip_bad: leave out, and count in the log, what cannot be decoded, instead of refusing.
        accelerator: of several processes; the main one decodes, the others wait for it.
        progress: show a bar.

    Returns:
        The rows of each split; with ``skip_bad`` their ``ids`` say which are left.

    Raises:
        InputError: images that cannot be decoded, all splits together; or all of a class or split are left out.
    """
    folder = Path(cache_dir) if cache_dir else cache_root() / "images"
    main = accelerator is None or accelerator.is_main_process
    if not main:
        wait(accelerator)
    try:
        digests = {name: _digests(split, image) for name, split in splits.items()}

        def load() -> dict[str, tuple[np.ndarray, Notes]]:
            return {
                name: _load(split, image, processing, folder, digests[name], name if main and progress else None)
                for name, split in splits.items()
            }

        processing.white = None
        found = load()
        whites = {white for _, seen in found.values() for white in seen.whites}
        processing.white = max(whites, default=None)
        if len(whites) > 1:  # decoded by their own white: once more by that of all
            found = load()
    finally:
        if main and accelerator is not None:
            wait(accelerator)
    notes = {name: seen for name, (_, seen) in found.items()}
    if main:
        _tell(notes, digests)
    _refuse_bad(splits, image, notes, skip_bad)
    return {name: _rows(splits[name], pixels, seen) for name, (pixels, seen) in found.items()}


def _rows(split: Dataset, pixels: np.ndarray, notes: Notes) -> PixelRows:
    kept = np.delete(np.arange(len(split)), list(notes.bad))
    if "labels" not in split.column_names:
        return PixelRows(pixels, kept)
    labels = split.with_format("arrow")["labels"][:].to_pylist()
    return PixelRows(pixels, kept, np.asarray(labels)[kept])


def _digests(split: Dataset, image: str) -> list[bytes]:
    with ThreadPoolExecutor(_workers()) as pool:
        return [found for images in image_column(split, image, BLOCK) for found in pool.map(digest, images)]


def _load(
    split: Dataset, image: str, processing: Processing, folder: Path, digests: list[bytes], name: str | None
) -> tuple[np.ndarray, Notes]:
    shape = (len(split), 3, *processing.size)
    path = folder / f"{key_of(processing, digests)}.npy"
    if found := stored(path, shape):
        return found
    blocks = partial(_blocks, split, image, processing, digests, name)
    try:
        write(path, shape, blocks)
        if found := stored(path, shape):
            log.info("%d images cached in %s (%.1f MB)", len(split), path, path.stat().st_size / 1e6)
            return found
        reason = "it does not read back as it was written"
    except OSError as error:
        reason = error.strerror or str(error)
    log.warning("no cache of images in %s (%s): they stay in memory, %.1f MB", folder, reason, np.prod(shape) / 1e6)
    notes, pixels, at = Notes(), np.empty(shape, np.uint8), 0
    for block in blocks(notes):
        pixels[at : at + len(block)] = block
        at += len(block)
    return pixels, notes


def _blocks(
    split: Dataset, image: str, processing: Processing, digests: list[bytes], name: str | None, notes: Notes
) -> Iterator[np.ndarray]:
    """Pixels of some rows at a time, (rows, 3, height, width) uint8, zero where an image is bad."""
    from ....interface import progress

    at = 0
    bar = progress.bar(total=len(split), desc=f"decode {name}", unit=" images", disable=name is None, leave=False)
    with quiet(), ThreadPoolExecutor(_workers()) as pool, bar:
        for images in image_column(split, image, BLOCK):
            block = np.zeros((len(images), 3, *processing.size), np.uint8)
            for row, (pixels, seen) in enumerate(pool.map(partial(_decoded, processing), images, digests[at:])):
                if isinstance(pixels, str):
                    notes.bad[at + row] = pixels
                else:
                    block[row] = pixels
                notes.animated += seen.animated
                notes.thin += seen.thin
                notes.pages += seen.pages
                for white, count in seen.whites.items():
                    notes.whites[white] = notes.whites.get(white, 0) + count
                bar.update()
            at += len(images)
            yield block


def _decoded(processing: Processing, value: Any, seen: bytes) -> tuple[np.ndarray | str, Notes]:
    """The pixels, or why there are none; ``seen`` is the digest by which the cache will know them."""
    from PIL import Image

    try:
        image, told = decode_frame(source_of(value), processing.white)
        if digest(value) != seen:
            raise InputError("changed while it was read: start again")
        limit = Image.MAX_IMAGE_PIXELS
        if limit and processing.largest(*image.size) > limit:
            raise InputError(f"a strip of {image.width} × {image.height} pixels: too long to be resized and cropped")
        return processing.pixels([image])[0], Notes(
            animated=int(told.animated),
            thin=int(min(image.size) == 1),
            pages=int(told.paged),
            whites={told.white: 1} if told.white else {},
        )
    except InputError as error:
        return str(error), Notes()
    except Exception as error:
        return f"the image processor fails ({one_line(error)})", Notes()


def _workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tell(notes: dict[str, Notes], digests: dict[str, list[bytes]]) -> None:
    deep = Counter[int]()
    for seen in notes.values():
        deep.update(seen.whites)
    if deep and max(deep) < DEPTHS[-1]:
        log.warning(
            "%d images have 16 or 32 bits a value and use %d: %d is taken for white",
            deep.total(),
            max(deep).bit_length(),
            max(deep),
        )
    for name, seen in notes.items():
        if seen.animated:
            log.warning("%s has %d animated images: the first frame of each is taken", name, seen.animated)
        if seen.pages:
            log.warning(
                "%s has %d images of several pages (TIFF) or frames (MPO): the first of each is taken", name, seen.pages
            )
        if seen.thin:
            log.warning("%s has %d images of one pixel's width or height", name, seen.thin)
    trained = set(digests.get("train", ())) - {b""}
    for name, found in digests.items():
        again = sum(one in trained for one in found) if name not in ("train", UNLABELLED) else 0
        if again:
            log.warning("%d of the %d images of %s are also in train: its score will flatter", again, len(found), name)


def _refuse_bad(splits: DatasetDict, image: str, notes: dict[str, Notes], skip_bad: bool) -> None:
    bad = [(name, row) for name, seen in notes.items() for row in seen.bad]
    if not bad:
        return
    told = [
        f"{_where(splits[name], image, name, row)}: {notes[name].bad[row]}{_near(splits[name], image, row)}"
        for name, row in bad[:SHOWN]
    ]
    listed = listing([*told, *bad[SHOWN:]], SHOWN)
    rows = sum(len(split) for split in splits.values())
    if not skip_bad:
        raise InputError(
            f"{len(bad)} of {rows} images cannot be used: {listed}; repair or remove them, or --skip_bad_images"
        )
    log.warning("%d of %d images cannot be used and are left out: %s", len(bad), rows, listed)
    refuse(f"no image of {name} can be used" for name, seen in notes.items() if len(seen.bad) == len(splits[name]))
    if "train" in splits and "labels" in splits["train"].column_names:
        lost = _lost(splits["train"]["labels"][:], notes["train"].bad)
        refuse(f"no image is left of the class of {_where(splits['train'], image, 'train', row)}" for row in lost)


def _where(split: Dataset, image: str, name: str, row: int) -> str:
    value = next(image_column(split.select([row]), image))[0]
    path = value.get("path") if isinstance(value, dict) else None
    place = place_of(split, row) or f"row {row} of {name}"
    return f"{path if len(path) < 160 else path[:60] + '…'} ({place})" if path else place


def _near(split: Dataset, image: str, row: int) -> str:
    """Which images have the name of one that is not there, in its folder or one beneath."""
    value = next(image_column(split.select([row]), image))[0]
    path = Path((value.get("path") or "") if isinstance(value, dict) else "")
    if not path.name or os.path.lexists(path) or not path.parent.is_dir():
        return ""
    stems = {path.stem, path.name}
    beneath = (file for place in ("*", "*/*") for file in islice(path.parent.glob(place), MOST))
    near = [
        file.relative_to(path.parent) for file in beneath if file.stem in stems and file.suffix.lower() in EXTENSIONS
    ]
    return f" (there is {listing(near)})" if near else ""


def _lost(labels: list[Any], bad: dict[int, str]) -> list[int]:
    """A row of each class of which no row is left."""
    if not isinstance(labels[0], int):
        return []
    left = {label for row, label in enumerate(labels) if row not in bad}
    return list({labels[row]: row for row in bad if labels[row] not in left}.values())
