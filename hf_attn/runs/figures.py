"""The pictures of a run: learning curves, and what its target and its examples have to show."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interface.plotting import BLUE, GREY, ORANGE, Picture, canvas, save, styled
from .record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(folder: Path, record: RunRecord) -> list[Picture]:
    """Draw what the run folder has data for into ``folder/figures`` and return what was drawn.

    Curves come from ``folder/log.jsonl``, pictures of the test split from the target, the others from the record.
    """
    log, pictures = read_log(folder / "log.jsonl"), [*record.pictures]
    if record.predictions.labels is not None and len(record.predictions):
        pictures = [*record.target.pictures(record.predictions), *pictures]
    if any("loss" in row for row in log):
        caption = "Loss, validation score and learning rate by step"
        pictures = [Picture("curves.png", caption, partial(curves, log, record.metric)), *pictures]
    (folder / "figures").mkdir(exist_ok=True)
    for picture in pictures:
        save(picture.draw(), folder / "figures" / picture.name)
    return pictures


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
