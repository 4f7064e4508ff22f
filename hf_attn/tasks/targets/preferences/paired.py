"""The loss of a row, and of the order of its candidate and another of the same user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch.nn.functional as F

from ....training.step import model_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ....training.step import Batch

PREFERRED = "preferred"
"""Of a batch: (rows,) 1 where the first candidate is preferred to the second, -1 the reverse, 0 where there is none."""


def with_pairs(criterion: Callable[[Tensor, Tensor], Tensor], weight: float, model: nn.Module, batch: Batch) -> Tensor:
    """Return ``Σ criterion(logits, y) - weight · |p| log σ(p (s_1 - s_2))``, summed over the rows, p being preference.

    The second term is that of BPR (Rendle et al. 2009, section 4.2) and RankNet (Burges et al. 2005, eq. 3), over pairs
    within a user, so that it says nothing of how generous users are.
    """
    inputs = model_inputs(batch)
    preferred = inputs.pop(PREFERRED, None)
    found = model(**inputs)
    loss = criterion(found.logits, batch["labels"])
    if preferred is None or not weight:
        return loss
    margin = (found.scores[:, 0] - found.scores[:, 1]).float() * preferred
    return loss - weight * (F.logsigmoid(margin) * preferred.abs()).sum()
