"""Whether an attribution depends on what a model has learnt: the same method, the weights shuffled."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def shuffled(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Return a copy whose weights are those of the model in random order, each tensor by itself.

    The model-parameter randomisation test of Adebayo et al. 2018, section 3, with weights of the same sizes.

    Args:
        model: any.
        seed: of the order.
    """
    random = torch.Generator().manual_seed(seed)
    made = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                order = torch.randperm(parameter.numel(), generator=random).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return made


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation of the sizes of two attributions' weights; 0 where one is constant."""
    from scipy.stats import spearmanr

    one, other = np.abs(one), np.abs(other)
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other).statistic)
