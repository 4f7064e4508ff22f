"""Tiny histories: what most users like is the same, and some like the contrary."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tiny_bert import WORDS

NAMES = list(dict.fromkeys(WORDS))


def liked(user: int, item: int) -> int:
    """All like items of even numbers; users of numbers that 4 divides like the others instead."""
    return int(item % 2 == (user % 4 == 0))


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows that hold their history."""
    random, found = np.random.default_rng(seed), []
    for time in range(count):
        user, items = int(random.integers(0, 12)), random.permutation(len(NAMES))[: int(random.integers(2, 8))].tolist()
        *history, candidate = items
        ratings = [1.0 + 4 * liked(user, item) for item in history]
        found.append(
            {
                "user_id": f"u{user}",
                "history": [NAMES[item] for item in history],
                "ratings": ratings,
                "candidate": NAMES[candidate],
                "rating": liked(user, candidate),
                "timestamp": time,
            }
        )
    return found


def save_histories(folder: Path, train: int = 240, test: int = 80) -> Path:
    """``train.jsonl``, ``validation.jsonl`` and ``test.jsonl`` of such rows."""
    for seed, (split, count) in enumerate({"train": train, "validation": 40, "test": test}.items()):
        lines = (json.dumps(row) + "\n" for row in rows_of(count, seed))
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


def given(folder: Path) -> list[dict[str, Any]]:
    """What ``hf_attn.predict`` is given for the test rows."""
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in ("history", "ratings", "candidate")} for row in rows]


def without_labels(folder: Path) -> list[dict[str, Any]]:
    """Take the labels off the test rows."""
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    (folder / "test.jsonl").write_text("".join(json.dumps({**row, "rating": None}) + "\n" for row in rows))
    return [{name: row[name] for name in ("history", "candidate")} for row in rows]


def interactions(users: int = 10, each: int = 20, seed: int = 0) -> pd.DataFrame:
    """Interactions of users with items, a row each time; some at the same time."""
    random, rows = np.random.default_rng(seed), []
    for user in range(users):
        times = np.sort(random.integers(0, 15, each))
        items = random.permutation(len(NAMES))[:each] if each <= len(NAMES) else random.integers(0, len(NAMES), each)
        rows += [
            {"user_id": user, "item_id": int(item), "rating": 1 + 4 * liked(user, int(item)), "timestamp": int(time)}
            for item, time in zip(items, times, strict=False)
        ]
    return pd.DataFrame(rows)


def items() -> pd.DataFrame:
    """The texts of the items."""
    return pd.DataFrame({"item_id": range(len(NAMES)), "text": NAMES})


def save_interactions(folder: Path, table: pd.DataFrame | None = None, texts: pd.DataFrame | None = None) -> Path:
    """``ratings.csv`` and ``items.csv`` in a folder; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    (interactions() if table is None else table).to_csv(folder / "ratings.csv", index=False)
    (items() if texts is None else texts).to_csv(folder / "items.csv", index=False)
    return folder / "ratings.csv"
