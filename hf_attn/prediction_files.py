"""Texts and images read from files and predictions written to them, for ``hf-attn predict``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import InputError

TEXT_FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt")
OUTPUTS = (".jsonl", ".parquet")
Row = dict[str, Any]


def predict_to(
    run: str,
    given: Sequence[str],
    *,
    text: str | None = None,
    text_pair: str | None = None,
    image: str | None = None,
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
        top_k: Keep the most probable labels; by default 1 when printed, all when written.
        batch_size: Texts or images a forward pass.
        output: A ``.jsonl`` or ``.parquet`` file; None prints.
        overwrite: Replace ``output`` if it exists.

    Raises:
        InputError: Before any model is loaded, for all that is wrong with the files.
    """
    from transformers.utils.logging import disable_progress_bar

    from .prediction import check_options, check_texts, predict

    check_options(top_k, batch_size)
    if output is not None:
        check_output(Path(output), overwrite)
    disable_progress_bar()
    rows: list[Row]
    inputs: Sequence[Any]
    pairs = None
    if run_takes_images(run):
        if text or text_pair:
            raise InputError("--text and --text_pair are for texts, and this model classifies images")
        from .image_prediction import read_images

        names, inputs = read_images(given, image)
        rows = [{"image": name} for name in names]
    else:
        if image:
            raise InputError("--image is for images, and this model classifies texts")
        inputs, pairs = read_texts(given, text, text_pair)
        check_texts(inputs, pairs)
        rows = [{"text": first} for first in inputs]
        for row, second in zip(rows, pairs or [], strict=False):
            row["text_pair"] = second
    found = predict(run, inputs, text_pair=pairs, top_k=top_k or (None if output else 1), batch_size=batch_size)
    rows = [row | prediction for row, prediction in zip(rows, found, strict=True)]
    if output is None:
        print("\n".join(readable(row) for row in rows))
    else:
        write_rows(Path(output), rows)
        print(f"{len(rows):,} predictions in {output}")


def run_takes_images(run: str) -> bool:
    """Return whether the model of a run classifies images, by its configuration; what cannot be loaded does not."""
    from .models import load_config
    from .registration import register_model_types

    register_model_types()
    try:
        return any("ForImageClassification" in name for name in load_config(run).architectures or [])
    except InputError:
        return False


def read_texts(given: Sequence[str], text: str | None, text_pair: str | None) -> tuple[list[str], list[str] | None]:
    """Return the texts, and the second texts where there are pairs.

    Raises:
        InputError: The file is missing or unreadable, or has no such column; a column is named but there is no file.
    """
    path = Path(given[0])
    if len(given) > 1 or path.suffix.lower() not in TEXT_FILES or "\n" in given[0]:
        if text is not None:
            raise InputError(f"--text names a column, but there is no file ({', '.join(TEXT_FILES)}) to read it from")
        if text_pair is not None and len(given) > 1:
            raise InputError(f"--text_pair goes with one text, {len(given)} were given: put the pairs into a file")
        return list(given), None if text_pair is None else [text_pair]
    if not path.exists():
        raise InputError(f"no such file: {path} (a text that ends like a file's name must come from a file)")
    if path.suffix.lower() == ".txt":
        if text or text_pair:
            raise InputError(f"{path} has no columns, so --text and --text_pair do not apply: expected a text a line")
        return read_lines(path), None
    from .data.files import read

    table = read(path)
    names = [column_name(table, text, path), *([text_pair] if text_pair else [])]
    if text_pair and text_pair not in table.column_names:
        raise InputError(f"no column {text_pair!r} in {path} (columns: {', '.join(table.column_names)})")
    columns = [list(table[name]) for name in names]
    bad = [name for name, column in zip(names, columns, strict=True) if not all(isinstance(x, str) for x in column)]
    if bad:
        raise InputError(f"{path}: column {', '.join(bad)} holds values that are not text: expected a text in each row")
    return columns[0], columns[1] if text_pair else None


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
    """Return the lines of a text file that are not blank."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from error
    found = [line for line in lines if line.strip()]
    if not found:
        raise InputError(f"{path} is empty: expected a text a line")
    return found


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, or that exists."""
    if path.suffix.lower() not in OUTPUTS:
        raise InputError(f"--output {path} must end in one of {', '.join(OUTPUTS)}")
    if path.exists() and not overwrite:
        raise InputError(f"--output {path} exists: give another name, or --overwrite to replace it")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"--output {path}: the folder {path.parent} does not exist or is not writable")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write predictions, one row a text; the file appears only when it is complete."""
    partial = path.with_name(path.name + ".tmp")
    if path.suffix.lower() == ".jsonl":
        partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
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
        pyarrow.parquet.write_table(pyarrow.table(arrays), partial)
    os.replace(partial, path)


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
