"""Rows of answers in a file: where they may be written, and how."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.printable import one_line
from ..interface.whole_files import whole

OUTPUTS = (".jsonl", ".parquet")
LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""What some readers of a file take for the end of a line."""
Row = dict[str, Any]


def check_output(path: Path, overwrite: bool, given: Sequence[str] = (), endings: Sequence[str] = OUTPUTS) -> None:
    """Refuse an output that cannot be written, that exists, or that is what is read."""
    if path.suffix.lower() not in endings:
        raise InputError(f"--output {path} must end in one of {', '.join(endings)}")
    if path.exists() and not overwrite:
        raise InputError(f"--output {path} exists: give another name, or --overwrite to replace it")
    if path.exists() and (not path.is_file() or any(_is_same(path, name) for name in given)):
        raise InputError(f"--output {path} is {'what is read' if path.is_file() else 'no file'}: give another name")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"--output {path}: the folder {path.parent} does not exist or is not writable")


def _is_same(path: Path, name: str) -> bool:
    try:
        return os.path.samefile(path, name)
    except (OSError, ValueError):  # a text, and no file
        return False


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write predictions, one row a text; the file appears only when it is complete."""
    with whole(path) as place, RowWriter(place, path.suffix.lower()) as writer:
        writer.write(rows)


class RowWriter:
    """Writes rows into a file, some at a time; to be used in a ``with`` block.

    Args:
        place: of the file.
        kind: ``.jsonl`` or ``.parquet``.
        types: of pyarrow, of columns of a parquet file; the others have those that the first rows give them.
    """

    def __init__(self, place: Path, kind: str, types: "Mapping[str, Any] | None" = None) -> None:
        self.place, self.kind, self.types = place, kind, types or {}
        self._parquet: Any = None
        self._lines: Any = None

    def __enter__(self) -> "RowWriter":
        if self.kind == ".jsonl":
            self._lines = self.place.open("w", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._lines, self._parquet):
            if file is not None:
                file.close()

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows, all with the same columns.

        Raises:
            InputError: values of other types than those before, for a parquet file.
        """
        if self._lines is not None:
            lines = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
            self._lines.writelines(LINE_ENDS.sub(escaped, line) + "\n" for line in lines)
            return
        import pyarrow
        import pyarrow.parquet

        columns = {name: [row[name] for row in rows] for name in rows[0]}
        table = pyarrow.table({name: column(name, values, self.types.get(name)) for name, values in columns.items()})
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self.place, table.schema)
        try:
            self._parquet.write_table(table.cast(self._parquet.schema))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, ValueError) as error:
            raise InputError(
                f"a column of the file changes its type ({one_line(error)}): write a .jsonl file"
            ) from None


def column(name: str, values: list[Any], kind: Any = None) -> Any:
    """Return values as an array of pyarrow, of a type or of the one that they have."""
    import pyarrow

    if name == "probabilities":
        pairs = pyarrow.map_(pyarrow.string(), pyarrow.float64())
        return pyarrow.array([list(value.items()) for value in values], pairs)
    return pyarrow.array(values, kind)


def escaped(found: re.Match[str]) -> str:
    """Return a character as JSON spells it in ASCII."""
    return f"\\u{ord(found[0]):04x}"
