"""Questions on short contexts, of which a tiny model can learn where the answer stands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tiny_bert import WORDS

SAID = ("yesterday", "evening", "swallowed")
"""Answers: what stands in a context once, or not at all."""


def save_questions(folder: Path, train: int = 96, test: int = 18, none: bool = True) -> Path:
    """Rows whose answer is the one word of some that stands in the context; some contexts are longer than a window.

    Some questions have no answer, with ``none``.
    """
    random = np.random.default_rng(0)
    others = [word for word in WORDS if word not in SAID]
    for split, count in (("train", train), ("test", test)):
        rows = []
        for number in range(count):
            words = random.choice(others, 60 if number % 9 == 4 else random.integers(4, 9)).tolist()
            answers: dict[str, Any] = {"text": [], "answer_start": []}
            if not (none and number % 6 == 5):
                at = int(random.integers(1, len(words)))
                words.insert(at, SAID[number % 3])
                answers = {"text": [words[at]] * 2, "answer_start": [len(" ".join(words[:at])) + 1] * 2}
            rows.append(
                {
                    "question": f"the {random.choice(['card', 'machine'])}",
                    "context": " ".join(words),
                    "answers": answers,
                }
            )
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def rows_of(folder: Path, split: str = "test") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def questions_of(folder: Path) -> list[dict[str, str]]:
    return [{"question": row["question"], "context": row["context"]} for row in rows_of(folder)]


def questions_without_answers(folder: Path) -> list[dict[str, str]]:
    found = questions_of(folder)
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return found
