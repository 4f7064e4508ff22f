"""Predictions for texts or images, given or in a file, printed or written to one, for ``hf-attn predict``."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest
from ..interface.whole_files import whole

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

    from ..data.reading import without_surrogates
    from ..tasks.inputs.given import texts_of
    from ..tasks.predict import check_options, predict

    check_options(top_k, batch_size)
    if output is not None:
        check_output(Path(output), overwrite, given)
    disable_progress_bar()
    inputs: Sequence[Any]
    pairs = None
    if run_takes_images(run):
        if text or text_pair:
            raise InputError("--text and --text_pair are for texts, and this model classifies images")
        from ..tasks.inputs.images.prediction import read_images

        names, inputs, table = read_images(given, image, delimiter, encoding)
        rows: list[Row] = [{"image": without_surrogates(name)} for name in names]
    else:
        if image:
            raise InputError("--image is for images, and this model classifies texts")
        from ..tasks.inputs.text.reading import read_texts

        inputs, pairs, table = read_texts(given, text, text_pair, delimiter, encoding)
        inputs, pairs = texts_of(inputs, pairs)
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
    from ..data.columns import IDS

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
    from ..tasks.predict import trained_task

    try:
        return trained_task(run)[0] == "image-classification"
    except InputError:
        return False


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
    from ..interface.printable import printable

    text = printable(" / ".join(row[name] for name in ("text", "text_pair", "image") if name in row))
    if "value" in row:
        return f"{row['value']!s:>8.8}  {text}"
    lines = [f"{probability:.4f}  {printable(label)}" for label, probability in row["probabilities"].items()]
    if isinstance(row["label"], list) and len(lines) == 1:
        lines = [f"{score:.4f}  {printable(label)}" for label, score in zip(row["label"], row["score"], strict=True)]
    return "\n".join([text, *(f"  {line}" for line in lines or ["no label"])])
