"""Parallel texts: a file for each column, line by line (``train.en``, ``train.de``), or columns inside of objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .columns import refuse
from .contents import COMPRESSED, read_text
from .files import split_of
from .origin import carry, mark

if TYPE_CHECKING:
    from datasets import Dataset


def parallel_files(folder: Path, columns: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return the files of each column by split: those that end in the columns' names; none where it is otherwise.

    Raises:
        InputError: a split that lacks one of the files, or has two for a column.
    """
    if len(columns) < 2 or any("." in name or "/" in name for name in columns):
        return {}
    found: dict[str, dict[str, Path]] = {}
    wrong = []
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        name = file.stem if file.suffix.lower() in COMPRESSED else file.name
        stem, _, ending = name.rpartition(".")
        split = split_of(re.split(r"[._-]", stem)[0]) if ending in columns else None
        if split is None:
            continue
        if ending in found.setdefault(split, {}):
            wrong.append(f"{split} has two files of {ending!r}: {found[split][ending].name} and {file.name}; keep one")
        found[split][ending] = file
    wrong += [
        f"{split} has {', '.join(file.name for file in files.values())} and no file that ends in .{column}"
        for split, files in found.items()
        for column in columns
        if column not in files
    ]
    if found and wrong:
        refuse(f"{folder}: {why}" for why in wrong)
    return {split: {column: files[column] for column in columns} for split, files in found.items()}


def read_parallel(files: dict[str, Path], encoding: str | None = None) -> Dataset:
    """Read files of lines as columns of one split; blank lines stay, as empty texts.

    A line ends at a line feed alone: other characters that break lines for some readers would shift what follows.

    Args:
        files: by the name of the column.
        encoding: of them; UTF-8 by default.

    Raises:
        InputError: files of unequal numbers of lines.
    """
    from datasets import Dataset

    lines = {column: _lines(read_text(file, encoding)) for column, file in files.items()}
    counts = {files[column].name: len(rows) for column, rows in lines.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count:,} lines" for name, count in counts.items())
        raise InputError(f"{told}: line N of one must be line N of the others")
    first = next(iter(lines.values()))
    return mark(Dataset.from_dict(lines), " and ".join(counts), "line", range(1, len(first) + 1), {})


def _lines(text: str) -> list[str]:
    rows = text.removesuffix("\n").split("\n")
    return [row.removesuffix("\r") for row in rows]


def lifted(split: Dataset, columns: Sequence[str | None]) -> Dataset:
    """Return a split with columns that it lacks, and that one column of objects holds: ``translation`` of en and de."""
    lacks = [column for column in columns if column and column not in split.column_names]
    for name, kind in split.features.items():
        if lacks and isinstance(kind, dict) and all(column in kind for column in lacks):
            rows = split[name][:]
            values = {column: [None if row is None else row[column] for row in rows] for column in lacks}
            made = split
            for column in lacks:
                made = made.add_column(column, values[column], feature=kind[column])
            return carry(made.remove_columns(name), split)
    return split
