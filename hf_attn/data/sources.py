"""Where examples come from: a Hub id, a file, or a folder; always as train, validation and test."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, nearest
from ..hub_connection import use_cache_if_unreachable
from .columns import listing, missing, refuse
from .files import READERS, read
from .image_files import digest, folder_splits, is_image_struct, located, undecoded
from .splitting import LEAST, cut

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

log = logging.getLogger(__name__)

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
SHARD = re.compile(r"-\d{5}-of-\d{5}")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


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
) -> DatasetDict:
    """Load ``train``, ``validation`` and ``test``; what is missing is cut from train, stratified by ``label``.

    Args:
        source: Hub id; csv, tsv, json, jsonl or parquet file; folder of such files named train, validation (valid,
            val, dev) and test; folder of images, ``train/CLASS/*.png`` or ``CLASS/*.png``, which gives the columns
            ``image`` and ``label``; or a folder written by ``save_to_disk``.
        subset: configuration of a Hub dataset, or folder in the folder ``source``.
        seed: of the cuts; the same seed gives the same rows.
        validation: share of train's rows that becomes a missing validation split.
        test: the same for test. A test split without any label (null or -1) counts as missing.
        label: column, or columns, of the labels.
        kind: of the labels, as in :func:`labels.encode_labels`; only classes are stratified.
        image: column of images; in a file it may hold paths, from the folder of the file.

    Raises:
        InputError: nothing to read there, a file that cannot be used, no train split, a column that is not there,
            too few rows, paths of images outside the folder of the file.
    """
    found = {name: undecoded(split) for name, split in _find(source, subset, image).items()}
    splits = _named(found, source)
    columns = [label] if isinstance(label, str) else list(label or [])
    refuse(missing(splits, [image, *columns]))
    if "test" in splits and columns and _unlabelled(splits["test"], columns):
        log.warning("test has no labels: another is cut from train")
        del splits["test"]
    shares = {name: share for name, share in (("validation", validation), ("test", test)) if name not in splits}
    if shares:
        one_class = len(columns) == 1 and kind in (None, "single")
        splits |= cut(splits["train"], shares, seed, columns[0] if one_class else None)
    short = {name: len(split) for name, split in splits.items() if len(split) < LEAST}
    refuse(f"{name} has {rows} row: at least {LEAST} are needed" for name, rows in short.items())
    from datasets import DatasetDict

    return DatasetDict({name: splits[name] for name in SPLITS})


def fingerprint(splits: DatasetDict) -> str:
    """sha256 of all rows, as hex digits: equal for equal values and bytes of images, wherever they came from."""
    total = hashlib.sha256()
    for name in sorted(splits):
        rows = splits[name].with_format("arrow")
        images = [field.name for field in rows.features.arrow_schema if is_image_struct(field.type)]
        total.update(f"{name} {len(rows)}\n".encode())
        for at in range(0, len(rows), 1000):
            table = rows[at : at + 1000]
            columns = table.drop_columns(images).to_pydict()
            columns |= {image: [digest(value).hex() for value in table[image].to_pylist()] for image in images}
            total.update(json.dumps(columns, sort_keys=True, default=lambda value: repr(value)).encode())
    return total.hexdigest()


def _find(source: str, subset: str | None, image: str | None) -> dict[str, Dataset]:
    """The splits of ``source`` under the names they have there."""
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path / subset if subset else path, image)
    if path.suffix.lower() in READERS or path.is_file():
        if subset:
            raise InputError(
                f"subset '{subset}' given with the file {path}: it names a part of a Hub dataset or folder"
            )
        if not path.is_file():
            files = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no file {path}{nearest(path.name, files)}")
        return {"train": _read(path, image)}
    if not HUB_ID.fullmatch(source) or source.startswith("."):
        raise InputError(f"no file or folder {source}, and it is not a Hub dataset id such as 'user/name'")
    return _hub(source, subset)


def _read(file: Path, image: str | None) -> Dataset:
    return located(undecoded(read(file)), image, file)


def _folder(path: Path, image: str | None) -> dict[str, Dataset]:
    from datasets import load_from_disk

    if not path.is_dir():
        raise InputError(f"no folder {path}")
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        try:
            loaded = load_from_disk(str(path))
        except Exception as error:
            raise InputError(f"{path} does not load as a folder of save_to_disk: {_line(error)}") from None
        splits = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
        return {name: located(undecoded(split), image, path / "images") for name, split in splits.items()}
    files = sorted(file for folder in (path, path / "data") if folder.is_dir() for file in folder.iterdir())
    found = {split: _files_of(split, files) for split in SPLITS}
    twice = [f"{split}: {', '.join(file.name for file in many)}" for split, many in found.items() if _not_shards(many)]
    if twice:
        raise InputError(f"{path} has more than one file for a split ({'; '.join(twice)}): keep one of each")
    if not found["train"]:
        if of_images := folder_splits(path, SPLITS):
            return of_images
        names = listing([file.name for file in files], 8) or "nothing"
        raise InputError(
            f"{path} has no train file (train.csv, .tsv, .json, .jsonl or .parquet) and no class folders of images; "
            f"it holds {names}; rename one, or give a file itself"
        )
    return {split: _joined(many, image) for split, many in found.items() if many}


def _files_of(split: str, files: list[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in READERS and _split_of(SHARD.sub("", file.stem)) == split]


def _not_shards(files: list[Path]) -> bool:
    """Whether these are several files, but not ``train-00000-of-00002.parquet`` and its like."""
    return len(files) > 1 and (
        not all(SHARD.search(file.stem) for file in files)
        or len({(file.parent, SHARD.sub("", file.name)) for file in files}) > 1
    )


def _joined(files: list[Path], image: str | None) -> Dataset:
    from datasets import concatenate_datasets

    parts = [_read(file, image) for file in files]
    try:
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    except ValueError as error:
        raise InputError(f"{files[0]} and its other parts do not have the same columns: {_line(error)}") from None


def _hub(source: str, subset: str | None) -> dict[str, Dataset]:
    from datasets import load_dataset

    use_cache_if_unreachable()
    try:
        loaded = load_dataset(source, subset)
    except ConnectionError:
        raise InputError(
            f"dataset '{source}' is no file or folder here, and the Hub cannot be reached or does not have it; "
            "offline, give a csv, tsv, json, jsonl or parquet file, a folder of them, or an id that is in the cache"
        ) from None
    except Exception as error:
        raise InputError(f"dataset '{source}' does not load: {_line(error)}") from None
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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
