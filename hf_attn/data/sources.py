"""Where examples come from: a Hub id, a file, or a folder; always as train, validation and test."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest
from . import bad_rows, origin
from .columns import IDS, UNLABELLED, missing, refuse, without_nan
from .contents import extension
from .files import SPLITS, split_of
from .folders import Source, read_folder, read_given
from .hub_datasets import load_hub
from .image_files import digest, is_image_struct, undecoded
from .parallel_files import lifted, parallel_files, read_parallel
from .splitting import LEAST, Cut, cut

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

Shaped = Callable[["Dataset"], "Dataset"]
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def load_splits(
    source: str,
    subset: str | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    label: str | list[str] | None = None,
    strata: Callable[[Dataset], np.ndarray] | None = None,
    image: str | None = None,
    text: str | Sequence[str | None] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    revision: str | None = None,
    data_dir: str | None = None,
    skip_bad_rows: bool = False,
    inside: bool = False,
    cutting: Cut | None = None,
    shaped: Shaped | None = None,
    written: Sequence[str] = (),
    lines: bool = False,
) -> DatasetDict:
    """Load ``train``, ``validation`` and ``test``; what is missing is cut from train.

    A test split without any label (no such column, null, blank or -1) is kept as ``unlabelled``, to be predicted, and
    another is cut from train.

    Args:
        source: Hub id; csv, tsv, json, jsonl, parquet or arrow file (the first four also as .gz, .bz2, .xz or .zst);
            folder of such files named train, validation (valid, val, dev) and test; folder of images or of texts
            (.txt), ``train/CLASS/*.png`` or ``CLASS/*.png``, which gives the columns ``image`` or ``text``, and
            ``label``; or a folder written by ``save_to_disk``.
        subset: configuration of a Hub dataset, or folder in the folder ``source``.
        seed: of the cuts; the same seed gives the same rows.
        validation: share of train's rows that becomes a missing validation split.
        test: the same for test.
        label: column, or columns, of the labels.
        strata: gives the class of each row of train, by which splits are cut from it; none are cut as they come.
        image: column of images; in a file it may hold paths, from the folder of the file.
        text: column, or columns, of the texts: a csv file of numbers has texts there too.
        delimiter: between the fields of csv and tsv files.
        encoding: of csv, tsv, json, jsonl and txt files; UTF-8 by default.
        revision: branch, tag or commit of a Hub dataset.
        data_dir: folder in a Hub dataset, or in the folder ``source``.
        skip_bad_rows: leave out, and count in the log, rows without text, image or label, instead of refusing later.
        inside: also take texts that a column of objects holds, and from a folder of parallel files, a file for each of
            the texts, which ends in its name.
        cutting: what takes missing splits from train; by default rows are drawn, as :func:`.splitting.cut` does.
        shaped: makes rows of what a split holds, such as questions of passages.
        written: columns of the labels that stay as they are written: fields of a csv file are texts, and a row without
            one is no bad one, such as a question that has no answer.
        lines: whether .txt files are read too, whose lines are the first column of texts.

    Raises:
        InputError: nothing to read there, a file that cannot be used, no train split, a column that is not there,
            too few rows, paths of images outside the folder of the file.
    """
    texts = [text] if isinstance(text, str) else [column for column in text or [] if column]
    as_texts = (*texts, *written)
    given = Source(source, subset, image, delimiter, encoding, revision, data_dir, as_texts, inside, lines)
    found = {name: origin.named(undecoded(split), name) for name, split in _find(given).items()}
    found = {name: lifted(split, texts) for name, split in found.items()} if inside else found
    found = {name: shaped(split) for name, split in found.items()} if shaped else found
    splits = _named(found, source)
    columns = [label] if isinstance(label, str) else list(label or [])
    unlabelled = _take_unlabelled(splits, columns)
    refuse(missing(splits, [image, *columns]))
    refuse(why for split in splits.values() for name in columns if (why := origin.unusable(split, name)))
    if skip_bad_rows:
        splits = bad_rows.left_out(splits, texts, image, [name for name in columns if name not in written])
        unlabelled = unlabelled and bad_rows.left_out({UNLABELLED: unlabelled}, texts, image, [])[UNLABELLED]
    shares = {name: share for name, share in (("validation", validation), ("test", test)) if name not in splits}
    if shares:
        splits |= cutting(splits["train"], shares) if cutting else cut(splits["train"], shares, seed, strata)
    short = {name: len(split) for name, split in splits.items() if len(split) < LEAST}
    refuse(f"{name} has {rows} row: at least {LEAST} are needed" for name, rows in short.items())
    from datasets import DatasetDict

    ordered = {name: splits[name] for name in SPLITS}
    return DatasetDict(ordered if unlabelled is None else {**ordered, UNLABELLED: unlabelled})


def with_unlabelled(
    splits: DatasetDict,
    source: str,
    inputs: Sequence[str],
    *,
    image: str | None = None,
    text: Sequence[str | None] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    skip_bad_rows: bool = False,
) -> DatasetDict:
    """Return splits with rows without labels, as ``unlabelled``: their inputs, and columns named like an id.

    Args:
        splits: of a run.
        source: file, folder or Hub id; all its splits are taken.
        inputs: columns of the input, which it must have.
        image: column of images.
        text: columns of texts.
        delimiter: as of :func:`load_splits`.
        encoding: likewise.
        skip_bad_rows: likewise.

    Raises:
        InputError: nothing to read there, a column that is not there, or a test split that has no labels either.
    """
    from datasets import DatasetDict, concatenate_datasets

    if UNLABELLED in splits:
        raise InputError("the test split has no labels, and rows without labels are given as well: give one of them")
    texts = [column for column in text if column]
    lines = image is None and len(texts) == 1
    found = _find(Source(source, None, image, delimiter, encoding, None, None, tuple(texts), lines=lines))
    parts = {name: origin.named(undecoded(split), name) for name, split in found.items()}
    refuse(f"{source}: {why}" for why in missing(parts, [*inputs]))
    if skip_bad_rows:
        parts = bad_rows.left_out(parts, texts, image, [])
    kept = []
    for split in parts.values():
        names = [name for name in split.column_names if name in inputs or IDS.fullmatch(name)]
        kept.append(origin.carry(split.select_columns(names), split))
    whole = kept[0] if len(kept) == 1 else origin.joined(concatenate_datasets(kept), kept)
    if not len(whole):
        raise InputError(f"{source} has no rows")
    return DatasetDict({**splits, UNLABELLED: whole})


def _take_unlabelled(splits: dict[str, Dataset], columns: list[str]) -> Dataset | None:
    """Take the test split away if it has no labels: nothing in their columns, or none of these and no other either."""
    split = splits.get("test")
    if split is None or not columns or len(split) == 0:
        return None
    lacks = [column for column in columns if column not in split.column_names]
    if len(lacks) == len(columns):
        known = set(splits["train"].column_names)
        others = [name for name in split.column_names if name not in known and not IDS.fullmatch(name)]
        if others or set(lacks) - known:
            return None
    elif lacks or not _unlabelled(split, splits["train"], columns):
        return None
    log.warning("test has no labels: another is cut from train to be scored, and its %d rows are predicted", len(split))
    return splits.pop("test")


def fingerprint(splits: DatasetDict) -> str:
    """sha256 of all rows, as hex digits: equal for equal values and bytes of images, wherever they came from."""
    total = hashlib.sha256()
    for name in sorted(splits):
        rows = splits[name].with_format("arrow")
        images = [field.name for field in rows.features.arrow_schema if is_image_struct(field.type)]
        total.update(f"{name} {len(rows)}\n".encode())
        for at in range(0, len(rows), 1000):
            table = rows[at : at + 1000]
            columns = {column: _values(table[column]) for column in table.column_names if column not in images}
            columns |= {image: [digest(value).hex() for value in table[image].to_pylist()] for image in images}
            total.update(json.dumps(columns, sort_keys=True, default=lambda value: repr(value)).encode())
    return total.hexdigest()


def _find(source: Source) -> dict[str, Dataset]:
    """The splits of ``source`` under the names they have there."""
    path = Path(source.name).expanduser()
    if source.revision and path.exists():
        raise InputError(
            f"revision '{source.revision}' given with {path}, which is here: it names a state of a Hub dataset"
        )
    if path.is_dir():
        folder = path.joinpath(*filter(None, (source.data_dir, source.subset)))
        if source.inside and folder.is_dir() and (parallel := parallel_files(folder, source.texts)):
            return {split: read_parallel(files, source.encoding) for split, files in parallel.items()}
        return read_folder(folder, source)
    if extension(path) in source.kinds or path.is_file():
        parts = {"revision": source.revision, "subset": source.subset, "data_dir": source.data_dir}
        if told := [f"{name} '{value}'" for name, value in parts.items() if value]:
            raise InputError(
                f"{', '.join(told)} given with the file {path}: it names a part of a Hub dataset or folder"
            )
        if not path.is_file():
            files = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no file {path}{nearest(path.name, files)}")
        return {name or "train": split for name, split in read_given([path], source)[0].items()}
    if not HUB_ID.fullmatch(source.name) or source.name.startswith("."):
        raise InputError(_no_such(source.name))
    return load_hub(source)


def _no_such(name: str) -> str:
    told = f"no file or folder {name}, and it is not a Hub dataset id such as 'user/name'"
    if re.match(r"(https?|hf|s3|gs|ftp)://", name):
        return f"{told}: an address is not followed; download the file, or give the id of the dataset"
    if "\\" in name and Path(name.replace("\\", "/")).expanduser().exists():
        return f"{told}; did you mean {name.replace(chr(92), '/')}?"
    if name.count("/") > 1 and HUB_ID.fullmatch("/".join(name.split("/")[:2])) and not name.startswith("."):
        return f"{told}; a folder of a dataset is named by --data_dir"
    return told


def _named(found: dict[str, Dataset], source: str) -> dict[str, Dataset]:
    """The three splits by their proper names; ``validation_matched`` serves as validation if it comes first."""
    splits: dict[str, Dataset] = {}
    for exact in (True, False):
        for name, split in found.items():
            proper = split_of(name) if exact else split_of(name.split("_")[0])
            if proper:
                splits.setdefault(proper, split)
    if "train" not in splits:
        raise InputError(f"{source} has no train split, only {', '.join(found) or 'nothing'}")
    return splits


def _unlabelled(split: Dataset, train: Dataset, columns: list[str]) -> bool:
    """Whether no row has a label; -1 is one where train has numbers below 0, and where it names no class."""
    for column in columns:
        given = [value for value in without_nan(split[column]) if value is not None and str(value).strip()]
        if given and (any(value != -1 for value in given) or _has_negatives(train, column)):
            return False
    return True


def _has_negatives(train: Dataset, column: str) -> bool:
    if column not in train.column_names or getattr(train.features[column], "names", None):
        return False
    return any(isinstance(value, int | float) and value < 0 for value in train[column][:])


def _values(column: Any) -> list[Any]:
    """Values of Python; of a type that has none (nanoseconds), what is stored."""
    import pyarrow

    try:
        return list(column.to_pylist())
    except (ValueError, ImportError):
        return list(column.cast(pyarrow.int64()).to_pylist())
