"""Attributions by what the score becomes where parts of the input are missing: any model, batches of rows."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .found import Found

if TYPE_CHECKING:
    from ..tasks.explained import Part
    from .case import Case

KERNEL_WIDTH = 25.0
"""Of LIME's kernel, in hundredths of cosine distance."""


AT_ONCE = 16
"""Nodes that partition_shap opens at once, those of the greatest credit: a number of its own, so that the size of a
batch changes nothing."""


def occlusion(case: Case) -> Found:
    """``w_j = f(x) - f(x without part j)`` (Zeiler & Fergus 2014; leave one out, Li et al. 2016)."""
    parts = len(case)
    scores = case.scores(np.vstack([np.ones((1, parts), bool), ~np.eye(parts, dtype=bool)]))
    return Found(scores[0] - scores[1:])


def lime(case: Case, samples: int = 1000, seed: int = 0) -> Found:
    """Coefficients of a weighted ridge regression of the score on which parts are there (Ribeiro et al. 2016, eq. 1).

    Each sample lacks 1 to all parts, chosen at random; its weight is ``√exp(-d²/25²)``, d being 100 times the cosine
    distance to the whole input; the penalty is 1, as in the authors' package.

    Args:
        case: the example.
        samples: inputs with parts missing, the whole one among them.
        seed: of the samples.

    Raises:
        InputError: fewer than 2 samples.
    """
    if samples < 2:
        raise InputError(f"samples {samples}: expected at least 2")
    keep = removed_at_random(len(case), samples, seed)
    distance = 100 * (1 - np.sqrt(keep.mean(1)))  # cosine to the row of ones
    weight = np.sqrt(np.exp(-(distance**2) / KERNEL_WIDTH**2))
    return Found(ridge(keep.astype(float), case.scores(keep), weight)[:-1])


def removed_at_random(parts: int, samples: int, seed: int) -> np.ndarray:
    """Return which parts are there in each sample, (samples, parts) bool: all in the first, some in the others."""
    random = np.random.default_rng(seed)
    missing = random.integers(1, parts + 1, samples)
    missing[0] = 0
    rank = random.random((samples, parts)).argsort(1).argsort(1)
    return rank >= missing[:, None]


