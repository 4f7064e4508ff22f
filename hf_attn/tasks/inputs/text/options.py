"""Arguments of texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....data.options import DataOptions

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict


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

    def load_texts(self, seed: int, strata: Callable[[Dataset], np.ndarray] | None = None) -> DatasetDict:
        """Load and check the splits.

        Args:
            seed: of the cuts.
            strata: gives the class of each row, for the cuts.

        Raises:
            InputError: whatever cannot be used, all of it at once where that can be.
        """
        from .tokens import check_text

        splits = self.load_splits(seed, text=(self.text, self.text_pair), strata=strata)
        check_text(splits, self.text, self.text_pair, self.label)
        return splits
