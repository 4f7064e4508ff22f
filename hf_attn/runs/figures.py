"""The pictures of a run: learning curves, confusions, reliability, and where the model attends."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interface.plotting import BLUE, GREY, ORANGE, canvas, save, styled
from ..tasks.inputs.example import AttentionExample
from ..tasks.inputs.text.shown import attention_heat
from ..tasks.targets.labels.figures import classes, confusion, reliability, scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..tasks.targets.labels.labels import Labels
    from ..training.evaluation import Predictions


def draw(
    folder: Path,
    predictions: "Predictions",
    labels: "Labels",
    attention: AttentionExample | None = None,
    metric: str | None = None,
    more: "Mapping[str, Callable[[], Figure]] | None" = None,
) -> list[str]:
    """Draw what the run folder has data for into ``folder/figures`` and return the files' names.

    Curves come from ``folder/log.jsonl``. Classification gets a confusion matrix (for several labels an example:
    precision and recall of each label) and a reliability diagram, regression a scatter plot. ``more`` names further
    pictures and what draws them.
    """
    from ..tasks.targets.labels.scoring import probabilities as probabilities_of

    pictures: dict[str, Figure] = {}
    log = read_log(folder / "log.jsonl")
    if any("loss" in row for row in log):
        pictures["curves.png"] = curves(log, metric)
    if predictions.labels is not None and len(predictions.labels):
        truth = np.asarray(predictions.labels)
        if labels.kind == "regression":
            pictures["scatter.png"] = scatter(truth.reshape(-1), predictions.logits.reshape(-1))
        else:
            probabilities = probabilities_of(predictions, labels)
            if labels.kind == "single":
                pictures["confusion.png"] = confusion(truth, probabilities.argmax(-1), labels.names)
            else:
                pictures["classes.png"] = classes(truth, probabilities >= 0.5, labels.names)
            pictures["reliability.png"] = reliability(truth, probabilities)
    if attention is not None:
        pictures["attention.png"] = attention_heat(attention)
    pictures |= {name: picture() for name, picture in (more or {}).items()}
    (folder / "figures").mkdir(exist_ok=True)
    for name, figure in pictures.items():
        save(figure, folder / "figures" / name)
    return list(pictures)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a ``log.jsonl``; an empty list where there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


@styled
def curves(log: list[dict[str, Any]], metric: str | None = None) -> "Figure":
    """Draw training and validation loss, the validation score that chooses the model, and the learning rate."""
    validation = [row for row in log if any(key.startswith("validation/") for key in row)]
    metric = (metric or "loss").lstrip("-")
    score = f"validation/{metric}"
    panels = 3 if metric != "loss" and any(score in row for row in validation) else 2
    figure, axes = canvas(3.9 * panels, 3.3, ncols=panels)
    step, loss = series(log, "loss")
    axes[0].plot(step, loss, color=BLUE, alpha=0.25, linewidth=1)
    alone = "o" if len(step) == 1 else None  # a line of one point is not seen
    axes[0].plot(step, smooth(loss), color=BLUE, marker=alone, markersize=4, label="training, smoothed")
    if any("validation/loss" in row for row in validation):
        axes[0].plot(*series(validation, "validation/loss"), "o-", color=ORANGE, markersize=4, label="validation")
    axes[0].set(title="Loss", ylim=(0, None))
    axes[0].legend()
    if panels == 3:
        step, values = series(validation, score)
        axes[1].plot(step, values, "o-", color=ORANGE, markersize=4)
        axes[1].set(title=f"Validation {metric.replace('_', ' ')}")
    axes[-1].plot(*series(log, "lr"), color=GREY, marker=alone, markersize=4)
    axes[-1].set(title="Learning rate", ylim=(0, None))
    axes[-1].locator_params(axis="y", nbins=5)
    axes[-1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in axes:
        axis.set(xlabel="step", xlim=(0, max(row["step"] for row in log)))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="y")
        for line in axis.lines:
            line.set_clip_on(False)  # the last marker stands on the edge
    return figure


def series(rows: list[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values of the rows that have ``key``."""
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    return np.array([step for step, _ in points]), np.array([value for _, value in points], dtype=float)


def smooth(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Return a running mean over ``share`` of the values, centred, shorter at the ends."""
    half = max(1, int(len(values) * share / 2))
    return np.array([values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))])
