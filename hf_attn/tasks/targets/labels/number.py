"""A number a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....errors import InputError
from ...explained import Asked
from ..asked import number_of, output
from . import metrics
from .labels import Labels
from .metrics import Outcome, by_name

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import Tensor

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions


class Number(Labels):
    """A number a row: regression by the squared error; labels are float32, (rows,)."""

    kind = "regression"
    problem_type = "regression"
    by_area = False
    SCORES: ClassVar = by_name(metrics.loss, metrics.pearson, metrics.spearman, metrics.mae, metrics.rmse)
    DEFAULT_METRIC = "spearman"

    @classmethod
    def read(cls, splits: DatasetDict, columns: list[str], label_names: str | None, *, asked: bool) -> Any:
        from . import number_column

        return number_column.encode(splits, columns[0]), (), ()

    @staticmethod
    def feature() -> Any:
        from datasets import Value

        return Value("float32")

    @property
    def sentence(self) -> str:
        return "a number"

    def count_labels(self, values: np.ndarray) -> tuple[int, ...]:
        return ()

    @cached_property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        from .. import losses

        if self.options.label_smoothing or self.options.focal_gamma or self.options.class_weights:
            raise InputError("label_smoothing, focal_gamma and class_weights need classes; these labels are numbers")
        return losses.mse

    def outcome(self, logits: np.ndarray, truth: np.ndarray | None = None) -> Outcome:
        value = np.asarray(logits, dtype=np.float64).reshape(-1)
        truth = np.zeros(len(value)) if truth is None else np.asarray(truth, dtype=np.float64).reshape(-1)
        return Outcome(truth, value, value, (value - truth) ** 2)

    def asked(self, outputs: np.ndarray, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """The number; one of several, by its place, where the model gives several."""
        if against is not None:
            raise InputError(f"against {against!r}: the model gives a number, and no two classes to tell apart")
        names = [str(place) for place in range(len(outputs))] if len(outputs) > 1 else ["value"]
        place = 0 if wanted is None else number_of(wanted, names)
        value = partial(output, place)
        return Asked(names[place], value, value, "value")

    def right(self, predictions: Predictions) -> np.ndarray:
        errors = np.abs(self.probabilities(predictions)[:, 0] - np.asarray(predictions.labels).reshape(-1))
        return errors <= np.median(errors)

    def report(self, predictions: Predictions) -> str:
        return "\n".join(f"{name:>12}  {value:.4f}" for name, value in self.scores(predictions).items())

    def why_undefined(self, rows: Outcome) -> str:
        return f"all its labels are {rows.truth[0]:g}"

    def say(self, outputs: np.ndarray, top_k: int | None = None) -> list[dict[str, Any]]:
        """``value``: a number, or a list of them where the model has several outputs."""
        return [{"value": float(row[0]) if len(row) == 1 else row.tolist()} for row in outputs]

    def named(self, value: Any) -> float:
        return float(value)

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Label and prediction."""
        truth = {} if predictions.labels is None else {"label": np.asarray(predictions.labels, float).reshape(-1)}
        return {**truth, "prediction": predictions.outputs.reshape(-1).astype(float)}

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Predicted against true values."""
        from ....interface.plotting import Picture
        from .figures import scatter

        truth = np.asarray(predictions.labels).reshape(-1)
        caption = "Predicted against true values on the test split"
        return [Picture("scatter.png", caption, partial(scatter, truth, predictions.outputs.reshape(-1)))]
