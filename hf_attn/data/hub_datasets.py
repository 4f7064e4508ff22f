"""Datasets of the Hub, or of its cache where it cannot be reached: of the revision that was asked for, or none."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..interface.hub_connection import use_cache_if_unreachable
from ..interface.printable import one_line

if TYPE_CHECKING:
    from datasets import Dataset

    from .folders import Source

log = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")


def load_hub(source: Source) -> dict[str, Dataset]:
    """The splits of a dataset of the Hub under the names they have there.

    Raises:
        InputError: it does not load; or the cache has another revision, which ``datasets`` would serve in its place.
    """
    from datasets import load_dataset

    reachable = use_cache_if_unreachable()
    more = {"revision": source.revision, "data_dir": source.data_dir}
    try:
        loaded = load_dataset(source.name, source.subset, **{name: value for name, value in more.items() if value})
    except ConnectionError:
        raise InputError(
            f"dataset '{source.name}' is no file or folder here, and the Hub cannot be reached or does not have it; "
            "offline, give a csv, tsv, json, jsonl or parquet file, a folder of them, or an id that is in the cache"
        ) from None
    except Exception as error:
        place = f"; is there a folder '{source.data_dir}' with data in it?" if source.data_dir else ""
        raise InputError(f"dataset '{source.name}' does not load: {one_line(error)}{place}") from None
    splits = dict(loaded)
    _check_revision(source, commit_of(splits), reachable)
    return splits


def commit_of(splits: dict[str, Dataset]) -> str | None:
    """The commit that the rows were prepared from, by the name of their folder in the cache; None if that says none."""
    files = [Path(file["filename"]) for split in splits.values() for file in split.cache_files]
    return next((file.parent.name for file in files if COMMIT.fullmatch(file.parent.name)), None)


def _check_revision(source: Source, commit: str | None, reachable: bool) -> None:
    if source.revision is None:
        if not reachable:
            log.warning("the Hub cannot be reached: %s comes from the cache, commit %s", source.name, commit)
        return
    expected: str | None = source.revision
    if not COMMIT.fullmatch(source.revision):
        expected = _commit_named(source.name, source.revision) if reachable else None
    if (commit is None and reachable) or (commit is not None and commit == expected):
        return
    why = "" if reachable else ", for the Hub cannot be reached"
    raise InputError(
        f"revision '{source.revision}' of '{source.name}' cannot be had{why}; the cache has commit {commit}: give that "
        "as --revision, or try again"
    )


def _commit_named(name: str, revision: str) -> str | None:
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(name, revision=revision).sha
    except Exception as error:
        raise InputError(f"revision '{revision}' of '{name}' cannot be looked up: {one_line(error)}") from None
