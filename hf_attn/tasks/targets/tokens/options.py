"""Arguments of language modelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..generation import GenerationOptions


@dataclass(kw_only=True)
class Options(GenerationOptions):
    """Language modelling"""

    objective: Literal["masked", "causal"] = "masked"
    """masked: words are hidden, and told from those on both sides (BERT); causal: each token is told from those before
    it (GPT)."""
    mlm_probability: float = 0.15
    """Of masked: share of a text's tokens that are predicted, at least one word of each; of them 80 % are hidden, 10 %
    are another token, 10 % stay."""

    whole_word_mask: bool = True
    """Of masked: the tokens of a word are hidden together."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if not 0 < self.mlm_probability < 1:
            found.append(f"mlm_probability is {self.mlm_probability}: it must be above 0 and below 1, such as 0.15")
        if self.objective == "masked":
            idle, needed = list(self.asked()), "causal"
        else:
            told = {"mlm_probability": self.mlm_probability != 0.15, "whole_word_mask": not self.whole_word_mask}
            idle, needed = [name for name, given in told.items() if given], "masked"
        if idle:
            found.append(f"{' and '.join(idle)} {'need' if len(idle) > 1 else 'needs'} --objective {needed}")
        return found
