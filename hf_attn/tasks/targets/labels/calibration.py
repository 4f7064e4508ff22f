"""How far a probability can be trusted: one temperature for all logits, set on rows whose labels are known."""

from __future__ import annotations

import numpy as np

BOUNDS = (0.05, 20.0)
"""Of the temperature."""


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature T at which softmax(logits / T) has the least cross-entropy on these rows.

    Guo et al. 2017, section 4.2.

    Args:
        logits: (rows, classes), or log-probabilities.
        truth: (rows,) numbers of the classes.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        shares = log_softmax(logits / np.exp(log_temperature))
        return float(-shares[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities, (rows, classes) float64."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def wilson(right: int, rows: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not rows:
        return 0.0, 1.0
    share, n = right / rows, rows
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(middle - half), float(middle + half)
