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
class SelfTrainingOptions:
    """Self-training on rows without labels"""

    unlabeled: str | None = None
    """File, folder or Hub id of rows without labels, with the columns of the input. A model trained on the labels is
    run first, in a folder beside the run's; a new one learns from the labels and from what that says of these rows."""
    unlabeled_threshold: float = 0.9
    """Least probability, calibrated on the validation split, of a label that is learned from."""
    unlabeled_weight: float = 0.5
    """Of such a row in the loss, beside 1 of a row with a label."""
    unlabeled_balanced: bool = False
    """Of each class learn from no more rows than the median class has, the surest ones."""
    unlabeled_rounds: int = 1
    """How often a new model learns from the one before; 0 is from the labels alone, and predicts the others."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if not 0 < self.unlabeled_threshold <= 1:
            found.append(f"unlabeled_threshold is {self.unlabeled_threshold}: it must be above 0 and at most 1")
        if not 0 < self.unlabeled_weight < float("inf"):
            found.append(f"unlabeled_weight is {self.unlabeled_weight}: it must be above 0")
        if self.unlabeled_rounds < 0:
            found.append(f"unlabeled_rounds is {self.unlabeled_rounds}: it must be at least 0")
        defaults = {"threshold": 0.9, "weight": 0.5, "balanced": False, "rounds": 1}
        told = {f"unlabeled_{name}": value for name, value in defaults.items()}
        idle = [name for name, value in told.items() if getattr(self, name) != value]
        if idle and self.unlabeled is None:
            found.append(
                f"{' and '.join(idle)} {'need' if len(idle) > 1 else 'needs'} --unlabeled, rows without labels"
            )
        return found


@dataclass(kw_only=True)
class Options(LossOptions, SelfTrainingOptions):
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
