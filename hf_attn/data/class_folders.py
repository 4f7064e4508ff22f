"""Class folders: ``train/CLASS/…`` and so on, or ``CLASS/…``; which files are of which class, and their rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .columns import listing, refuse
from .origin import mark_files

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

CLUTTER = ("thumbs.db", "desktop.ini")
TABLES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""Folders beside class folders whose files have no class, such as IMDb's."""


@dataclass(frozen=True)
class Kind:
    """What the files of class folders are: one of them, many, by their extensions; loose ones may be left out."""

    one: str
    many: str
    extensions: frozenset[str]
    loose: bool = False

    def among(self, files: Iterable[Path]) -> list[Path]:
        """The files of this kind."""
        return [file for file in files if file.suffix.lower() in self.extensions]


NO_CLASS = ""
"""Of the files of a test split without class folders."""
Found = dict[str, dict[str, list[Path]]]
"""Files by class by split."""


def class_folders(path: Path, splits: dict[str, tuple[str, ...]], kind: Kind) -> Found | None:
    """The files of a folder by split (``train`` alone if there are only classes) and class, both sorted.

    Hidden files and folders in a class folder are left out, and so are, with a warning, files of another kind, and
    links that lead nowhere. The files of a test split without class folders have :data:`NO_CLASS`.

    Args:
        path: folder.
        splits: names that the folder of a split may have, by split.
        kind: of the files.

    Returns:
        None if no folder beneath holds such files.

    Raises:
        InputError: files outside of class folders, class folders without files, two folders for one split.
    """
    folders = [child for child in visible(path) if child.is_dir()]
    by_split = {
        split: [folder for folder in folders if folder.name.lower() in names] for split, names in splits.items()
    }
    named = [folder for many in by_split.values() for folder in many]
    in_splits = bool(named) and (len(named) == len(folders) or any(_has_folders(folder) for folder in named))
    if not _holds(folders, kind, deep=in_splits) and (kind.loose or not kind.among(visible(path))):
        return None
    if not in_splits:
        return _checked({"train": path}, kind)
    twice = [", ".join(folder.name for folder in many) for many in by_split.values() if len(many) > 1]
    refuse(f"{path} has more than one folder for a split ({told}): keep one" for told in twice)
    if not by_split["train"]:
        raise InputError(f"{path} has no train folder, only {listing([folder.name for folder in folders])}")
    if others := [folder.name for folder in folders if folder not in named]:
        log.warning("%s: %s left out, which are no splits", path, listing(others))
    return _checked({split: many[0] for split, many in by_split.items() if many}, kind)


def rows_of_folders(
    path: Path, splits: dict[str, tuple[str, ...]], kind: Kind, column: str, feature: Any, read: Callable[[Path], Any]
) -> dict[str, Dataset] | None:
    """The rows of a folder of class folders: ``column`` and ``label``, sorted by class and name; see above.

    Args:
        path: folder.
        splits: names that the folder of a split may have, by split.
        kind: of the files.
        column: name of what the files hold.
        feature: its type.
        read: gives it, of a file.

    Returns:
        None if no folder beneath holds such files.

    Raises:
        InputError: as :func:`class_folders`, or what ``read`` refuses.
    """
    from datasets import ClassLabel, Dataset, Features

    found = class_folders(path, splits, kind)
    if found is None:
        return None
    names = sorted({name for classes in found.values() for name in classes} - {NO_CLASS})
    features = Features({column: feature, "label": ClassLabel(names=names)})
    number = {NO_CLASS: -1, **{name: index for index, name in enumerate(names)}}
    made = {}
    for split, classes in found.items():
        files = [(file, number[name]) for name, many in classes.items() for file in many]
        rows = {column: [read(file) for file, _ in files], "label": [label for _, label in files]}
        made[split] = mark_files(Dataset.from_dict(rows, features), [str(file.relative_to(path)) for file, _ in files])
    return made


def _checked(roots: dict[str, Path], kind: Kind) -> Found:
    found = {split: _classes(root) for split, root in roots.items()}
    if "test" in found and found["train"] and not found["test"] and (loose := kind.among(visible(roots["test"]))):
        found["test"] = {NO_CLASS: loose}
    refuse(
        mistake
        for split, root in roots.items()
        if NO_CLASS not in found[split]
        for mistake in _unusable(root, found[split], kind)
    )
    files = [file for classes in found.values() for many in classes.values() for file in many]
    lost = {file for file in files if not file.exists()}
    if lost:
        log.warning(
            "%d links that lead to no file are left out: %s",
            len(lost),
            names_of([file for file in files if file in lost]),
        )
    if ignored := sorted(set(files) - lost - set(kind.among(files))):
        log.warning("%d files left out, which have no extension of %s: %s", len(ignored), kind.one, names_of(ignored))
    return {
        split: {name: [file for file in kind.among(many) if file not in lost] for name, many in sorted(classes.items())}
        for split, classes in found.items()
    }


def _unusable(root: Path, classes: dict[str, list[Path]], kind: Kind) -> list[str]:
    mistakes = []
    if loose := kind.among(visible(root)):
        told = f"{root} holds {len(loose)} {kind.many} outside of class folders ({names_of(loose)})"
        if kind.loose:
            log.warning("%s: they are left out", told)
        else:
            tables = [file.name for file in (*visible(root), *visible(root.parent)) if file.suffix.lower() in TABLES]
            other = f", or give {tables[0]} itself if it has their paths and classes" if tables else ""
            mistakes.append(f"{told}: put each into a folder named after its class{other}")
    empty = [name for name, files in classes.items() if not any(file.exists() for file in kind.among(files))]
    if empty:
        mistakes.append(f"{root} has class folders without {kind.many}: {listing(empty)}; remove or fill them")
    if odd := [file for files in classes.values() for file in files if re.search("[\ud800-\udfff]", str(file))]:
        mistakes.append(f"{root} has {len(odd)} files whose names are not UTF-8: {names_of(odd)!a}; rename them")
    return mistakes


def _classes(root: Path) -> dict[str, list[Path]]:
    """The files of each class folder, and links that lead nowhere."""
    classes = {child.name: visible(child) for child in visible(root) if child.is_dir()}
    if unlabelled := [name for name in classes if name.lower() in UNLABELLED]:
        log.warning("%s: %s left out, which names no class", root, listing(unlabelled))
    classes = {name: files for name, files in classes.items() if name not in unlabelled}
    for name, files in classes.items():
        if nested := [child for child in files if child.is_dir()]:
            log.warning("%s: folders in the class folder %s left out: %s", root, name, names_of(nested))
    return {
        name: [file for file in files if file.is_file() or (file.is_symlink() and not file.exists())]
        for name, files in classes.items()
    }


def visible(folder: Path) -> list[Path]:
    """What is in a folder, sorted, but for hidden files and what systems leave there."""
    try:
        shown = [child for child in folder.iterdir() if not child.name.startswith((".", "__MACOSX"))]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from None
    return sorted(child for child in shown if child.name.lower() not in CLUTTER)


def _has_folders(folder: Path) -> bool:
    return any(child.is_dir() for child in visible(folder))


def _holds(folders: list[Path], kind: Kind, deep: bool) -> bool:
    """Whether there are such files in a folder, or, where it is a split, in a folder of it."""
    for folder in folders:
        children = visible(folder)
        if (kind.among(children) and not (deep and kind.loose)) or (
            deep and any(kind.among(visible(child)) for child in children if child.is_dir())
        ):
            return True
    return False


def names_of(files: list[Path]) -> str:
    """Some files by their names and their folders'."""
    return listing([f"{file.parent.name}/{file.name}" for file in files])