def ridge(features: np.ndarray, truth: np.ndarray, weight: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Return coefficients and intercept that minimise ``Σ w (y - Xb - c)² + penalty |b|²``."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(features, truth, sample_weight=weight)
    return np.append(model.coef_, model.intercept_)


def kernel_shap(case: Case, samples: int = 1000, seed: int = 0) -> Found:
    """Shapley values by the weighted regression of KernelSHAP (Lundberg & Lee 2017, theorem 2).

    Σ w is f(x) - f(nothing) exactly. All subsets are run where there are at most ``samples``, and the values are
    Shapley's own; else subsets are drawn by the kernel, each with its complement (Covert & Lee 2021, section 4.2).

    Args:
        case: the example.
        samples: inputs with parts missing.
        seed: of the samples.

    Raises:
        InputError: fewer than 4 samples.
    """
    if samples < 4:
        raise InputError(f"samples {samples}: expected at least 4")
    parts = len(case)
    keep, weight = shap_subsets(parts, samples, seed)
    ends = case.scores(np.array([[False] * parts, [True] * parts]))
    if parts == 1:
        return Found(ends[1:] - ends[:1], notes={"completeness_error": 0.0})
    wanted = ends[1] - ends[0]
    # the last part has what the others leave of the sum
    features = keep.astype(float)
    design = (features[:, :-1] - features[:, -1:]) * np.sqrt(weight)[:, None]
    truth = (case.scores(keep) - ends[0] - features[:, -1] * wanted) * np.sqrt(weight)
    found = np.linalg.lstsq(design, truth, rcond=None)[0]
    weights = np.append(found, wanted - found.sum())
    return Found(weights, notes={"completeness_error": 0.0})


def shap_subsets(parts: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return subsets of parts, (subsets, parts) bool, neither none nor all, and their weights in the regression."""
    sizes = np.arange(1, parts)
    if 2**parts - 2 <= samples:
        keep = (np.arange(1, 2**parts - 1)[:, None] >> np.arange(parts) & 1).astype(bool)
        kernel = np.array([(parts - 1) / (comb(parts, size) * size * (parts - size)) for size in sizes.tolist()])
        return keep, kernel[keep.sum(1) - 1]
    random = np.random.default_rng(seed)
    shares = 1 / (sizes * (parts - sizes))
    drawn = random.choice(sizes, samples // 2, p=shares / shares.sum())
    rank = random.random((len(drawn), parts)).argsort(1).argsort(1)
    keep = rank < drawn[:, None]
    keep = np.concatenate([keep, ~keep])
    return keep, np.ones(len(keep))


def partition_shap(case: Case, samples: int = 512) -> Found:
    """Owen values of a tree of neighbouring parts (Owen 1977; the partition explainer of Lundberg's ``shap``).

    A node's credit is halved between its two children, each with and without the other, from the root down, the
    greatest credit first; what ``samples`` do not reach is shared evenly below its node. Σ w is f(x) - f(nothing).

    Args:
        case: the example.
        samples: inputs with parts missing.

    Raises:
        InputError: fewer than 4 samples.
    """
    if samples < 4:
        raise InputError(f"samples {samples}: expected at least 4")
    parts = len(case)
    weights = np.zeros(parts)
    nothing, whole = case.scores(np.array([[False] * parts, [True] * parts])).tolist()
    turn, spent = count(), 2
    start = (np.zeros(parts, bool), nothing, whole, tree(case.parted.parts), 1.0)
    queue = [(-abs(whole - nothing), next(turn), start)]
    while queue:
        some = [heapq.heappop(queue)[2] for _ in range(min(len(queue), AT_ONCE))]
        open_, rows = [], []
        for off, low, high, node, share in some:
            if len(node) == 1 or spent + 2 > samples:
                weights[np.concatenate(node).astype(int)] += share * (high - low) / sum(map(len, node))
                continue
            spent += 2
            sides = [off.copy(), off.copy()]
            for side, half in zip(sides, node, strict=True):
                side[half] = True
            rows += sides
            open_.append((off, low, high, node, share, sides))
        scores = case.scores(np.array(rows)) if rows else np.zeros(0)
        for at, (off, low, high, node, share, sides) in enumerate(open_):
            one, other = scores[2 * at : 2 * at + 2].tolist()
            for half, own, rest, without in ((node[0], one, other, sides[1]), (node[1], other, one, sides[0])):
                below = split(half, case.parted.parts)
                for job in ((off, low, own, below, share / 2), (without, rest, high, below, share / 2)):
                    heapq.heappush(queue, (-abs(job[2] - job[1]) * job[4], next(turn), job))
    return Found(weights, notes={"completeness_error": 0.0})


def tree(parts: Sequence[Part]) -> list[np.ndarray]:
    """Return the root: all parts, in two halves of neighbours."""
    return split(np.arange(len(parts)), parts)


def split(members: np.ndarray, parts: Sequence[Part]) -> list[np.ndarray]:
    """Return parts in two halves: by their order, or, of an image, across the longer side of what they cover."""
    if len(members) == 1:
        return [members]
    boxes = [parts[member].box for member in members]
    if all(boxes):
        middles = np.array([((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in boxes if box])
        axis = int(np.ptp(middles, axis=0).argmax())
        members = members[np.argsort(middles[:, axis], kind="stable")]
    half = len(members) // 2
    return [members[:half], members[half:]]


def random(case: Case, seed: int = 0) -> Found:
    """Weights drawn from a normal distribution: the control that every other method has to beat.

    Args:
        case: the example.
        seed: of the draw.
    """
    return Found(np.random.default_rng(seed).standard_normal(len(case)))
