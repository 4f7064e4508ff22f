"""Random numbers as a pure function of (seed, draw): the same in any batch, process, order or run.

SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), one generator a draw whose
start is a hash of seed, stream and draw. Computed on the CPU, whatever device the draws are on.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, draws: Tensor, count: int, stream: str = "") -> Tensor:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴.

    Args:
        seed: of the run, any integer.
        draws: (rows,) int64, the number of the draw: epoch · rows of the dataset + row.
        count: numbers a draw; the first ones do not depend on it.
        stream: what they are for; streams are independent of each other.

    Returns:
        (rows, count) fp32 on the CPU.
    """
    return torch.from_numpy(((_bits(seed, draws, count, stream) >> np.uint64(40)) * 2.0**-24).astype(np.float32))


def exact_uniform(seed: int, draws: Tensor, count: int, stream: str = "") -> Tensor:
    """Uniform numbers strictly between 0 and 1, odd multiples of 2⁻⁵³: (rows, count) fp64; see :func:`uniform`."""
    return torch.from_numpy(((_bits(seed, draws, count, stream) >> np.uint64(12)) + 0.5) * 2.0**-52)


def beta(alpha: float, seed: int, draws: Tensor, stream: str = "") -> Tensor:
    """One number of Beta(α, α) a draw by its inverse distribution function: (rows,) fp64 on the CPU."""
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, exact_uniform(seed, draws, 1, stream)[:, 0].numpy()))


def normal(seed: int, draws: Tensor, count: int, stream: str = "") -> Tensor:
    """Normal numbers of mean 0 and deviation 1 by the inverse distribution function: (rows, count) fp32."""
    from scipy.special import ndtri

    return torch.from_numpy(ndtri(exact_uniform(seed, draws, count, stream).numpy())).float()


def integers(uniform: Tensor, size: int) -> Tensor:
    """Uniform numbers in [0, 1) as whole numbers from 0 to ``size`` - 1, int64 of the same shape."""
    return (uniform.double() * size).long().clamp_max(size - 1)


def _bits(seed: int, draws: Tensor, count: int, stream: str) -> NDArray[np.uint64]:
    """64 random bits a number, (rows, count)."""
    if draws.ndim != 1 or draws.is_floating_point():
        raise ValueError(f"draws of {draws.dtype} {tuple(draws.shape)}: expected whole numbers, (rows,)")
    numbers = draws.cpu().long().numpy().view(np.uint64)
    start = _mixed(_mixed(numbers + _key(seed, stream)) ^ _key(seed, f"{stream}/draw"))
    return _mixed(start[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64 bits in which each output bit depends on every input bit (Stafford's variant 13)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=256)
def _key(seed: int, stream: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(f"{seed}:{stream}".encode(), digest_size=8).digest(), "little"))
