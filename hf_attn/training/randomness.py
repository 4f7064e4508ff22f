"""The states of the global random generators, to save and to put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's (CPU, GPU) global generators, as plain values and tensors."""
    numpy_state = np.random.get_state(legacy=False)
    inner = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {"key": inner["key"].tolist(), "pos": inner["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what :func:`random_state` returned."""
    random.setstate(state["python"])
    inner = state["numpy"]["state"]
    np.random.set_state(
        {**state["numpy"], "state": {"key": np.array(inner["key"], dtype=np.uint32), "pos": inner["pos"]}}
    )
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Whatever is drawn inside, the generators go on afterwards as if it had not been."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
