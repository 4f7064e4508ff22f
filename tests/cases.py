"""Inputs that people really have, where they are beside the project; a test of one skips where they are not."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("HF_ATTN_SHARED", Path(__file__).parents[1] / "../shared")) / "cases"


def case(name):
    """The path of one case."""
    if not (ROOT / name).exists():
        pytest.skip(f"no {ROOT / name}")
    return ROOT / name
