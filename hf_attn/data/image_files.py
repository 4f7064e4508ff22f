"""Images on disk as rows: a folder of class folders, and columns of paths beside a file; nothing is decoded here."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .columns import listing, refuse
from .decoding import EXTENSIONS

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

CLUTTER = ("thumbs.db", "desktop.ini")


def undecoded(split: Dataset) -> Dataset:
    """The split with its images as bytes and paths, so that reading another column decodes none of them."""
    from datasets import Image

    for name, feature in split.features.items():
        if isinstance(feature, Image) and feature.decode:
            split = split.cast_column(name, Image(decode=False))
    return split


def located(split: Dataset, column: str | None, file: Path) -> Dataset:
    """Rows of ``file`` whose column of paths, if it has one, is a column of images that knows where they lie.

    Args:
        split: rows.
        column: of texts that are paths, or of images that may hold paths; from the folder of ``file``.
        file: where the rows were read.

    Raises:
        InputError: paths that leave the folder of the file, by ``..``, an absolute path or a link.
    """
    if column is None or column not in split.column_names:
        return split
    import pyarrow.types as types
    from datasets import Image

    data_type = split.features.arrow_schema.field(column).type
    if types.is_string(data_type) or types.is_large_string(data_type):
        given = [{"bytes": None, "path": path or None} for path in split[column][:]]
    elif is_image_struct(data_type) and _lack_bytes(split, column):
        given = split[column][:]
    else:
        return split
    root = os.path.realpath(file.parent)
    found = [{**value, "path": _beneath(root, value["path"])} if _is_path(value) else value for value in given]
    if outside := [row for row, value in enumerate(found) if _is_path(given[row]) and not value["path"]]:
        paths = [given[row]["path"] for row in outside]
        raise InputError(
            f"{file}: {len(outside)} paths in '{column}' lie outside the folder of the file: {listing(paths)} "
            f"(rows {listing(outside)}, from 0); write them as seen from that folder, with the images beneath it"
        )
    added = split.add_column("__image__", found, feature=Image(decode=False))
    return added.remove_columns(column).rename_column("__image__", column)


def digest(image: dict[str, Any] | bytes | None) -> bytes:
    """sha256 of the bytes of an image, wherever they lie; nothing for one that cannot be read."""
    source = source_of(image)
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    try:
        if not Path(source).is_file():  # to read a pipe would wait for ever
            return b""
        with open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        return b""


def source_of(image: dict[str, Any] | bytes | None) -> bytes | str:
    """The bytes of an image, or the path where they are."""
    if isinstance(image, bytes):
        return image
    given = image or {}
    return given.get("path") or b"" if given.get("bytes") is None else given["bytes"]


def is_image_struct(data_type: Any) -> bool:
    """Whether a type of pyarrow is that of ``datasets.Image``: bytes and path."""
    import pyarrow.types as types

    return types.is_struct(data_type) and {field.name for field in data_type} == {"bytes", "path"}


def _lack_bytes(split: Dataset, column: str) -> bool:
    import pyarrow.compute

    return any(
        pyarrow.compute.struct_field(batch[column], "bytes").null_count
        for batch in split.select_columns([column]).with_format("arrow").iter(1000)
    )


def _is_path(value: Any) -> bool:
    return bool(value) and not value["bytes"] and bool(value["path"])


def _beneath(root: str, path: Any) -> str:
    """The absolute path, or "" if it leaves ``root``."""
    if "\0" in path:
        return ""
    whole = os.path.realpath(os.path.join(root, path))
    return whole if os.path.commonpath([root, whole]) == root else ""


def folder_splits(path: Path, splits: dict[str, tuple[str, ...]]) -> dict[str, Dataset] | None:
    """The rows of an image folder: ``path/train/CLASS/*.png`` and so on, or ``path/CLASS/*.png``.

    Classes are named after their folders and sorted; rows are sorted by class and name. Hidden files and folders in
    a class folder are left out, and so are, with a warning, files that are no images by their extension.

    Args:
        path: folder.
        splits: names that the folder of a split may have, by split.

    Returns:
        By split (``train`` alone if there are only classes) the columns ``image`` and ``label``, or None if no folder
        beneath holds images.

    Raises:
        InputError: images outside of class folders, class folders without images, two folders for one split.
    """
    folders = [child for child in _visible(path) if child.is_dir()]
    by_split = {
        split: [folder for folder in folders if folder.name.lower() in names] for split, names in splits.items()
    }
    named = [folder for many in by_split.values() for folder in many]
    in_splits = bool(named) and (len(named) == len(folders) or any(_has_folders(folder) for folder in named))
    if not _holds_images(folders, deep=in_splits) and not _images(_visible(path)):
        return None
    if not in_splits:
        return _datasets({"train": path})
    twice = [", ".join(folder.name for folder in many) for many in by_split.values() if len(many) > 1]
    refuse(f"{path} has more than one folder for a split ({told}): keep one" for told in twice)
    if not by_split["train"]:
        raise InputError(f"{path} has no train folder, only {listing([folder.name for folder in folders])}")
    if others := [folder.name for folder in folders if folder not in named]:
        log.warning("%s: %s left out, which are no splits", path, listing(others))
    return _datasets({split: many[0] for split, many in by_split.items() if many})


def _datasets(roots: dict[str, Path]) -> dict[str, Dataset]:
    from datasets import ClassLabel, Dataset, Features, Image

    found = {split: _classes(root) for split, root in roots.items()}
    refuse(mistake for split, root in roots.items() for mistake in _unusable(root, found[split]))
    files = [file for classes in found.values() for many in classes.values() for file in many]
    if ignored := sorted(set(files) - set(_images(files))):
        log.warning("%d files left out, which have no extension of an image: %s", len(ignored), _names(ignored))
    names = sorted({name for classes in found.values() for name in classes})
    features = Features({"image": Image(decode=False), "label": ClassLabel(names=names)})
    rows = {
        split: [
            {"image": {"bytes": None, "path": str(file)}, "label": names.index(name)}
            for name, files in sorted(classes.items())
            for file in _images(files)
        ]
        for split, classes in found.items()
    }
    return {split: Dataset.from_list(many, features=features) for split, many in rows.items()}


def _unusable(root: Path, classes: dict[str, list[Path]]) -> list[str]:
    mistakes = []
    if loose := _images(_visible(root)):
        mistakes.append(
            f"{root} holds {len(loose)} images outside of class folders ({_names(loose)}): put each into a folder "
            "named after its class"
        )
    if empty := [name for name, files in classes.items() if not _images(files)]:
        mistakes.append(f"{root} has class folders without images: {listing(empty)}; remove or fill them")
    if odd := [file for files in classes.values() for file in files if re.search("[\ud800-\udfff]", str(file))]:
        mistakes.append(f"{root} has {len(odd)} files whose names are not UTF-8: {_names(odd)!a}; rename them")
    return mistakes


def _classes(root: Path) -> dict[str, list[Path]]:
    """The files of each class folder."""
    classes = {child.name: _visible(child) for child in _visible(root) if child.is_dir()}
    for name, files in classes.items():
        if nested := [child for child in files if child.is_dir()]:
            log.warning("%s: folders in the class folder %s left out: %s", root, name, _names(nested))
    return {name: [file for file in files if file.is_file()] for name, files in classes.items()}


def _visible(folder: Path) -> list[Path]:
    try:
        shown = [child for child in folder.iterdir() if not child.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from None
    return sorted(child for child in shown if child.name.lower() not in CLUTTER)


def _images(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in EXTENSIONS]


def _has_folders(folder: Path) -> bool:
    return any(child.is_dir() for child in _visible(folder))


def _holds_images(folders: list[Path], deep: bool) -> bool:
    """Whether there are images in a folder, or, where it is a split, in a folder of it."""
    for folder in folders:
        children = _visible(folder)
        if _images(children) or (deep and any(_images(_visible(child)) for child in children if child.is_dir())):
            return True
    return False


def _names(files: list[Path]) -> str:
    return listing([f"{file.parent.name}/{file.name}" for file in files])
