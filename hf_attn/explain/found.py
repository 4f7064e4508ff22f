"""What a method found, before it is an attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Found:
    """Weights of the parts of one example.

    Attributes:
        weights: (parts,).
        sinks: what tokens that are no part got, by name.
        notes: what the method measured of itself.
    """

    weights: np.ndarray
    sinks: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)
