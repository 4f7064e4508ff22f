"""Arguments of functions around a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RationaleLoss = Literal["kl", "mse", "mass", "sparsemax"]


@dataclass(kw_only=True)
class RationaleOptions:
    """Attention that follows human rationales (with --rationale)"""

    rationale_weight: float = 1.0
    """Of the rationale loss of an example, beside its loss."""
    rationale_loss: RationaleLoss = "mass"
    """kl and mse pull the attention towards the rationales and away from all else; mass asks only that a share of it
    lies on them, for rationales that do not mark all there is; sparsemax is its own loss, for sparse attention."""
    rationale_mass: float = 0.8
    """Share of the attention that mass asks for, from 0 to 1."""
    rationale_layer: int = -1
    """Number of the attention layer, from 0; -1 is the last one."""
    rationale_heads: str = "auto"
    """all; numbers with commas, from 0; or auto: the half that agrees most with the rationales of the validation
    split before training."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        wrong = []
        if not self.rationale_weight > 0:
            wrong.append(f"rationale_weight is {self.rationale_weight}: it must be above 0")
        if not 0 < self.rationale_mass <= 1:
            wrong.append(f"rationale_mass is {self.rationale_mass}: it must be above 0 and at most 1")
        listed = self.rationale_heads.replace(" ", "").split(",")
        if self.rationale_heads not in ("auto", "all") and not all(one.isdecimal() for one in listed):
            wrong.append(f"rationale_heads is {self.rationale_heads!r}: expected auto, all, or numbers with commas")
        return wrong
