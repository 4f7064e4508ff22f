"""Matrix factorisation of ratings: biases and factors of users and items, by least squares."""

from __future__ import annotations

import numpy as np

SHRINK = 5.0
"""Ratings of the mean of all that an item's or a user's own are mixed with."""
FACTORS, PENALTY, SWEEPS = 32, 0.1, 8


def biases(user: np.ndarray, item: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shrunk biases of users, (users,), and items, (items,), and what they leave of each rating, (rows,).

    Args:
        user: (rows,) numbers from 0 on.
        item: (rows,) likewise.
        value: (rows,) ratings as differences from their mean.
    """
    users, items = int(user.max()) + 1, int(item.max()) + 1
    of_user, of_item = np.bincount(user, minlength=users), np.bincount(item, minlength=items)
    own, theirs = np.zeros(users), np.zeros(items)
    for _ in range(10):
        theirs = np.bincount(item, value - own[user], items) / (of_item + SHRINK)
        own = np.bincount(user, value - theirs[item], users) / (of_user + SHRINK)
    return own, theirs, value - own[user] - theirs[item]


def factors(
    user: np.ndarray, item: np.ndarray, left: np.ndarray, shape: tuple[int, int], size: int = FACTORS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return factors of users, (users, size), and items, (items, size), whose products give what biases leave.

    Alternating least squares with a penalty that grows with a row's ratings (Zhou et al. 2008, section 3.1). Users and
    items without a rating have factors of 0.

    Args:
        user: (rows,) numbers from 0 on.
        item: (rows,) likewise.
        left: (rows,) of :func:`biases`.
        shape: how many users and items there are.
        size: of a factor.
        seed: of the start.
    """
    random = np.random.default_rng(seed)
    users, items = (random.normal(0, 0.1, (count, size)) for count in shape)
    sides = [(users, items, user, item), (items, users, item, user)]
    ordered = [np.argsort(own, kind="stable") for _, _, own, _ in sides]
    for _ in range(SWEEPS):
        for (solved, other, own, theirs), order in zip(sides, ordered, strict=True):
            starts = np.flatnonzero(np.diff(own[order], prepend=-1))
            known, rest = other[theirs[order]], left[order]
            rows = list(zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True))
            gram = np.stack([known[first:end].T @ known[first:end] for first, end in rows])
            gram += PENALTY * np.array([end - first for first, end in rows])[:, None, None] * np.eye(size)
            wanted = np.stack([known[first:end].T @ rest[first:end] for first, end in rows])
            solved[:] = 0
            solved[own[order[starts]]] = np.linalg.solve(gram, wanted[..., None])[..., 0]
    return users, items
