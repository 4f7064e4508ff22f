"""Arguments of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict


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
    label: str | list[str] = "label"
    """Column of the label; several columns of 0 and 1, as '["a", "b"]', are a multi-label task."""
    label_names: str | None = None
    """Column with the names of numbered classes."""
    problem: Literal["single", "multi", "regression"] | None = None
    """One class, several labels or a number; null reads it off the label column."""
    validation_share: float = 0.1
    """Share of train that becomes the validation split where there is none."""
    test_share: float = 0.1
    """Share of train that becomes the test split where there is none."""
    skip_bad_rows: bool = False
    """Leave out rows without text, image or label, and say how many, instead of stopping."""

    def load_splits(
        self,
        seed: int,
        image: str | None = None,
        text: Sequence[str | None] = (),
        strata: Callable[[Dataset], np.ndarray] | None = None,
    ) -> DatasetDict:
        """Load the splits, and cut from train those that are missing.

        Args:
            seed: of the cuts.
            image: column of images.
            text: columns of texts.
            strata: gives the class of each row, for the cuts.

        Raises:
            InputError: whatever cannot be used.
        """
        from .. import data

        return data.load_splits(
            self.dataset,
            self.subset,
            seed=seed,
            validation=self.validation_share,
            test=self.test_share,
            label=self.label,
            strata=strata,
            image=image,
            text=text,
            delimiter=self.delimiter,
            encoding=self.encoding,
            revision=self.revision,
            data_dir=self.data_dir,
            skip_bad_rows=self.skip_bad_rows,
        )
