"""What an input and a target have, whatever the task; a row of the table is one of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict
    from matplotlib.figure import Figure
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from ..interface.plotting import Picture
    from ..training.evaluation import Predictions
    from ..training.step import Batch
    from .explained import Asked, Leaf, Part
    from .targets.words import Described

Strata = Callable[["Dataset"], "np.ndarray"]


class Input(Protocol):
    """What goes in: a module of ``tasks/inputs``."""

    NOUN: str
    """One of it, in words."""
    COLUMNS: tuple[str, ...]
    """Columns of a file that hold one, as the command's arguments call them."""
    USAGE: str
    """The card's snippet after ``model_id`` is set; ``{auto}`` is the Auto class, ``{trust}`` a further argument."""
    FORM: tuple[tuple[str, dict[str, Any]], ...]
    """Fields of a form that takes one, then of those that make it a pair: components of gradio, and their arguments."""
    Options: type
    """Arguments of a recipe."""
    Examples: type
    """Rows of a split as they are shown: :class:`Examples`."""

    def load_splits(self, args: Any, label: Any = None, strata: Strata | None = None) -> DatasetDict:
        """Load and check the splits of a run."""

    def load_processor(self, name: str | Path) -> Any:
        """Load what makes a checkpoint's inputs, which is saved beside the model."""

    def check_folder(self, source: str | Path) -> None:
        """Refuse a model's folder that lacks something."""

    def rows(self, splits: DatasetDict, processing: Any, args: Any, accelerator: Accelerator) -> Any:
        """Make rows of a run's splits, by split, that a loader puts into batches."""

    def names(self, split: Dataset, args: Any) -> dict[str, Any]:
        """Return what tells the rows of a split apart, as columns."""

    def takes(self, model: PreTrainedModel) -> bool:
        """Return whether a model's input is this one."""

    def read(self, inputs: Any, text_pair: Any = None, run: Any = None) -> Any:
        """Return what a user gives in Python, checked, with a length."""

    def read_files(self, given: Sequence[str], **how: Any) -> Any:
        """Return what a user gives on the command line, as ``GivenFiles``.

        ``how`` names its columns, and those that training read as ``trained``; it says how their file is read, and may
        hold its rows, or some of them, as ``table``.
        """

    def trained_on_pairs(self, source: str) -> bool | None:
        """Return whether a run was trained on pairs; None where that is not known."""

    def attend(
        self, model: PreTrainedModel, processor: Any, one: Any, text_pair: Any = None, *, prediction: str, label: Any
    ) -> Any:
        """Return where a model attends in one input."""

    def parted(
        self,
        model: PreTrainedModel,
        processor: Any,
        one: Any,
        text_pair: Any = None,
        *,
        segments: str | None = None,
        removal: str | None = None,
    ) -> Parted:
        """Return one input in the parts that an explanation weighs."""

    def marks(self, table: Any, column: str, inputs: Sequence[Any]) -> list[list[tuple[int, int]]]:
        """Return what people mark as the reason in each input: characters of a text."""

    def batches(self, given: Any, processor: Any, model: PreTrainedModel, batch_size: int) -> Iterator[Batch]:
        """Yield batches of what :meth:`read` gave that the model takes, with ``ids``."""


