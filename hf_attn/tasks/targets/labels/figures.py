"""Pictures of test scores: confusions, labels, scatter, reliability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....interface.plotting import BLUE, GREY, INK, ORANGE, PALE, canvas, shorten, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RELIABILITY = "How far confidence can be trusted, on the test split"

FEW_CLASSES = 20
"""Up to so many classes, a confusion matrix has its counts written into the cells."""


@styled
def confusion(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> "Figure":
    """Draw the confusion matrix, each row as shares of its true class: hits in blue, misses in orange.

    Misses are shaded by the square root of their share, so that rare ones show. Up to 20 classes the counts are
    written into the cells.

    Args:
        truth: (examples,) true classes.
        predicted: (examples,) predicted classes.
        names: The classes' names.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    counts = confusion_counts(truth, predicted, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(names) <= FEW_CLASSES
    size = 3.2 + 0.55 * len(names) if few else 2.6 + 0.15 * len(names)
    figure, axis = canvas(size, size)
    hit = np.eye(len(names), dtype=bool)
    norms = (PowerNorm(1.0, 0, 1), PowerNorm(0.5, 0, max(0.25, shares[~hit].max(initial=0))))
    for colour, covered, norm in zip((BLUE, ORANGE), (~hit, hit), norms, strict=True):
        shade = LinearSegmentedColormap.from_list("shade", ["white", colour])
        axis.imshow(np.ma.masked_array(shares, covered), cmap=shade, norm=norm)
    font = 9 if few else 5.5
    labels = [shorten(name) for name in names]
    axis.set_xticks(range(len(names)), labels, rotation=90 if len(names) > 4 else 0, fontsize=font)
    axis.set_yticks(range(len(names)), labels, fontsize=font)
    axis.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color=PALE, linewidth=0.8 if few else 0.25)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    accuracy = float((truth == predicted).mean())
    axis.set(xlabel="predicted", ylabel="true", title=f"{accuracy:.1%} of {len(truth):,} right")
    if few:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if row == column and shares[row, column] > 0.55 else INK
                axis.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize=9)
    return figure


def confusion_counts(truth: np.ndarray, predicted: np.ndarray, size: int) -> np.ndarray:
    """Return (classes, classes) counts; rows are true classes, columns predicted ones."""
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (np.asarray(truth, int), np.asarray(predicted, int)), 1)
    return counts


@styled
def classes(truth: np.ndarray, chosen: np.ndarray, names: Sequence[str]) -> "Figure":
    """Draw precision and recall of each label, where an example has several; the 40 most frequent labels.

    Args:
        truth: (examples, labels), 0 or 1.
        chosen: (examples, labels), what the model says.
        names: The labels' names.
    """
    truth, chosen = np.asarray(truth, bool), np.asarray(chosen, bool)
    order = np.argsort(-truth.sum(0), kind="stable")[:40][::-1]
    hits = (truth & chosen).sum(0)[order]
    recall = hits / np.maximum(truth.sum(0)[order], 1)
    precision = hits / np.maximum(chosen.sum(0)[order], 1)
    figure, axis = canvas(7, 1.4 + 0.28 * len(order))
    place = np.arange(len(order))
    axis.hlines(place, np.minimum(recall, precision), np.maximum(recall, precision), color=PALE, linewidth=3)
    axis.plot(precision, place, "o", color=BLUE, label="precision")
    axis.plot(recall, place, "o", color=ORANGE, label="recall", markersize=5)
    axis.set_yticks(place, [f"{shorten(names[i])} ({int(truth[:, i].sum()):,})" for i in order])
    axis.set(xlim=(-0.02, 1.02), title=f"Labels of {len(truth):,} examples (how many have it)")
    axis.grid(axis="x")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@styled
def scatter(truth: np.ndarray, predicted: np.ndarray) -> "Figure":
    """Draw predicted against true values, (examples,) each, with the line on which they are equal."""
    figure, axis = canvas(4.8, 4.8)
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    axis.plot(ends, ends, color=GREY, linewidth=1, linestyle="--", label="equal")
    axis.scatter(truth, predicted, s=9, color=BLUE, alpha=max(0.15, min(0.8, 500 / len(truth))), linewidths=0)
    error = float(np.abs(truth - predicted).mean())
    axis.set(xlabel="true", ylabel="predicted", title=f"Mean absolute error {error:.3g} on {len(truth):,} examples")
    axis.set_aspect("equal")
    axis.grid()
    axis.set_axisbelow(True)
    return figure


@styled
def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> "Figure":
    """Draw how often predictions of a confidence are right, and how many predictions have that confidence.

    Args:
        truth: (examples,) true classes, or (examples, labels) of 0 and 1: then each label is a prediction of its own.
        probabilities: (examples, classes).
        bins: Number of equal bins of confidence (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    """
    if truth.ndim == 1:
        confidence, right = probabilities.max(-1), probabilities.argmax(-1) == truth
    else:
        confidence, right = probabilities.reshape(-1), truth.reshape(-1).astype(bool)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = count > 0
    share = np.bincount(index, weights=right, minlength=bins)[filled] / count[filled]
    mean = np.bincount(index, weights=confidence, minlength=bins)[filled] / count[filled]
    error = float((count[filled] * np.abs(share - mean)).sum() / len(confidence))
    figure, (above, below) = canvas(4.8, 5.2, nrows=2, sharex=True, height_ratios=(3.2, 1))
    above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    above.vlines(mean, mean, share, color=ORANGE, linewidth=2, alpha=0.6, label="gap")
    above.plot(mean, share, "o-", color=BLUE, markersize=5, label="this model")
    above.set(xlim=(0, 1), ylim=(0, 1.02), title=f"Calibration error {error:.3f}")
    above.set_ylabel("share that is right" if truth.ndim == 1 else "share that has the label")
    above.grid()
    above.legend(loc="best")
    below.bar((np.arange(bins) + 0.5) / bins, count, width=0.9 / bins, color=BLUE)
    below.set(xlabel="confidence" if truth.ndim == 1 else "probability", ylabel="predictions")
    below.grid(axis="y")
    below.set_axisbelow(True)
    return figure
