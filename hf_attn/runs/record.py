"""What a recipe knows of its run when it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from ..interface.plotting import Picture
    from ..tasks.contracts import Target
    from ..training.evaluation import Predictions
    from ..training.history import History


class RunArguments(Protocol):
    """What is read of a recipe's arguments, a dataclass; the others are kept as they are."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    recipe: str
    output_dir: str
    seed: int
    model: str
    attention: str | None
    dataset: str
    push_to_hub: str | None
    private: bool


@dataclass(kw_only=True)
class RunRecord:
    """What a recipe knows of its run when it ends."""

    config: "RunArguments"
    """The recipe's arguments."""
    task: str
    """A name of ``tasks.table``, as the Hub has it."""
    target: "Target"
    """What is predicted: it scores, draws, words and tabulates the predictions."""
    history: "History"
    """How the training went, as ``fit`` returns it, with the validation scores of the best model."""
    predictions: "Predictions"
    """Of the test split."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Scores of the test split."""
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval of ``history.metric`` on the test split."""
    report: str = ""
    """Text of the target's ``report``; shown in the card."""
    pictures: "Sequence[Picture]" = ()
    """Beside the curves and the target's: where the model attends, and whatever else a recipe draws."""
    text: str = ""
    """The same for a terminal."""
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """What tells the test examples apart, by their ids: columns for ``predictions.parquet``."""
    unlabelled: "Predictions | None" = None
    """For a test split without labels."""
    unlabelled_names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """The same of that split, for ``unlabelled.parquet``."""
    worst: int = 0
    """How many of the test examples that the model is most wrong about are listed in ``worst.jsonl``."""
    validation: "Predictions | None" = None
    """Of the validation split, where they are to be kept: a later round of self-training is calibrated on them."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else run.json is to know."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further sections of the card, markdown by heading."""
    head: str | None = None
    """A head of this package that is on the model."""
    scored_with: str = ""
    """What was done for the test scores that the saved model does not do by itself."""
    language: str | None = None
    """Language code of the data, for the card."""
    licence: str | None = None
    """Licence identifier of the model, for the card; leave out what you do not know."""
    dataset_licence: str | None = None
    """Licence of the data, for the card."""

    @property
    def fingerprint(self) -> str:
        """sha256 of the data, of ``data.sources.fingerprint``; empty where it is not known."""
        return self.history.data

    @property
    def metric(self) -> str:
        """Name of the score that chose the best model."""
        return self.history.metric.removeprefix("-")

    @property
    def split_scores(self) -> dict[str, Mapping[str, float]]:
        """Scores by split, as far as there are any."""
        found = {"validation": self.history.scores, "test": self.scores}
        return {split: scores for split, scores in found.items() if scores}
