"""Arguments of preferences and their loss."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(kw_only=True)
class Options:
    """Preferences"""

    label: str = "rating"
    """Column of the rating or click of each row."""
    liked_from: float | None = None
    """Ratings of at least this are liked, lower ones are not, and that is predicted. null predicts the ratings, or
    clicks where they are 0 and 1."""
    pair_weight: float = 1.0
    """Of the loss of pairs, beside each row's own: of two rows of a user, which one is preferred? 0 is off."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if self.liked_from is not None and not math.isfinite(self.liked_from):
            found.append(f"liked_from is {self.liked_from}: it must be a rating, such as 4")
        if not 0 <= self.pair_weight < math.inf:
            found.append(f"pair_weight is {self.pair_weight}: it must be at least 0, such as 1")
        return found
