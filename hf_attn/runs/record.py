"""What a recipe knows of its run when it ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..tasks.inputs.example import AttentionExample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..tasks.targets.labels import Labels
    from ..training.config import TrainConfig
    from ..training.evaluation import Predictions
    from ..training.history import History


@dataclass(kw_only=True)
class RunRecord:
    """What a recipe knows of its run when it ends."""

    config: "TrainConfig"
    """The recipe's arguments; of its own ones, ``model``, ``dataset`` and ``attention`` are read for the card."""
    history: "History"
    """How the training went, as ``fit`` returns it, with the validation scores of the best model."""
    labels: "Labels"
    """Kind of the labels and their names."""
    predictions: "Predictions"
    """Logits and labels of the test split."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Scores of the test split."""
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval of ``history.metric`` on the test split."""
    report: str = ""
    """Text of the target's ``report``; shown in the card."""
    fingerprint: str = ""
    """sha256 of the data, of ``data.sources.fingerprint``."""
    attention: AttentionExample | None = None
    """One test example and where the model attends in it, of ``attended.attend``."""
    pictures: "Mapping[str, Callable[[], Figure]]" = field(default_factory=dict)
    """More figures of the recipe's own: file name in ``figures/`` and what draws it."""
    task: str = "text-classification"
    """Pipeline name of the Hub."""
    sources: Sequence[str | None] = ()
    """File of each test example, by id, for ``predictions.parquet``; empty where there are none."""
    unlabelled: "Predictions | None" = None
    """For a test split without labels."""
    unlabelled_ids: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Columns of that split that tell its rows apart, by name, for ``unlabelled.parquet``."""
    language: str | None = None
    """Language code of the data, for the card."""
    licence: str | None = None
    """Licence identifier of the model, for the card; leave out what you do not know."""
    dataset_licence: str | None = None
    """Licence of the data, for the card."""

    @property
    def metric(self) -> str:
        """Name of the score that chose the best model."""
        return self.history.metric.removeprefix("-")

    @property
    def split_scores(self) -> dict[str, Mapping[str, float]]:
        """Scores by split, as far as there are any."""
        found = {"validation": self.history.scores, "test": self.scores}
        return {split: scores for split, scores in found.items() if scores}
