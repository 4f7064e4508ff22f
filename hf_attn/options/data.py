"""Arguments of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datasets import DatasetDict

    from ..data import Labels


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

    def load_splits(self, seed: int, image: str | None = None, text: Sequence[str | None] = ()) -> DatasetDict:
        """Load the splits, and cut from train those that are missing.

        Args:
            seed: of the cuts.
            image: column of images.
            text: columns of texts.

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
            kind=self.problem,
            image=image,
            text=text,
            delimiter=self.delimiter,
            encoding=self.encoding,
            revision=self.revision,
            data_dir=self.data_dir,
            skip_bad_rows=self.skip_bad_rows,
        )

    def encode_labels(self, splits: DatasetDict, seed: int, limit: int | None) -> tuple[DatasetDict, Labels]:
        """Encode the labels, and keep ``limit`` rows of each split.

        Raises:
            InputError: all that is wrong with the labels.
        """
        from .. import data

        splits, labels = data.encode_labels(splits, self.label, kind=self.problem, label_names=self.label_names)
        return data.limit(splits, limit, seed), labels


@dataclass(kw_only=True)
class TextOptions(DataOptions):
    """Texts"""

    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, for pairs."""
    max_length: int | None = 256
    """Tokens of a text, or of a pair, special ones included; the rest is cut. null is the model's own limit."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = self.max_length is not None and self.max_length < 1
        return [f"max_length is {self.max_length}: it must be above 0, or null"] if wrong else []

    def load_texts(self, seed: int, limit: int | None) -> tuple[DatasetDict, Labels]:
        """Load and check the splits, and encode the labels.

        Raises:
            InputError: whatever cannot be used, all of it at once where that can be.
        """
        from .. import data

        splits = self.load_splits(seed, text=(self.text, self.text_pair))
        data.check_text(splits, self.text, self.text_pair, self.label)
        return self.encode_labels(splits, seed, limit)
