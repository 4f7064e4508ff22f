"""Results as text in a terminal: what is confused with what, and where a model attends."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .attended import AttentionExample
from .plotting import shorten
from .printable import printable
from .score_figures import confusion_counts

if TYPE_CHECKING:
    from .run import RunRecord

BARS = " ▁▂▃▄▅▆▇█"
SHADES = (None, 230, 223, 216, 209, 202)
"""Background colours of the 256-colour palette, from no attention to the most."""
MATRIX_CLASSES = 10


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


def attention_text(example: AttentionExample, *, layer: int = -1, colour: bool | None = None) -> str:
    """Return one example as text for the terminal: its words shaded, what was predicted, what rests on no word."""
    weights = example.weights[layer].mean(axis=0)
    number = range(len(example.weights))[layer] + 1
    resting = float(weights[~example.is_text].sum() / weights.sum()) if weights.sum() else 0.0
    words, shares = join_pieces(example.tokens, weights, example.special)
    attending = printable(example.tokens[example.row])
    head = [f"Attention of {attending} in layer {number} of {len(example.weights)}, mean of heads"]
    head += [f"{what} {printable(name)}" for what, name in example.said]
    specials = ", ".join(sorted(set(example.tokens) & example.special))
    rest = f"({resting:.0%} of it rests on {specials})" if resting else ""
    lines = [", ".join(head), "", "  " + attention_line(words, shares, colour=colour), "", rest]
    return "\n".join(lines).rstrip()


def attention_line(words: Sequence[str], weights: Sequence[float], *, colour: bool | None = None) -> str:
    """Return the words with their weights: shaded in colour, else with a bar (or a digit) after each that matters.

    Args:
        words: One example's words.
        weights: Their weights; the greatest one gets the strongest shade.
        colour: Whether to print colours; by default where standard output is a terminal that has them.
    """
    colour = has_colour() if colour is None else colour
    bars = BARS if encodable(BARS) else ""
    top = max(weights, default=0.0) or 1.0
    shown = []
    for word, weight in zip(words, weights, strict=True):
        share = max(0.0, weight / top)
        text = printable(word)
        if colour:
            shade = SHADES[round(share * (len(SHADES) - 1))]
            shown.append(text if shade is None else f"\x1b[48;5;{shade}m\x1b[38;5;16m{text}\x1b[0m")
        elif bars:
            shown.append((text + bars[round(share * (len(bars) - 1))]).rstrip())
        else:
            shown.append(f"{text}({round(share * 9)})")
    return " ".join(shown)


def join_pieces(
    tokens: Sequence[str], weights: Sequence[float], special: frozenset[str] = frozenset()
) -> tuple[list[str], list[float]]:
    """Join word pieces (``##ing``, ``▁the``, ``Ġthe``) to words and add up their weights; special tokens go."""
    starts = any(token[:1] in ("▁", "Ġ") for token in tokens)
    words: list[str] = []
    sums: list[float] = []
    fresh = True
    for token, weight in zip(tokens, weights, strict=True):
        if token in special:
            fresh = True
            continue
        continues = token.startswith("##") or (starts and token[:1] not in ("▁", "Ġ"))
        text = token.removeprefix("##").lstrip("▁Ġ")
        if words and continues and not fresh:
            words[-1] += text
            sums[-1] += float(weight)
        else:
            words.append(text)
            sums.append(float(weight))
        fresh = False
    return words, sums


def has_colour() -> bool:
    """Return whether standard output is a terminal with colours that does not ask to go without (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def encodable(text: str) -> bool:
    """Return whether standard output can show these letters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def summary(record: "RunRecord") -> str:
    """Return what a recipe prints at its end: test scores, confusions, the attention of one example, the folder."""
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.scores.items())
    parts = [f"test  {scores}"]
    if record.interval:
        parts[0] += f"\n      {record.metric} 95 % interval {record.interval[0]:.4f} to {record.interval[1]:.4f}"
    predictions = record.predictions
    if record.labels.kind == "single" and predictions.labels is not None:
        parts.append(confusion_table(predictions.labels, predictions.logits.argmax(-1), record.labels.names))
    if record.attention is not None:
        parts.append(attention_text(record.attention))
    return "\n\n".join([*parts, f"saved in {record.config.output_dir}"])
