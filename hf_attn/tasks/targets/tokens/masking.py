"""Which tokens of a text are hidden, and what is given in their place."""

from __future__ import annotations

import numpy as np

from ..losses import IGNORED

HIDDEN, REPLACED = 0.8, 0.1
"""Of the tokens to predict: given as the mask, and as a random token; the others are given as they are."""


def chosen(words: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Choose the tokens to predict: whole words in random order, as long as they fit in a share of the tokens.

    The first word is taken whatever its length, so that each text has one and long words have their turn.

    Args:
        words: (tokens,) number of each token's word; below 0 is never chosen.
        share: of the tokens.
        random: of the order.

    Returns:
        (tokens,) bool.
    """
    free = words >= 0
    if not free.any():
        return free
    numbers, tokens = np.unique(words[free], return_counts=True)
    left = max(1, round(share * int(free.sum())))
    taken: list[int] = []
    for at in random.permutation(len(numbers)).tolist():
        if not taken or tokens[at] <= left:
            taken.append(int(numbers[at]))
            left -= int(tokens[at])
        if left <= 0:
            break
    return np.isin(words, taken)


def masked(
    ids: np.ndarray, words: np.ndarray, share: float, mask: int, ordinary: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hide tokens as BERT does: of those chosen 80 % are given as the mask, 10 % as a random token, 10 % as they are.

    Devlin et al. 2019, section 3.1.

    Args:
        ids: (tokens,) of a text.
        words: (tokens,) as of :func:`chosen`.
        share: of the tokens that are predicted.
        mask: id of the mask.
        ordinary: ids of all tokens that are not special.
        random: of all that is drawn.

    Returns:
        (tokens,) ids to give, and (tokens,) ids to predict, -100 where none is.
    """
    picked = chosen(words, share, random)
    draw, other = random.random(len(ids)), random.choice(ordinary, len(ids))
    given = np.where(picked & (draw < HIDDEN), mask, ids)
    given = np.where(picked & (draw >= HIDDEN) & (draw < HIDDEN + REPLACED), other, given)
    return given, np.where(picked, ids, IGNORED)
