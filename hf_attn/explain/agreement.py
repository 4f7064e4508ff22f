"""How far an attribution is what people mark as the reason: agreement with rationales, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..tasks.explained import runs

if TYPE_CHECKING:
    from ..tasks.explained import Part

AGREEMENT = ("auprc", "token_f1", "iou_f1")
OVERLAP = 0.5
"""Intersection over union from which on two spans are one (DeYoung et al. 2020, section 5.1)."""


def marked_parts(parts: Sequence[Part], spans: Sequence[tuple[int, int]], source: int = 0) -> np.ndarray:
    """Return which parts a rationale marks, (parts,) bool: those that share a character with one of its spans.

    Args:
        parts: of a text.
        spans: characters [start, end) of it.
        source: which text of a pair they are of.
    """
    return np.array(
        [
            part.source == source
            and part.span is not None
            and any(start < part.span[1] and part.span[0] < end for start, end in spans)
            for part in parts
        ],
        dtype=bool,
    )


def agreement(weights: np.ndarray, marked: np.ndarray, share: float) -> dict[str, float]:
    """Return how far the parts that count most are those that are marked (DeYoung et al. 2020, section 5.1).

    ``auprc`` is the area below precision and recall as a threshold on the weights falls; ``token_f1`` the F1 of the
    ``share`` of the parts that count most; ``iou_f1`` that of their runs, where a run is right if it overlaps one that
    is marked by an intersection over union of at least 0.5.

    Args:
        weights: (parts,).
        marked: (parts,) bool, of which some are True.
        share: of the parts that are taken; usually the mean share that is marked in the data.
    """
    from sklearn.metrics import average_precision_score

    taken = np.zeros(len(weights), bool)
    taken[np.argsort(-weights, kind="stable")[: max(1, round(share * len(weights)))]] = True
    both = float((taken & marked).sum())
    return {
        "auprc": float(average_precision_score(marked, weights)),
        "token_f1": 2 * both / float(taken.sum() + marked.sum()),
        "iou_f1": _runs_f1(runs(taken), runs(marked)),
    }


def _runs_f1(found: list[tuple[int, int]], truth: list[tuple[int, int]]) -> float:
    def alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
        shared = min(one[1], other[1]) - max(one[0], other[0])
        return shared > 0 and shared / (max(one[1], other[1]) - min(one[0], other[0])) >= OVERLAP

    if not found or not truth:
        return 0.0
    right = sum(any(alike(one, other) for other in truth) for one in found)
    precision, recall = right / len(found), min(1.0, right / len(truth))
    return 2 * precision * recall / (precision + recall) if right else 0.0
