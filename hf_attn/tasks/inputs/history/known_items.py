"""What is known of the items of train before a model learns: biases, and factors of what users rated alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ....models.factorisation import SHRINK, biases, factors

if TYPE_CHECKING:
    from torch import Tensor

    from .items import Catalogue

GROUPS = 5
"""Groups of users; each sees the factors that the others made."""


@dataclass(frozen=True)
class Learned:
    """Items of which a model learns more than their texts, in the order of their keys.

    Attributes:
        keys: (items,) int64, none of them twice.
        bias: (items,) where biases start: shrunk means.
        factors: (items, size) of all ratings of train; no columns where there are none.
        apart: (catalogue, groups, size) factors of all items without the ratings of one group of users each.
        group: (rows,) group of the user of each row of train. Were a row scored with factors that its own rating has
            made, they would tell the label.
    """

    keys: Tensor
    bias: Tensor
    factors: Tensor
    apart: Tensor
    group: np.ndarray


def learned(
    made: Catalogue, items: np.ndarray, values: np.ndarray, users: np.ndarray, size: int = 0, seed: int = 0
) -> Learned:
    """Return what ratings say of the items of train.

    Args:
        made: all items.
        items: (rows,) the item of each row of train.
        values: (rows,) its rating or click.
        users: (rows,) its user, numbers from 0 on.
        size: of the factors; 0 is without.
        seed: of where they start.
    """
    keys, place = np.unique(made.keys.numpy()[items], return_inverse=True)
    spread = (values - values.mean()) / (values.std() or 1.0)
    means = np.bincount(place, spread, len(keys)) / (np.bincount(place, minlength=len(keys)) + SHRINK)
    group = users % GROUPS
    whole, apart = np.zeros((len(keys), size)), np.zeros((GROUPS, len(keys) + 1, size))
    if size:
        left, shape = biases(users, place, spread)[2], (int(users.max()) + 1, len(keys))
        whole = factors(users, place, left, shape, size, seed)[1]
        for one in range(GROUPS):
            if (kept := group != one).any():
                apart[one, :-1] = factors(users[kept], place[kept], left[kept], shape, size, seed)[1]
    at = np.searchsorted(keys, made.keys.numpy()).clip(max=len(keys) - 1)
    at = np.where(keys[at] == made.keys.numpy(), at, len(keys))  # items that train has not: the last row, 0
    return Learned(
        torch.from_numpy(keys),
        torch.from_numpy(means).float(),
        torch.from_numpy(whole).float(),
        torch.from_numpy(apart[:, at].swapaxes(0, 1)).float(),
        group,
    )
