"""A folder as splits: files named after them, whole or in parts; class folders; or what ``save_to_disk`` wrote."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..interface.printable import one_line
from . import origin
from .class_folders import visible
from .columns import listing, refuse
from .contents import extension, stem
from .files import READERS, SPLITS, read_files, split_of
from .holdings import holdings
from .image_files import folder_splits, located, undecoded
from .text_folders import text_folder

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

SHARD = re.compile(r"-(\d{5})-of-(\d{5})(-[0-9a-f]{8,64})?$")
ABOUT = re.compile(r"dataset_infos?\.json$|~\$")
"""Files that tell of the data, or that a program leaves while it has them open."""


@dataclass(frozen=True)
class Source:
    """What was given, and how to read it; see :func:`sources.load_splits`."""

    name: str
    subset: str | None = None
    image: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    revision: str | None = None
    data_dir: str | None = None
    texts: tuple[str, ...] = ()
    inside: bool = False
    lines: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Extensions of the files that are read."""
        return (*READERS, ".txt") if self.lines else READERS


def read_given(files: list[Path], source: Source) -> list[dict[str, Dataset]]:
    """Read files of one set of data, with images where paths of them are; see :func:`files.read_files`."""
    texts = (*source.texts, source.image)
    lines = source.texts[0] if source.lines else None
    found = read_files(files, delimiter=source.delimiter, encoding=source.encoding, texts=texts, lines=lines)
    return [
        {name: located(undecoded(split), source.image, file) for name, split in parts.items()}
        for file, parts in zip(files, found, strict=True)
    ]


def read_folder(path: Path, source: Source) -> dict[str, Dataset]:
    """Read a folder by the names that its splits have there.

    Raises:
        InputError: nothing to read in it, several files for a split, or parts of one that are missing.
    """
    from datasets import load_from_disk

    if not path.is_dir():
        raise InputError(f"no folder {path}")
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        try:
            loaded = load_from_disk(str(path))
        except Exception as error:
            raise InputError(f"{path} does not load as a folder of save_to_disk: {one_line(error)}") from None
        splits = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
        return {name: located(undecoded(split), source.image, path / "images") for name, split in splits.items()}
    files = sorted(file for folder in (path, path / "data") if folder.is_dir() for file in folder.iterdir())
    found = {split: _files_of(split, files, source.kinds) for split in SPLITS}
    twice = [f"{split}: {', '.join(file.name for file in many)}" for split, many in found.items() if _not_shards(many)]
    if twice:
        raise InputError(f"{path} has more than one file for a split ({'; '.join(twice)}): keep one of each")
    refuse(_lost_shards(path, many) for many in found.values() if _lost_shards(path, many))
    if not found["train"]:
        of_folders = folder_splits(path, SPLITS)
        if of_folders is None and source.image is None:
            of_folders = text_folder(path, SPLITS, source.encoding)
        if of_folders:
            return of_folders
        lines = ".txt of a text a line" if source.lines else ".conll of a token a line"
        raise InputError(
            f"{path} has no train file (train.csv, .tsv, .json, .jsonl, .parquet, or {lines}), no "
            f"class folders of .txt and no class folders of images; {holdings(path)}"
        )
    every = [file for many in found.values() for file in many]
    _tell_left_out(path, files, every, source.kinds)
    parts = dict(zip(every, read_given(every, source), strict=True))
    return {split: _joined(many, [parts[file] for file in many]) for split, many in found.items() if many}


def _tell_left_out(path: Path, files: list[Path], read: list[Path], kinds: tuple[str, ...]) -> None:
    """Name the files of examples that no split is named after."""
    shown = {child.name for folder in (path, path / "data") if folder.is_dir() for child in visible(folder)}
    left = [
        file.relative_to(path)
        for file in files
        if file not in read and file.name in shown and extension(file) in kinds and not ABOUT.match(file.name)
    ]
    if left:
        names = ", ".join(name for many in SPLITS.values() for name in many)
        log.warning("%s: %s left out, which are named after no split (%s)", path, listing(left), names)


def _files_of(split: str, files: list[Path], kinds: tuple[str, ...]) -> list[Path]:
    return [file for file in files if extension(file) in kinds and split_of(SHARD.sub("", stem(file))) == split]


def _not_shards(files: list[Path]) -> bool:
    """Whether these are several files, but not ``train-00000-of-00002.parquet`` and its like."""
    return len(files) > 1 and (
        not all(SHARD.search(stem(file)) for file in files)
        or len({(file.parent, extension(file), SHARD.sub("", stem(file))) for file in files}) > 1
    )


def _lost_shards(path: Path, files: list[Path]) -> str:
    """A complaint, if files of a split say that there are more of them."""
    numbers = [found for file in files if (found := SHARD.search(stem(file)))]
    if not numbers:
        return ""
    there, count = sorted(int(found[1]) for found in numbers), int(numbers[0][2])
    lost = [number for number in range(count) if number not in there]
    if not lost and len(there) == count:
        return ""
    told = f"without {', '.join(f'{number:05}' for number in lost[:5])}" if lost else "with one given twice"
    return f"{path} has {len(there)} of {count} parts of {SHARD.sub('', stem(files[0]))}, {told}: keep each once"


def _joined(files: list[Path], parts: list[dict[str, Dataset]]) -> Dataset:
    from datasets import concatenate_datasets

    several = [(file, part) for file, part in zip(files, parts, strict=True) if set(part) != {""}]
    refuse(f"{file} holds several splits ({', '.join(part)}): give it alone" for file, part in several)
    splits = [part[""] for part in parts]
    if len(splits) == 1:
        return splits[0]
    try:
        return origin.joined(concatenate_datasets(splits), splits)
    except ValueError as error:
        raise InputError(f"{files[0]} and its other parts do not have the same columns: {one_line(error)}") from None
