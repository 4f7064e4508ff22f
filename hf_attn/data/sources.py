"""Where examples come from: a Hub id, a file, or a folder; always as train, validation and test."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest
from ..hub_connection import use_cache_if_unreachable
from . import bad_rows, origin
from .columns import UNLABELLED, missing, refuse
from .contents import extension, stem
from .files import READERS, SPLITS, read_files
from .holdings import holdings
from .image_files import digest, folder_splits, is_image_struct, located, undecoded
from .splitting import LEAST, cut
from .text_folders import text_folder

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

SHARD = re.compile(r"-(\d{5})-of-(\d{5})(-[0-9a-f]{8,64})?$")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Source:
    """What was given, and how to read it; see :func:`load_splits`."""

    name: str
    subset: str | None = None
    image: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    revision: str | None = None
    data_dir: str | None = None


def load_splits(
    source: str,
    subset: str | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    label: str | list[str] | None = None,
    kind: str | None = None,
    image: str | None = None,
    text: str | Sequence[str | None] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    revision: str | None = None,
    data_dir: str | None = None,
    skip_bad_rows: bool = False,
) -> DatasetDict:
    """Load ``train``, ``validation`` and ``test``; what is missing is cut from train, stratified by ``label``.

    A test split without any label (no such column, null or -1) is kept as ``unlabelled``, to be predicted, and another
    is cut from train.

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
        kind: of the labels, as in :func:`labels.encode_labels`; only classes are stratified.
        image: column of images; in a file it may hold paths, from the folder of the file.
        text: column, or columns, of the texts, for ``skip_bad_rows``.
        delimiter: between the fields of csv and tsv files.
        encoding: of csv, tsv, json, jsonl and txt files; UTF-8 by default.
        revision: branch, tag or commit of a Hub dataset.
        data_dir: folder in a Hub dataset, or in the folder ``source``.
        skip_bad_rows: leave out, and count in the log, rows without text, image or label, instead of refusing later.

    Raises:
        InputError: nothing to read there, a file that cannot be used, no train split, a column that is not there,
            too few rows, paths of images outside the folder of the file.
    """
    given = Source(source, subset, image, delimiter, encoding, revision, data_dir)
    found = {name: origin.named(undecoded(split), name) for name, split in _find(given).items()}
    splits = _named(found, source)
    columns = [label] if isinstance(label, str) else list(label or [])
    texts = [text] if isinstance(text, str) else [column for column in text or [] if column]
    unlabelled = _take_unlabelled(splits, columns)
    refuse(missing(splits, [image, *columns]))
    refuse(why for split in splits.values() for name in columns if (why := origin.unusable(split, name)))
    if skip_bad_rows:
        splits = bad_rows.left_out(splits, texts, image, columns)
    shares = {name: share for name, share in (("validation", validation), ("test", test)) if name not in splits}
    if shares:
        one_class = len(columns) == 1 and kind in (None, "single")
        splits |= cut(splits["train"], shares, seed, columns[0] if one_class else None)
    short = {name: len(split) for name, split in splits.items() if len(split) < LEAST}
    refuse(f"{name} has {rows} row: at least {LEAST} are needed" for name, rows in short.items())
    from datasets import DatasetDict

    ordered = {name: splits[name] for name in SPLITS}
    return DatasetDict(ordered if unlabelled is None else {**ordered, UNLABELLED: unlabelled})


def _take_unlabelled(splits: dict[str, Dataset], columns: list[str]) -> Dataset | None:
    """Take the test split away if it has no labels: nothing in their columns, or none of these and no other either."""
    split = splits.get("test")
    if split is None or not columns or len(split) == 0:
        return None
    lacks = [column for column in columns if column not in split.column_names]
    if len(lacks) == len(columns):
        known = set(splits["train"].column_names)
        if set(split.column_names) - known or set(lacks) - known:
            return None
    elif lacks or not _unlabelled(split, columns):
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
    if path.is_dir():
        return _folder(path.joinpath(*filter(None, (source.data_dir, source.subset))), source)
    if extension(path) in READERS or path.is_file():
        for name, value in (("subset", source.subset), ("data_dir", source.data_dir)):
            if value:
                raise InputError(
                    f"{name} '{value}' given with the file {path}: it names a part of a Hub dataset or folder"
                )
        if not path.is_file():
            files = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no file {path}{nearest(path.name, files)}")
        return {name or "train": split for name, split in _read([path], source)[0].items()}
    if not HUB_ID.fullmatch(source.name) or source.name.startswith("."):
        raise InputError(_no_such(source.name))
    return _hub(source)


def _no_such(name: str) -> str:
    told = f"no file or folder {name}, and it is not a Hub dataset id such as 'user/name'"
    if re.match(r"(https?|hf|s3|gs|ftp)://", name):
        return f"{told}: an address is not followed; download the file, or give the id of the dataset"
    if "\\" in name and Path(name.replace("\\", "/")).expanduser().exists():
        return f"{told}; did you mean {name.replace(chr(92), '/')}?"
    if name.count("/") > 1 and HUB_ID.fullmatch("/".join(name.split("/")[:2])) and not name.startswith("."):
        return f"{told}; a folder of a dataset is named by --data_dir"
    return told


def _read(files: list[Path], source: Source) -> list[dict[str, Dataset]]:
    found = read_files(files, delimiter=source.delimiter, encoding=source.encoding)
    return [
        {name: located(undecoded(split), source.image, file) for name, split in parts.items()}
        for file, parts in zip(files, found, strict=True)
    ]


def _folder(path: Path, source: Source) -> dict[str, Dataset]:
    from datasets import load_from_disk

    if not path.is_dir():
        raise InputError(f"no folder {path}")
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        try:
            loaded = load_from_disk(str(path))
        except Exception as error:
            raise InputError(f"{path} does not load as a folder of save_to_disk: {_line(error)}") from None
        splits = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
        return {name: located(undecoded(split), source.image, path / "images") for name, split in splits.items()}
    files = sorted(file for folder in (path, path / "data") if folder.is_dir() for file in folder.iterdir())
    found = {split: _files_of(split, files) for split in SPLITS}
    twice = [f"{split}: {', '.join(file.name for file in many)}" for split, many in found.items() if _not_shards(many)]
    if twice:
        raise InputError(f"{path} has more than one file for a split ({'; '.join(twice)}): keep one of each")
    refuse(_lost_shards(path, many) for many in found.values() if _lost_shards(path, many))
    if not found["train"]:
        of_folders = folder_splits(path, SPLITS)
        if of_folders is None and source.image is None:
            of_folders = text_folder(path, SPLITS, source.encoding)
        if of_folders:
            return of_folders
        raise InputError(
            f"{path} has no train file (train.csv, .tsv, .json, .jsonl or .parquet), no class folders of .txt and no "
            f"class folders of images; {holdings(path)}"
        )
    every = [file for many in found.values() for file in many]
    parts = dict(zip(every, _read(every, source), strict=True))
    return {split: _joined(many, [parts[file] for file in many]) for split, many in found.items() if many}


def _files_of(split: str, files: list[Path]) -> list[Path]:
    return [file for file in files if extension(file) in READERS and _split_of(SHARD.sub("", stem(file))) == split]


def _not_shards(files: list[Path]) -> bool:
    """Whether these are several files, but not ``train-00000-of-00002.parquet`` and its like."""
    return len(files) > 1 and (
        not all(SHARD.search(stem(file)) for file in files)
        or len({(file.parent, extension(file), SHARD.sub("", stem(file))) for file in files}) > 1
    )


def _lost_shards(path: Path, files: list[Path]) -> str:
    """A complaint, if files of a split say that there are more of them."""
    numbers = [found for file in files if (found := SHARD.search(stem(file)))]
    if not numbers:
        return ""
    there, count = sorted(int(found[1]) for found in numbers), int(numbers[0][2])
    lost = [number for number in range(count) if number not in there]
    if not lost and len(there) == count:
        return ""
    told = f"without {', '.join(f'{number:05}' for number in lost[:5])}" if lost else "with one given twice"
    return f"{path} has {len(there)} of {count} parts of {SHARD.sub('', stem(files[0]))}, {told}: keep each once"


def _joined(files: list[Path], parts: list[dict[str, Dataset]]) -> Dataset:
    from datasets import concatenate_datasets

    several = [(file, part) for file, part in zip(files, parts, strict=True) if set(part) != {""}]
    refuse(f"{file} holds several splits ({', '.join(part)}): give it alone" for file, part in several)
    splits = [part[""] for part in parts]
    if len(splits) == 1:
        return splits[0]
    try:
        return origin.joined(concatenate_datasets(splits), splits)
    except ValueError as error:
        raise InputError(f"{files[0]} and its other parts do not have the same columns: {_line(error)}") from None


def _hub(source: Source) -> dict[str, Dataset]:
    from datasets import load_dataset

    use_cache_if_unreachable()
    more = {"revision": source.revision, "data_dir": source.data_dir}
    try:
        loaded = load_dataset(source.name, source.subset, **{name: value for name, value in more.items() if value})
    except ConnectionError:
        raise InputError(
            f"dataset '{source.name}' is no file or folder here, and the Hub cannot be reached or does not have it; "
            "offline, give a csv, tsv, json, jsonl or parquet file, a folder of them, or an id that is in the cache"
        ) from None
    except Exception as error:
        raise InputError(f"dataset '{source.name}' does not load: {_line(error)}") from None
    return dict(loaded)


def _named(found: dict[str, Dataset], source: str) -> dict[str, Dataset]:
    """The three splits by their proper names; ``validation_matched`` serves as validation if it comes first."""
    splits: dict[str, Dataset] = {}
    for exact in (True, False):
        for name, split in found.items():
            proper = _split_of(name) if exact else _split_of(name.split("_")[0])
            if proper:
                splits.setdefault(proper, split)
    if "train" not in splits:
        raise InputError(f"{source} has no train split, only {', '.join(found) or 'nothing'}")
    return splits


def _split_of(name: str) -> str | None:
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


def _unlabelled(split: Dataset, columns: list[str]) -> bool:
    return all(value is None or value == -1 for column in columns for value in split[column][:])


def _values(column: Any) -> list[Any]:
    """Values of Python; of a type that has none (nanoseconds), what is stored."""
    import pyarrow

    try:
        return list(column.to_pylist())
    except (ValueError, ImportError):
        return list(column.cast(pyarrow.int64()).to_pylist())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
