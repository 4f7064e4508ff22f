"""What an explanation holds: a weight for each part of one input, for one output of one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..tasks.explained import Part
    from .case import Case


@dataclass(frozen=True)
class Weighed:
    """How much each part of an input counts for one output, by one method: what :class:`Attribution` shows.

    Attributes:
        weights: (parts,) float64. Of a signed method, what a part adds to the output or takes from it; of another,
            how much of it there is.
        parts: with their characters or boxes.
        target: the output that is explained, in words.
        score: the model's score of it for the whole input.
        unit: of the score.
        method: its name.
        model: its name, without folders.
        prediction: what the model says of the input.
        weights_unit: what a part's weight is in: the logit or the unit of ``score``; empty where it is a size alone.
        signed: whether weights below 0 count against the output.
        sinks: what tokens that are no part got, by name: of methods that weigh all tokens.
        notes: what the method measured of itself, such as its completeness error.
        faithfulness: scores of this input, by name, each with those of random attributions; see
            :mod:`explain.faithfulness`.
        left_out: what of the input the model does not read, in words.
        case: what was explained.
    """

    weights: np.ndarray
    parts: Sequence[Part]
    target: str
    score: float
    unit: str
    method: str
    model: str = ""
    prediction: str = ""
    signed: bool = True
    sinks: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)
    faithfulness: Mapping[str, Any] = field(default_factory=dict)
    left_out: str = ""
    weights_unit: str = ""
    case: Case | None = field(default=None, repr=False, compare=False)

    def order(self, seed: int = 0) -> np.ndarray:
        """Return the parts from the one that counts most for the output to the least; equal ones in random order."""
        shuffled = np.random.default_rng(seed).permutation(len(self.weights))
        return shuffled[np.argsort(-self.weights[shuffled], kind="stable")]

    @property
    def sink_share(self) -> float:
        """Share of the weights that rests on tokens that are no part."""
        total = float(np.abs(self.weights).sum()) + sum(map(abs, self.sinks.values()))
        return sum(map(abs, self.sinks.values())) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        places = [{"span": list(one.span)} if one.span else {"box": list(one.box or ())} for one in self.parts]
        parts = [
            {"name": one.name, "source": one.source, **place, "weight": float(weight)}
            for one, place, weight in zip(self.parts, places, self.weights, strict=True)
        ]
        names = ("model", "method", "signed", "prediction", "target", "score", "unit", "weights_unit", "left_out")
        named = {name: getattr(self, name) for name in names}
        named |= {name: dict(getattr(self, name)) for name in ("sinks", "notes", "faithfulness")}
        return {**named, "parts": parts}

    def to_json(self, **options: Any) -> str:
        """Return all of it as JSON; ``options`` are of :func:`json.dumps`."""
        return json.dumps(self.to_dict(), **{"ensure_ascii": False, **options})
