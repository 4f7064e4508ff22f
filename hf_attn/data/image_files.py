"""Images on disk as rows: a folder of class folders, and columns of paths beside a file; nothing is decoded here."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..errors import InputError
from .class_folders import Kind, rows_of_folders
from .columns import listing
from .decoding import EXTENSIONS
from .origin import carry, where
from .paths import no_path

if TYPE_CHECKING:
    from datasets import Dataset

IMAGES = Kind("an image", "images", EXTENSIONS)


def undecoded(split: Dataset) -> Dataset:
    """The split with its images as bytes and paths, so that reading another column decodes none of them."""
    from datasets import Image

    for name, feature in split.features.items():
        if (isinstance(feature, Image) and feature.decode) or _lacks_field(split, name):
            whole = split.cast_column(name, Image(decode=False))
            split = carry(whole, split)
    return split


def _lacks_field(split: Dataset, name: str) -> bool:
    """Whether a column has the bytes of images alone, or their paths alone."""
    import pyarrow.types as types

    kind = split.features.arrow_schema.field(name).type
    if not types.is_struct(kind) or {field.name for field in kind} not in ({"bytes"}, {"path"}):
        return False
    inner = kind[0].type
    of_bytes = types.is_binary(inner) or types.is_large_binary(inner)
    return of_bytes if kind[0].name == "bytes" else types.is_string(inner) or types.is_large_string(inner)


def located(split: Dataset, column: str | None, file: Path) -> Dataset:
    """Rows of ``file`` whose column of paths, if it has one, is a column of images that knows where they lie.

    A path that leads to no file is that of the one image which it may mean: with blanks around it, backslashes,
    ``%20`` for a blank, without extension, or with letters of another case or form of Unicode.

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
    listed: dict[str, dict[str, list[str]]] = {}
    found = [
        {**value, "path": _placed(root, str(value["path"]), listed)} if _is_path(value) else value for value in given
    ]
    if outside := [row for row, value in enumerate(found) if _is_path(given[row]) and not value["path"]]:
        paths = [given[row]["path"] for row in outside]
        raise InputError(
            f"{file}: {len(outside)} paths in '{column}' lie outside the folder of the file: {listing(paths)} "
            f"({where(split, outside)}); write them as seen from that folder, with the images beneath it"
        )
    added = split.add_column("__image__", found, feature=Image(decode=False))
    return carry(added.remove_columns(column).rename_column("__image__", column), split)


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


def _placed(root: str, path: str, listed: dict[str, dict[str, list[str]]]) -> str:
    """The absolute path of what a path means; an address or base64 as it is, "" for one that leaves ``root``."""
    found = [whole for spelled in _spellings(path) if (whole := _beneath(root, spelled))]
    if there := next(filter(os.path.lexists, found), None):
        return there
    if no_path(path) or not found:
        return path if no_path(path) else ""
    for whole in found:
        folder, name = os.path.split(whole)
        if folder not in listed:
            listed[folder] = _listed(folder)
        if len(same := listed[folder].get(_alike(name), [])) == 1:
            return os.path.join(folder, same[0])
    return found[-1] if "\\" in path else found[0]


def _spellings(path: str) -> Iterator[str]:
    """A path as it is written, and as it may be meant: blanks around it, ``file://``, backslashes, ``%20``."""
    yield path
    if not no_path(path) or path.startswith("file://"):
        bare = path.strip().removeprefix("file://")
        slashed = bare.replace("\\", "/") if os.sep == "/" else bare
        yield from (bare, slashed, unquote(slashed))


def _alike(name: str) -> str:
    """What two spellings of a file's name have in common: its letters, in whatever case and form of Unicode."""
    return unicodedata.normalize("NFC", name).casefold()


def _listed(folder: str) -> dict[str, list[str]]:
    """The images of a folder by their names, with and without extension."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, extension = os.path.splitext(name)
        if extension.lower() in EXTENSIONS:
            found.setdefault(_alike(name), []).append(name)
            found.setdefault(_alike(stem), []).append(name)
    return found


def _beneath(root: str, path: Any) -> str:
    """The absolute path, or "" if it leaves ``root``."""
    if "\0" in path:
        return ""
    whole = os.path.realpath(os.path.join(root, path))
    return whole if os.path.commonpath([root, whole]) == root else ""


def folder_splits(path: Path, splits: dict[str, tuple[str, ...]]) -> dict[str, Dataset] | None:
    """The rows of an image folder: ``path/train/CLASS/*.png`` and so on, or ``path/CLASS/*.png``.

    Classes are named after their folders and sorted; rows are sorted by class and name.

    Args:
        path: folder.
        splits: names that the folder of a split may have, by split.

    Returns:
        By split (``train`` alone if there are only classes) the columns ``image`` and ``label``, or None if no folder
        beneath holds images.

    Raises:
        InputError: as :func:`class_folders.class_folders`.
    """
    from datasets import Image

    return rows_of_folders(
        path, splits, IMAGES, "image", Image(decode=False), lambda file: {"bytes": None, "path": str(file)}
    )
