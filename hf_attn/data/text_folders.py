"""Texts on disk as rows: a file for each, in folders of their classes, such as ``train/pos/12.txt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .class_folders import Kind, rows_of_folders
from .contents import read_text

if TYPE_CHECKING:
    from datasets import Dataset

TEXTS = Kind("a text", "texts", frozenset({".txt"}), loose=True)


def text_folder(path: Path, splits: dict[str, tuple[str, ...]], encoding: str | None) -> dict[str, Dataset] | None:
    """The rows of a folder of texts: the columns ``text`` and ``label``; see :func:`class_folders.class_folders`.

    Raises:
        InputError: as there, or a file that is empty or not UTF-8 (or ``encoding``).
    """
    from datasets import Value

    return rows_of_folders(path, splits, TEXTS, "text", Value("string"), lambda file: _text(file, encoding))


def _text(file: Path, encoding: str | None) -> str:
    return read_text(file, encoding) if file.stat().st_size else ""
