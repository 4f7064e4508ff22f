"""Arguments of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

    from .sources import Shaped
    from .splitting import Cut


@dataclass(kw_only=True)
class DataOptions:
    """Data"""

    dataset: str
    """Hub id; csv, tsv, json, jsonl, parquet or arrow file; folder of train, … and test files, or of CLASS/*.txt."""
    subset: str | None = None
    """Configuration of a Hub dataset."""
    revision: str | None = None
    """Branch, tag or commit of a Hub dataset."""
    data_dir: str | None = None
    """Folder in a Hub dataset, or in the folder --dataset."""
    delimiter: str | None = None
    """Between the fields of csv and tsv files, such as ';' or tab; null is ',' for csv and tab for tsv."""
    encoding: str | None = None
    """Of csv, tsv, json, jsonl and txt files, such as cp1252 or shift_jis; null is UTF-8."""
    validation_share: float = 0.1
    """Share of train that becomes the validation split where there is none."""
    test_share: float = 0.1
    """Share of train that becomes the test split where there is none."""
    skip_bad_rows: bool = False
    """Leave out rows without text, image or label, and say how many, instead of stopping."""


def load(
    args: DataOptions,
    *,
    label: str | list[str] | None = None,
    image: str | None = None,
    text: Sequence[str | None] = (),
    strata: Callable[[Dataset], np.ndarray] | None = None,
    inside: bool = False,
    unlabelled: str | None = None,
    cutting: Cut | None = None,
    shaped: Shaped | None = None,
    written: Sequence[str] = (),
    lines: bool = False,
) -> DatasetDict:
    """Load the splits that the arguments name, and cut from train those that are missing.

    Args:
        args: of a run: where the data is and how it is read, and the ``seed`` of the cuts.
        label: column, or columns, of the labels.
        image: column of images.
        text: columns of texts.
        strata: gives the class of each row, for the cuts.
        inside: also take texts out of columns of objects, and out of parallel files.
        unlabelled: file, folder or Hub id of rows without labels, to be predicted.
        cutting: what takes missing splits from train, where rows are not to be drawn.
        shaped: makes rows of what a split holds, such as questions of passages.
        written: columns of the labels that stay as they are written, and may be missing in a row.
        lines: whether .txt files are read too, whose lines are the first column of texts.

    Raises:
        InputError: whatever cannot be used.
    """
    from .sources import load_splits, with_unlabelled

    splits = load_splits(
        args.dataset,
        args.subset,
        seed=args.seed,  # type: ignore[attr-defined]
        validation=args.validation_share,
        test=args.test_share,
        label=label,
        strata=strata,
        image=image,
        text=text,
        delimiter=args.delimiter,
        encoding=args.encoding,
        revision=args.revision,
        data_dir=args.data_dir,
        skip_bad_rows=args.skip_bad_rows,
        inside=inside,
        cutting=cutting,
        shaped=shaped,
        written=written,
        lines=lines,
    )
    if unlabelled is None:
        return splits
    inputs = [column for column in (image, *text) if column]
    return with_unlabelled(
        splits,
        unlabelled,
        inputs,
        image=image,
        text=text,
        delimiter=args.delimiter,
        encoding=args.encoding,
        skip_bad_rows=args.skip_bad_rows,
    )
