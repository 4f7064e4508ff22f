"""Predictions for texts or images, given or in a file, printed or written to one, for ``hf-attn predict``."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.pieces import Pieces, is_large
from ..errors import InputError, nearest
from ..interface.whole_files import whole
from .row_files import Row, RowWriter, check_output, write_rows

if TYPE_CHECKING:
    from ..tasks.inputs.given import GivenFiles
    from ..tasks.table import Task


def predict_to(
    run: str,
    given: Sequence[str],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    keep: Sequence[str] = (),
    top_k: int | None = None,
    batch_size: int = 32,
    output: str | None = None,
    overwrite: bool = False,
    generation: str | None = None,
    **columns: str | None,
) -> None:
    """Classify texts or images, given or in a file, and print the labels or write them to ``output``.

    Args:
        run: A run folder, other model folder or Hub id.
        given: Texts, or one file of them; image files, folders of them, or one table of images or their paths.
        delimiter: Between the fields of a csv or tsv file.
        encoding: Of a csv, tsv, json, jsonl or txt file; UTF-8 by default.
        keep: Columns of the file that go into ``output`` too, beside those named like an id; ``all`` is every one.
        top_k: Keep the most probable labels; by default 1 when printed, all when written.
        batch_size: Texts or images a forward pass.
        output: A ``.jsonl`` or ``.parquet`` file; None prints.
        overwrite: Replace ``output`` if it exists.
        generation: Fields of GenerationConfig and their values as JSON, for a model that writes.
        **columns: What of the file is read, by the names of :data:`.parser.OF_FILES`: such as ``text``, the column of
            the texts, or ``text_pair``, that of the second texts, or, where texts are given, the second text itself.

    Raises:
        InputError: Before any model is loaded, for all that is wrong with the files.
    """
    from transformers.utils.logging import disable_progress_bar

    from ..interface.printable import printable
    from ..tasks.inputs.text.reading import named
    from ..tasks.predict import check_options, predict
    from ..tasks.writing import read_generation

    check_options(top_k, batch_size)
    writing = None if generation is None else read_generation(generation)
    if output is not None:
        check_output(Path(output), overwrite, given)
    disable_progress_bar()
    task = task_of_run(run)
    how = {**own_columns(task, columns, run), "delimiter": delimiter, "encoding": encoding}
    shown = top_k or (None if output else 1)
    options: dict[str, Any] = {"top_k": shown, "batch_size": batch_size, "generation": writing}
    if output is not None and len(given) == 1 and is_large(Path(given[0])):
        others = (columns.get(name) or name for name in ("image", "candidate", "question", "context"))
        texts = named("text", *others, *how["trained"].values())
        pieces = Pieces(Path(given[0]), delimiter=delimiter, encoding=encoding, texts=texts)
        predict_pieces(
            run, pieces, lambda table: task.input.read_files(given, **how, table=table), output, keep, options
        )
        return
    read = task.input.read_files(given, **how)
    kept = rows_kept(task, read, keep)
    found = predict(run, read.inputs, text_pair=read.text_pair, **options)
    if output is None:
        for row, answer in zip(read.rows, found, strict=True):
            print(task.target.printed(answer, printable(" / ".join(row.values()))))
    else:
        write_rows(Path(output), joined(kept, read.rows, found))
        print(f"{len(found):,} predictions in {output}")


def predict_pieces(
    run: str,
    pieces: Pieces,
    read: "Callable[[Any], GivenFiles]",
    output: str,
    keep: Sequence[str],
    options: dict[str, Any],
) -> None:
    """Predict a file that may be larger than memory; all of it is read and checked before a model is loaded.

    Args:
        run: As of :func:`predict_to`.
        pieces: Of the file.
        read: Makes inputs of a piece.
        output: As of :func:`predict_to`; it appears when all is predicted.
        keep: Columns of the file that go into it.
        options: Of :func:`hf_attn.predict`.

    Raises:
        InputError: For what is wrong in the first piece in which something is.
    """
    from ..interface.progress import bar
    from ..tasks.predict import load, predict

    task = task_of_run(run)
    total = 0
    for table in bar(pieces, desc="check", unit="piece", leave=False):
        given = read(table)
        rows_kept(task, given, keep)
        total += len(given.inputs)
    model, processor = load(run)
    types = {field.name: field.type for field in table.features.arrow_schema}
    place = Path(output)
    with bar(total=total, desc="predict", unit="row") as done, whole(place) as unfinished:
        with RowWriter(unfinished, place.suffix.lower(), types) as writer:
            for table in pieces:
                given = read(table)
                source = model if done.n else run  # what does not fit the run is told once
                found = predict(source, given.inputs, text_pair=given.text_pair, processor=processor, **options)
                writer.write(joined(rows_kept(task, given, keep), given.rows, found))
                done.update(len(found))
    print(f"{total:,} predictions in {output}")


def joined(kept: Sequence[Row], rows: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Return rows of the output: columns of the file, what was given, and the answer."""
    return [a | b | c for a, b, c in zip(kept, rows, found, strict=True)]


def rows_kept(task: "Task", read: "GivenFiles", keep: Sequence[str]) -> list[Row]:
    """Return what of a file's columns goes into the output, for each of its rows."""
    kept = kept_columns(read.table, keep, read.used, {*task.target.COLUMNS}.union(*read.rows[:1]))
    return [{name: column[at] for name, column in kept.items()} for at in range(len(read.inputs))]


def own_columns(task: "Task", columns: dict[str, str | None], run: str) -> dict[str, Any]:
    """Return the columns that the task's input has, and those which the run was ``trained`` on.

    Raises:
        InputError: one of another input is given.
    """
    from ..tasks.inputs.text.given import trained_columns
    from ..tasks.table import TASKS

    for other in (other.input for other in TASKS.values()):
        if any(columns.get(name) for name in set(other.COLUMNS).difference(task.input.COLUMNS)):
            options = " and ".join(f"--{name}" for name in other.COLUMNS)
            verb = "are" if len(other.COLUMNS) > 1 else "is"
            model = f"this model classifies {several(task.input.NOUN)}"
            raise InputError(f"{options} {verb} for {several(other.NOUN)}, and {model}")
    found = {name: columns.get(name) for name in task.input.COLUMNS}
    return {**found, "trained": trained_columns(run, task.input.COLUMNS)}


def several(noun: str) -> str:
    """Return the plural of what an input is called."""
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


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
