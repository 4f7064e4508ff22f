"""What is confused with what, as text in a terminal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ....interface.plotting import shorten
from ....interface.printable import printable
from .figures import confusion_counts


def confusion_table(truth: ArrayLike, predicted: ArrayLike, names: Sequence[str], pairs: int = 10) -> str:
    """Return the confusions as text: the matrix up to 10 classes, else the most frequent mistakes.

    Args:
        truth: (examples,) true classes.
        predicted: (examples,) predicted classes.
        names: The classes' names.
        pairs: How many kinds of mistakes to list where there is no matrix.
    """
    counts = confusion_counts(np.asarray(truth), np.asarray(predicted), len(names))
    return matrix(counts, names) if len(names) <= MATRIX_CLASSES else mistakes(counts, names, pairs)


def matrix(counts: np.ndarray, names: Sequence[str]) -> str:
    """Return (classes, classes) counts as a table; rows are true classes, columns predicted ones, then recall."""
    labels = [printable(shorten(name, 24)) for name in names]
    heads = [printable(shorten(name, 12)) for name in names]
    first = max(map(len, [*labels, "true \\ predicted"]))
    widths = [max(len(head), len(f"{column.max():,}")) for head, column in zip(heads, counts.T, strict=True)]
    lines = ["  ".join(["true \\ predicted".ljust(first), *map(str.rjust, heads, widths), "recall"])]
    for index, row in enumerate(counts):
        recall = f"{row[index] / row.sum():.3f}" if row.sum() else "-"
        cells = [f"{count:,}".rjust(width) for count, width in zip(row, widths, strict=True)]
        lines.append("  ".join([labels[index].ljust(first), *cells, recall.rjust(6)]))
    return "\n".join(lines)


def mistakes(counts: np.ndarray, names: Sequence[str], pairs: int) -> str:
    """Return the most frequent mistakes, a line each: how many of how many of this class were taken for another."""
    wrong = counts - np.diag(np.diag(counts))
    order = [divmod(int(place), len(names)) for place in np.argsort(-wrong, axis=None, kind="stable")[:pairs]]
    rows = [(true, taken) for true, taken in order if wrong[true, taken]]
    head = f"{np.trace(counts):,} of {counts.sum():,} right"
    if not rows:
        return head + ": no mistakes"
    labels = [printable(shorten(name, 34)) for name in names]
    width = max(len(labels[true]) for true, _ in rows)
    lines = [
        f"  {wrong[true, taken]:>4,} of {counts[true].sum():>4,}  {labels[true]:<{width}}  ->  {labels[taken]}"
        for true, taken in rows
    ]
    return "\n".join([f"{head}; most frequent mistakes (true -> predicted):", *lines])


MATRIX_CLASSES = 10
