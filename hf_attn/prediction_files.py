"""Texts and images read from files and predictions written to them, for ``hf-attn predict``."""

import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import InputError, nearest
from .whole_files import whole

logger = logging.getLogger(__name__)

TEXT_FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt")
OUTPUTS = (".jsonl", ".parquet")
OWN = ("text", "text_pair", "image", "label", "score", "probabilities", "value")
"""Columns of the output that are not the file's."""
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
        keep: Columns of the file that go into ``output`` too, beside those named like an id; ``all`` is every one.
        top_k: Keep the most probable labels; by default 1 when printed, all when written.
        batch_size: Texts or images a forward pass.
        output: A ``.jsonl`` or ``.parquet`` file; None prints.
        overwrite: Replace ``output`` if it exists.

    Raises:
        InputError: Before any model is loaded, for all that is wrong with the files.
    """
    from transformers.utils.logging import disable_progress_bar

    from .prediction import check_options, predict
    from .prediction_inputs import texts_of

    check_options(top_k, batch_size)
    if output is not None:
        check_output(Path(output), overwrite, given)
    disable_progress_bar()
    inputs: Sequence[Any]
    pairs = None
    if run_takes_images(run):
        if text or text_pair:
            raise InputError("--text and --text_pair are for texts, and this model classifies images")
        from .image_prediction import read_images

        names, inputs, table = read_images(given, image)
        rows: list[Row] = [{"image": name} for name in names]
    else:
        if image:
            raise InputError("--image is for images, and this model classifies texts")
        inputs, pairs, table = read_texts(given, text, text_pair)
        texts_of(inputs, pairs)
        rows = [{"text": first} for first in inputs]
        for row, second in zip(rows, pairs or [], strict=False):
            row["text_pair"] = second
    kept = kept_columns(table, keep, [text or "text", text_pair, image or "image"])
    found = predict(run, inputs, text_pair=pairs, top_k=top_k or (None if output else 1), batch_size=batch_size)
    rows = [{name: column[at] for name, column in kept.items()} | row | found[at] for at, row in enumerate(rows)]
    if output is None:
        print("\n".join(readable(row) for row in rows))
    else:
        write_rows(Path(output), rows)
        print(f"{len(rows):,} predictions in {output}")


def kept_columns(table: Any, keep: Sequence[str], used: Sequence[str | None]) -> dict[str, list[Any]]:
    """Return the columns of a file that go into the output: those named like an id, and those in ``keep``.

    Args:
        table: of the file; None where there is none.
        keep: names of columns; ``all`` is every one.
        used: columns that are in the output already.

    Raises:
        InputError: no file or no such column, or a name that the output has already.
    """
    if table is None:
        if keep:
            raise InputError(f"--keep {' '.join(keep)} names a column, but there is no file to read it from")
        return {}
    from .data.columns import IDS

    names = list(table.column_names)
    missing = [name for name in keep if name not in (*names, "all")]
    if missing:
        raise InputError(f"--keep: no column {missing[0]!r} (columns: {', '.join(names)}){nearest(missing[0], names)}")
    every = "all" in keep
    chosen = [name for name in names if name not in used and (every or name in keep or IDS.fullmatch(name))]
    taken = [name for name in chosen if name in OWN]
    if taken:
        raise InputError(f"--keep: the output has a {taken[0]!r} of its own: rename that column of the file")
    return {name: list(table[name]) for name in chosen}


def run_takes_images(run: str) -> bool:
    """Return whether the model of a run classifies images, by its configuration; what cannot be loaded does not."""
    from .prediction import trained_task

    try:
        return trained_task(run)[0] == "image-classification"
    except InputError:
        return False


def read_texts(
    given: Sequence[str], text: str | None, text_pair: str | None
) -> tuple[list[str], list[str] | None, Any]:
    """Return the texts, the second texts where there are pairs, and the table that they are from, where there is one.

    Raises:
        InputError: The file is missing or unreadable, or has no such column; a column is named but there is no file.
    """
    path = Path(given[0])
    if len(given) > 1 or path.suffix.lower() not in TEXT_FILES or "\n" in given[0]:
        if text is not None:
            raise InputError(f"--text names a column, but there is no file ({', '.join(TEXT_FILES)}) to read it from")
        if text_pair is not None and len(given) > 1:
            raise InputError(f"--text_pair goes with one text, {len(given)} were given: put the pairs into a file")
        return list(given), None if text_pair is None else [text_pair], None
    if not path.exists():
        raise InputError(f"no such file: {path} (a text that ends like a file's name must come from a file)")
    if path.suffix.lower() == ".txt":
        if text or text_pair:
            raise InputError(f"{path} has no columns, so --text and --text_pair do not apply: expected a text a line")
        return read_lines(path), None, None
    from .data.files import read

    table = read(path)
    names = [column_name(table, text, path), *([text_pair] if text_pair else [])]
    if text_pair and text_pair not in table.column_names:
        raise InputError(f"no column {text_pair!r} in {path} (columns: {', '.join(table.column_names)})")
    columns = [list(table[name]) for name in names]
    wrong = [fault for name, column in zip(names, columns, strict=True) if (fault := no_text(name, column))]
    if wrong:
        raise InputError(f"{path}: {'; '.join(wrong)}: expected a text in each row")
    return columns[0], columns[1] if text_pair else None, table


def no_text(name: str, column: Sequence[Any]) -> str | None:
    """Return which rows of a column are no text, counted from 1."""
    bad = [row for row, value in enumerate(column, start=1) if not isinstance(value, str)]
    if not bad:
        return None
    first = column[bad[0] - 1]
    what = "no value" if first is None else type(first).__name__
    return f"column {name} holds values that are not text in {len(bad)} rows, the first is row {bad[0]} ({what})"


def column_name(table: Any, text: str | None, path: Path) -> str:
    """Return the column of the texts: the named one, else ``text``, else the only one that holds text."""
    names = list(table.column_names)
    if text is not None:
        if text not in names:
            raise InputError(f"no column {text!r} in {path} (columns: {', '.join(names)})")
        return text
    strings = [name for name in names if getattr(table.features[name], "dtype", "") in ("string", "large_string")]
    if "text" in names or len(strings) == 1:
        return "text" if "text" in names else strings[0]
    raise InputError(f"{path} has no column 'text' (columns: {', '.join(names)}): name the one to read by --text")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not blank; those left out between texts are told."""
    try:
        lines = path.read_text("utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from error
    blank = [number for number, line in enumerate(lines, start=1) if not line.strip()]
    if len(blank) == len(lines):
        raise InputError(f"{path} is empty: expected a text a line")
    if blank:
        logger.warning("%s: %d blank lines are left out, the first is line %d", path, len(blank), blank[0])
    return [line for line in lines if line.strip()]


def check_output(path: Path, overwrite: bool, given: Sequence[str] = ()) -> None:
    """Refuse an output that cannot be written, that exists, or that is what is read."""
    if path.suffix.lower() not in OUTPUTS:
        raise InputError(f"--output {path} must end in one of {', '.join(OUTPUTS)}")
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


def readable(row: Row) -> str:
    """Return one prediction as lines to read: probability, label, and the text once."""
    from .terminal import printable

    text = printable(" / ".join(row[name] for name in ("text", "text_pair", "image") if name in row))
    if "value" in row:
        return f"{row['value']!s:>8.8}  {text}"
    lines = [f"{probability:.4f}  {printable(label)}" for label, probability in row["probabilities"].items()]
    if isinstance(row["label"], list) and len(lines) == 1:
        lines = [f"{score:.4f}  {printable(label)}" for label, score in zip(row["label"], row["score"], strict=True)]
    return "\n".join([text, *(f"  {line}" for line in lines or ["no label"])])