class Parted(Protocol):
    """One input in the parts that an explanation weighs; what an input's ``parted`` makes."""

    @property
    def parts(self) -> Sequence[Part]:
        """The parts, in their order."""

    @property
    def batch(self) -> Batch:
        """The input as the model takes it, one row."""

    @property
    def aside(self) -> Batch:
        """What a target is told of the whole input beside ``batch``: where its tokens stand; often nothing."""

    @property
    def rows_at_once(self) -> int | None:
        """Rows of :meth:`kept` that one forward pass may hold; None is any number."""

    def kept(self, keep: np.ndarray) -> Batch:
        """Return the input with some of its parts alone, a row for each row of ``keep``, (rows, parts) bool."""

    def of_tokens(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (…, parts) of (…, tokens) weights of what attention sees; None where those are not of this input."""

    def of_map(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (…, parts) of a map (…, rows, columns) over the input; None where it has no such places."""

    def own_tokens(self, count: int) -> list[tuple[int, str]]:
        """Return places and names of the tokens, of so many, that are of no part."""

    def leaf(self, model: PreTrainedModel, outputs: Callable[[nn.Module, Batch], Tensor]) -> Leaf:
        """Return what gradients are taken at."""

    @property
    def left_out(self) -> str:
        """What of the input the model does not read, in words."""

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns that the parts stand in, row by row; None where they stand in none."""

    def html(self, weights: np.ndarray) -> str:
        """Return the input as HTML: an element for each part, with :func:`tasks.inputs.coloured.attributes`."""

    def line(self, weights: np.ndarray, *, colour: bool | None = None) -> str:
        """Return the input for a terminal, as (parts,) weights have it."""

    def draw(self, weights: np.ndarray) -> Figure:
        """Draw the input in colours of (parts,) weights."""


class Target(Protocol):
    """What comes out of a model for a row, and all that follows from it: a value that ``encode`` of a target makes."""

    @property
    def num_labels(self) -> int:
        """Outputs of the model."""

    @property
    def problem_type(self) -> str:
        """As a model's configuration has it."""

    @property
    def id2label(self) -> dict[int, str]:
        """Names by number, as a model's configuration has them."""

    @property
    def sentence(self) -> str:
        """What the model gives each example, in words."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is predicted; empty where it has none."""

    @property
    def METRICS(self) -> dict[str, tuple[str, str]]:  # noqa: N802
        """Score -> its identifier on the Hub, and its name to read."""

    def choose_metric(self, asked: str | None, validation: Any) -> str:
        """Return the score that chooses the best model."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of a batch, summed over its items."""

    def count(self, batch: Batch) -> Tensor:
        """Return the items to divide a loss by."""

    def outputs(self, model: nn.Module, inputs: Batch) -> Tensor | Sequence[Any]:
        """Return what is kept of a model for a batch: one item a row."""

    def asked(self, outputs: Any, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """Return what is explained of a row, of which the outputs are known."""

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Return the scores of predictions whose truth is known."""

    def interval(self, predictions: Predictions, metric: str) -> tuple[float, float] | None:
        """Return where a score lies for other rows like these, at 95 %."""

    def report(self, predictions: Predictions) -> str:
        """Return scores in more detail, as text."""

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """Return how wrong each row is, (rows,)."""

    def right(self, predictions: Predictions) -> np.ndarray:
        """Return which rows are right, (rows,) bool."""

    def say(self, outputs: Any, top_k: int | None = None) -> list[dict[str, Any]]:
        """Return answers, one dict a row, as :func:`hf_attn.predict` gives them."""

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """Return what is said of some rows, and what they are, in words."""

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Return the columns of ``predictions.parquet``."""

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Return what can be drawn of predictions whose truth is known."""

    def summary(self, predictions: Predictions) -> str:
        """Return what a terminal shows beside the scores."""


class Targets(Protocol):
    """A module of ``tasks/targets``.

    One whose models say tokens has ``explained`` besides, which returns what of them is explained, as
    :class:`.explained.Said`, of (model, processor, parted, wanted, against).
    """

    Options: type
    """Arguments of a recipe."""
    COLUMNS: tuple[str, ...]
    """What an answer may hold."""
    USAGE: str
    """The card's snippet, as an input has one, where that of the input does not fit; empty where it does. ``{beside}``
    is a line that loads the tokenizer of a decoder, ``{writer}`` the name of what makes texts."""

    def encode(self, splits: DatasetDict, args: Any) -> tuple[DatasetDict, Target]:
        """Encode what is predicted, as the column ``labels``."""

    def outputs(self, model: nn.Module, inputs: Batch) -> Tensor | Sequence[Any]:
        """Return what is kept of a model for a batch: one item a row."""

    def of_model(self, model: PreTrainedModel, outputs: int, processor: Any = None) -> Target:
        """Return what a trained model says; ``processor`` makes words of what it writes."""

    def printed(self, answer: dict[str, Any], given: str) -> str:
        """Return an answer as lines for a terminal."""


class Examples(Protocol):
    """The examples of a split as an input shows them, by their row numbers."""

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the rows to look at, where it may be known which are right."""

    def attended(
        self, model: PreTrainedModel, rows: Sequence[int], said: Sequence[str], true: Sequence[str | None]
    ) -> list[Any]:
        """Return where a model attends in them; an empty list if that cannot be seen."""

    def pictures(self, seen: list[Any]) -> list[Picture]:
        """Return what draws them."""

    def text(self, seen: list[Any]) -> str:
        """Return them for a terminal."""

    def sheet(self, rows: Sequence[int], titles: Sequence[str], wrong: Sequence[bool]) -> list[Picture]:
        """Return what draws the rows that a model is most wrong about."""
