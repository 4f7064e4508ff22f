"""Attributions in the format of the ERASER benchmark (DeYoung et al. 2020), a JSON object each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..tasks.explained import runs
from .faithfulness import SHARES, taken_of

if TYPE_CHECKING:
    from .case import Case
    from .weighed import Weighed


def eraser_row(attribution: Weighed, number: str) -> dict[str, Any]:
    """Return one row of ERASER's file of predictions.

    ``soft_rationale_predictions`` holds a weight for each part of a text, and so for each word by default;
    ``hard_rationale_predictions`` the fifth of the parts that count most, as runs; ``thresholded_scores`` what the
    model says without and with nothing but the parts that count most, of which ``comprehensiveness_…`` and
    ``sufficiency_…`` are those of the fifth. ``attribution`` is all of it, with the places of the parts.

    Args:
        attribution: of one input.
        number: that tells the input apart.
    """
    case = attribution.case
    assert case is not None
    shares = [*SHARES, 0.2]
    rank = np.argsort(attribution.order())
    takes = [taken_of(share, len(rank)) for share in shares]
    keep = np.array([[True] * len(rank), *(rank >= take for take in takes), *(rank < take for take in takes)])
    whole, *said = _said(case, keep)
    gone, alone = said[: len(shares)], said[len(shares) :]
    return {
        "annotation_id": number,
        "rationales": [_rationale(attribution, number, source, rank < takes[-1]) for source in _sources(attribution)],
        "classification": attribution.prediction,
        "classification_scores": whole,
        "comprehensiveness_classification_scores": gone[-1],
        "sufficiency_classification_scores": alone[-1],
        "thresholded_scores": [
            {
                "threshold": share,
                "comprehensiveness_classification_scores": without,
                "sufficiency_classification_scores": with_,
            }
            for share, without, with_ in zip(SHARES, gone, alone, strict=False)
        ],
        "attribution": attribution.to_dict(),
    }


def _said(case: Case, keep: np.ndarray) -> list[dict[str, float]]:
    """What the model says of rows of parts; of a target that words no row of outputs alone, the explained score."""
    if case.parted.aside or case.in_tokens:
        return [{case.asked.name: score} for score in case.scores(keep).tolist()]
    return [_classified(answer) for answer in case.target.say(case.answers(keep))]


def _classified(answer: dict[str, Any]) -> dict[str, float]:
    if "probabilities" in answer:
        return dict(answer["probabilities"])
    values = answer["value"] if isinstance(answer["value"], list) else [answer["value"]]
    return {"value" if len(values) == 1 else f"value_{at}": float(value) for at, value in enumerate(values)}


def _sources(attribution: Weighed) -> list[int]:
    return sorted({part.source for part in attribution.parts})


def _rationale(attribution: Weighed, number: str, source: int, hard: np.ndarray) -> dict[str, Any]:
    here = np.array([part.source == source for part in attribution.parts])
    return {
        "docid": number if source == 0 else f"{number}_{source}",
        "soft_rationale_predictions": attribution.weights[here].tolist(),
        "hard_rationale_predictions": [{"start_token": start, "end_token": end} for start, end in runs(hard[here])],
    }
