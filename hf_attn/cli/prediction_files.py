"""Predictions for texts or images, given or in a file, printed or written to one, for ``hf-attn predict``."""

import json
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest
from ..interface.whole_files import whole

if TYPE_CHECKING:
    from ..tasks.table import Task

OUTPUTS = (".jsonl", ".parquet")
LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""What some readers of a file take for the end of a line."""
Row = dict[str, Any]


def predict_to(
    run: str,
    given: Sequence[str],
    *,
    text: str | None = None,
    text_pair: str | None = None,
    image: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    keep: Sequence[str] = (),
    top_k: int | None = None,
    batch_size: int = 32,
    output: str | None = None,
    overwrite: bool = False,
) -> None:
    """Classify texts or images, given or in a file, and print the labels or write them to ``output``.

    Args:
        run: A run folder, other model folder or Hub id.
        given: Texts, or one file of them; image files, folders of them, or one table of images or their paths.
        text: Column of the texts in the file.
        text_pair: Column of the second texts in the file; where texts are given, the second text itself.
        image: Column of the images, or of their paths, in the file.
        delimiter: Between the fields of a csv or tsv file.
        encoding: Of a csv, tsv, json, jsonl or txt file; UTF-8 by default.
        keep: Columns of the file that go into ``output`` too, beside those named like an id; ``all`` is every one.
        top_k: Keep the most probable labels; by default 1 when printed, all when written.
        batch_size: Texts or images a forward pass.
        output: A ``.jsonl`` or ``.parquet`` file; None prints.
        overwrite: Replace ``output`` if it exists.

    Raises:
        InputError: Before any model is loaded, for all that is wrong with the files.
    """
    from transformers.utils.logging import disable_progress_bar

    from ..interface.printable import printable
    from ..tasks.predict import check_options, predict

    check_options(top_k, batch_size)
    if output is not None:
        check_output(Path(output), overwrite, given)
    disable_progress_bar()
    task = task_of_run(run)
    columns = own_columns(task, {"text": text, "text_pair": text_pair, "image": image})
    read = task.input.read_files(given, **columns, delimiter=delimiter, encoding=encoding)
    kept = kept_columns(read.table, keep, read.used, {*task.target.COLUMNS}.union(*read.rows[:1]))
    found = predict(
        run, read.inputs, text_pair=read.text_pair, top_k=top_k or (None if output else 1), batch_size=batch_size
    )
    if output is None:
        for row, answer in zip(read.rows, found, strict=True):
            print(task.target.printed(answer, printable(" / ".join(row.values()))))
    else:
        told = [{name: column[at] for name, column in kept.items()} for at in range(len(found))]
        write_rows(Path(output), [a | b | c for a, b, c in zip(told, read.rows, found, strict=True)])
        print(f"{len(found):,} predictions in {output}")


def own_columns(task: "Task", columns: dict[str, str | None]) -> dict[str, str | None]:
    """Return the columns that the task's input has.

    Raises:
        InputError: one of another input is given.
    """
    from ..tasks.table import TASKS

    for other in (other.input for other in TASKS.values()):
        if any(columns[name] for name in set(other.COLUMNS).difference(task.input.COLUMNS)):
            options = " and ".join(f"--{name}" for name in other.COLUMNS)
            verb = "are" if len(other.COLUMNS) > 1 else "is"
            model = f"this model classifies {task.input.NOUN}s"
            raise InputError(f"{options} {verb} for {other.NOUN}s, and {model}")
    return {name: columns[name] for name in task.input.COLUMNS}


def kept_columns(
    table: Any, keep: Sequence[str], used: Sequence[str | None], own: Collection[str]
) -> dict[str, list[Any]]:
    """Return the columns of a file that go into the output: those named like an id, and those in ``keep``.

    Args:
        table: of the file; None where there is none.
        keep: names of columns; ``all`` is every one.
        used: columns that are in the output already.
        own: names of what the output has beside the file's columns.

    Raises:
        InputError: no file or no such column, or a name that the output has already.
    """
    if table is None:
        if keep:
            raise InputError(f"--keep {' '.join(keep)} names a column, but there is no file to read it from")
        return {}
    from ..data.columns import IDS

    names = list(table.column_names)
    missing = [name for name in keep if name not in (*names, "all")]
    if missing:
        raise InputError(f"--keep: no column {missing[0]!r} (columns: {', '.join(names)}){nearest(missing[0], names)}")
    every = "all" in keep
    chosen = [name for name in names if name not in used and (every or name in keep or IDS.fullmatch(name))]
    taken = [name for name in chosen if name in own]
    if taken:
        raise InputError(f"--keep: the output has a {taken[0]!r} of its own: rename that column of the file")
    return {name: list(table[name]) for name in chosen}


def task_of_run(run: str) -> "Task":
    """Return the task of a run by its configuration; of what cannot be loaded, which is refused later, the first."""
    from ..tasks.predict import trained_task
    from ..tasks.table import TASKS

    first = next(iter(TASKS.values()))
    try:
        return trained_task(run)[0] or first
    except InputError:
        return first


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
    with whole(path) as place:
        if path.suffix.lower() == ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
            place.write_text("".join(LINE_ENDS.sub(escaped, line) + "\n" for line in lines), "utf-8")
        else:
            import pyarrow
            import pyarrow.parquet

            columns = {name: [row[name] for row in rows] for name in rows[0]}
            arrays = {
                name: pyarrow.array(
                    [list(value.items()) for value in values], pyarrow.map_(pyarrow.string(), pyarrow.float64())
                )
                if name == "probabilities"
                else pyarrow.array(values)
                for name, values in columns.items()
            }
            pyarrow.parquet.write_table(pyarrow.table(arrays), place)


def escaped(found: re.Match[str]) -> str:
    """Return a character as JSON spells it in ASCII."""
    return f"\\u{ord(found[0]):04x}"
