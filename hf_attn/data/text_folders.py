"""Texts on disk as rows: a file for each, in folders of their classes, such as ``train/pos/12.txt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .class_folders import NO_CLASS, Kind, class_folders
from .contents import read_text
from .origin import mark_files

if TYPE_CHECKING:
    from datasets import Dataset

TEXTS = Kind("a text", "texts", frozenset({".txt"}), loose=True)


def text_folder(path: Path, splits: dict[str, tuple[str, ...]], encoding: str | None) -> dict[str, Dataset] | None:
    """The rows of a folder of texts: the columns ``text`` and ``label``; see :func:`class_folders.class_folders`.

    Raises:
        InputError: as there, or a file that is empty or not UTF-8 (or ``encoding``).
    """
    from datasets import ClassLabel, Dataset, Features, Value

    found = class_folders(path, splits, TEXTS)
    if found is None:
        return None
    names = sorted({name for classes in found.values() for name in classes} - {NO_CLASS})
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    made = {}
    for split, classes in found.items():
        number = {NO_CLASS: -1, **{name: index for index, name in enumerate(names)}}
        files = [(file, number[name]) for name, many in classes.items() for file in many]
        rows = {
            "text": [_text(file, encoding) for file, _ in files],
            "label": [label for _, label in files],
        }
        shown = [str(file.relative_to(path)) for file, _ in files]
        made[split] = mark_files(Dataset.from_dict(rows, features), shown)
    return made


def _text(file: Path, encoding: str | None) -> str:
    return read_text(file, encoding) if file.stat().st_size else ""
