"""Sizes in a configuration that no model has: they would take the memory, or hours, before anything is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

BOUNDS = (
    (r"num_labels", 10**6),
    (r"(num_)?(hidden_|encoder_|decoder_)?layers?|.*_layers|n_layers?|depths?", 10**4),
    (r"num_.*|n_.*|.*_(size|dim|width|channels|heads|depth)|d_.*|hidden_sizes?|.*_sizes", 10**7),
)
"""Names of numbers, and the most that any of the published models comes near to."""


def absurd_sizes(config: Any) -> list[str]:
    """Return the sizes in a configuration, at any depth of it, that are beyond those of all models there are."""
    return [
        f"{name} is {value:.0e}, and {most:.0e} is the most that is taken"
        for name, value in _numbers(config)
        if (most := next((most for pattern, most in BOUNDS if re.fullmatch(pattern, name)), None)) and value > most
    ]


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _numbers(one, str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(one, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value
