"""Where examples come from: a Hub id, a file, or a folder; always as train, validation and test."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .classes import too_many
from .columns import listing, missing, nearest, refuse, without_nan
from .files import READERS, read
from .labels import class_values

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
LEAST = 2


def load_splits(
    source: str,
    subset: str | None = None,
    *,
    seed: int = 0,
    validation: float = 0.1,
    test: float = 0.1,
    label: str | list[str] | None = None,
) -> DatasetDict:
    """Load ``train``, ``validation`` and ``test``; what is missing is cut from train, stratified by ``label``.

    Args:
        source: Hub id; csv, tsv, json, jsonl or parquet file; folder of such files named train, validation (valid,
            val, dev) and test; or a folder written by ``save_to_disk``.
        subset: configuration of a Hub dataset, or folder in the folder ``source``.
        seed: of the cuts; the same seed gives the same rows.
        validation: share of train's rows that becomes a missing validation split.
        test: the same for test. A test split without any label (null or -1) counts as missing.
        label: column, or columns, of the labels.

    Raises:
        InputError: nothing to read there, a file that cannot be used, no train split, a column that is not there,
            too few rows.
    """
    splits = _named(_find(source, subset), source)
    columns = [label] if isinstance(label, str) else list(label or [])
    refuse(missing(splits, columns))
    if "test" in splits and columns and _unlabelled(splits["test"], columns):
        log.warning("test has no labels: another is cut from train")
        del splits["test"]
    shares = {name: share for name, share in (("validation", validation), ("test", test)) if name not in splits}
    if shares:
        splits |= _cut(splits["train"], shares, seed, columns[0] if len(columns) == 1 else None)
    refuse(
        f"{name} has {len(split)} row: at least {LEAST} are needed"
        for name, split in splits.items()
        if len(split) < LEAST
    )
    from datasets import DatasetDict

    return DatasetDict({name: splits[name] for name in SPLITS})


def limit(splits: DatasetDict, rows: int | None, seed: int = 0) -> DatasetDict:
    """At most ``rows`` rows of each split, drawn by ``seed``: for trials."""
    from datasets import DatasetDict

    if rows is None:
        return splits
    if rows < LEAST:
        raise InputError(f"limit {rows}: at least {LEAST} rows are needed")
    drawn = {name: np.random.default_rng(seed).permutation(len(split))[:rows] for name, split in splits.items()}
    return DatasetDict({name: split.select(drawn[name]) for name, split in splits.items()})


def fingerprint(splits: DatasetDict) -> str:
    """sha256 of all rows, as hex digits: equal for equal values, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        rows = splits[name].with_format("arrow")
        digest.update(f"{name} {len(rows)}\n".encode())
        for at in range(0, len(rows), 1000):
            columns = rows[at : at + 1000].to_pydict()
            digest.update(json.dumps(columns, sort_keys=True, default=lambda value: repr(value)).encode())
    return digest.hexdigest()


def _find(source: str, subset: str | None) -> dict[str, Dataset]:
    """The splits of ``source`` under the names they have there."""
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path / subset if subset else path)
    if path.suffix.lower() in READERS or path.is_file():
        if subset:
            raise InputError(
                f"subset '{subset}' given with the file {path}: it names a part of a Hub dataset or folder"
            )
        if not path.is_file():
            files = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"no file {path}{nearest(path.name, files)}")
        return {"train": read(path)}
    if not HUB_ID.fullmatch(source) or source.startswith("."):
        raise InputError(f"no file or folder {source}, and it is not a Hub dataset id such as 'user/name'")
    return _hub(source, subset)


def _folder(path: Path) -> dict[str, Dataset]:
    from datasets import concatenate_datasets, load_from_disk

    if not path.is_dir():
        raise InputError(f"no folder {path}")
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        try:
            loaded = load_from_disk(str(path))
        except Exception as error:
            raise InputError(f"{path} does not load as a folder of save_to_disk: {_line(error)}") from None
        return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    files = sorted(file for folder in (path, path / "data") if folder.is_dir() for file in folder.iterdir())
    shards: dict[str, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in READERS:
            shards.setdefault(SHARD.sub("", file.stem).lower() + file.suffix.lower(), []).append(file)
    groups: dict[str, list[Path]] = {}
    for found in shards.values():
        groups.setdefault(_split_of(SHARD.sub("", found[0].stem)) or "", []).append(found[0])
    twice = [
        f"{split}: {', '.join(sorted(f.name for f in found))}" for split, found in groups.items() if found[1:] and split
    ]
    if twice:
        raise InputError(f"{path} has more than one file for a split ({'; '.join(twice)}): keep one of each")
    if "train" not in groups:
        names = listing([file.name for file in files], 8) or "nothing"
        raise InputError(
            f"{path} has no train file (train.csv, .tsv, .json, .jsonl or .parquet); it holds {names}; "
            "rename one, or give a file itself"
        )
    loaded = {}
    for split, (first, *_) in ((split, found) for split, found in groups.items() if split):
        parts = [read(file) for file in shards[SHARD.sub("", first.stem).lower() + first.suffix.lower()]]
        loaded[split] = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    return loaded


def _hub(source: str, subset: str | None) -> dict[str, Dataset]:
    from datasets import load_dataset

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


def _cut(train: Dataset, shares: dict[str, float], seed: int, label: str | None) -> dict[str, Dataset]:
    """Train and the splits taken from it; each class keeps its share in each, and at least one row in train."""
    rows = len(train)
    sizes = {name: max(LEAST, round(share * rows)) for name, share in shares.items()}
    if rows - sum(sizes.values()) < LEAST:
        raise InputError(f"train has {rows} rows: too few to cut {' and '.join(sizes)} from; give files for them")
    order = np.random.default_rng(seed).permutation(rows)
    values = class_values(train, label) if label else None
    classes = np.zeros(rows, dtype=np.int64) if values is None else values[order]
    if label and values is not None:
        _refuse_single(train, label, values)
    left = np.ones(rows, dtype=bool)
    cut = {}
    for name, size in sizes.items():
        taken = _share_out(classes, left, size)
        cut[name] = train.select(np.sort(order[taken]))
        left[taken] = False
    return {"train": train.select(np.sort(order[left])), **cut}


def _share_out(classes: np.ndarray, left: np.ndarray, size: int) -> np.ndarray:
    """Positions of ``size`` rows that are left, by largest remainder over the classes."""
    counts = np.bincount(classes[left])
    quota = counts * size / counts.sum()
    take = np.minimum(np.floor(quota).astype(int), np.maximum(counts - 1, 0))
    for index in np.argsort(-(quota - take), kind="stable").tolist() * 2:
        if take.sum() < size and take[index] < counts[index] - 1:
            take[index] += 1
    positions = np.flatnonzero(left)
    return np.concatenate([positions[classes[positions] == index][:n] for index, n in enumerate(take)])


def _refuse_single(train: Dataset, label: str, values: np.ndarray) -> None:
    """Refuse classes of one row; rows without a label are told of later."""
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    refuse(too_many(label, len(counts), len(values)))
    found = without_nan(train[int(row)][label] for row, count in zip(first, counts, strict=True) if count == 1)
    if single := [value for value in found if value not in (None, "")]:
        raise InputError(
            f"'{label}' has classes with one example, which cannot be in train and in a split cut from it: "
            f"{listing(single)}; add examples, remove them, or give files for validation and test"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
