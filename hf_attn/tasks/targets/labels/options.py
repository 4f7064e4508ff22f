"""Arguments of labels and their loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(kw_only=True)
class LossOptions:
    """Loss"""

    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes, 0 to below 1."""
    focal_gamma: float = 0.0
    """Focal loss: examples that are right with probability p count (1-p)^gamma; 0 is off, 2 is usual."""
    class_weights: str | None = None
    """balanced (by the counts in train) or numbers with commas, in the labels' order; null weighs all alike."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if not 0 <= self.label_smoothing < 1:
            found.append(f"label_smoothing is {self.label_smoothing}: it must be at least 0 and below 1, such as 0.1")
        if not 0 <= self.focal_gamma < float("inf"):
            found.append(f"focal_gamma is {self.focal_gamma}: it must be at least 0, such as 2")
        if self.class_weights not in (None, "balanced") and not numbers(self.class_weights):
            found.append(f"class_weights is {self.class_weights!r}: expected balanced, or numbers above 0 with commas")
        return found


@dataclass(kw_only=True)
class Options(LossOptions):
    """Labels"""

    label: str | list[str] = "label"
    """Column of the label; several columns of 0 and 1, as '["a", "b"]', are a multi-label task."""
    label_names: str | None = None
    """Column with the names of numbered classes."""
    problem: Literal["single", "multi", "regression"] | None = None
    """One class, several labels or a number; null reads it off the label column."""


def numbers(text: str | None) -> list[float]:
    """Finite numbers above 0 between commas; none where anything else is there."""
    try:
        found = [float(number) for number in str(text).split(",")]
    except ValueError:
        return []
    return found if all(0 < number < float("inf") for number in found) else []
