"""The tags of the words of a text: what a model predicts, and all that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ....data.columns import refuse
from ....data.reading import HALF, SURROGATE
from ....errors import InputError, nearest
from ....training.step import model_inputs
from .. import bootstrap
from ..labels.options import numbers
from ..words import Described
from . import scoring
from .answers import described, entities_of, tags_said
from .layouts import Layout, parts
from .options import Options
from .scoring import Counts
from .tagged import Tagged, outputs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ....interface.plotting import Picture
    from ....training.evaluation import Predictions
    from ....training.step import Batch
    from ...explained import Asked
    from ...windows import Window


@dataclass(frozen=True)
class Tags:
    """A tag for each word of a text: softmax and cross-entropy of its first token.

    Attributes:
        names: of the tags, in the order of the model's outputs.
        layout: how they say entities; None where they say none, such as parts of speech.
        counts: words of train that have each tag.
        options: of the loss.
    """

    names: tuple[str, ...]
    layout: Layout | None = None
    counts: tuple[int, ...] = ()
    options: Options = field(default_factory=Options, compare=False)

    METRICS: ClassVar[Mapping[str, tuple[str, str]]] = scoring.METRICS
    problem_type: ClassVar[str] = ""
    """A model of tags has none."""
    padded: ClassVar[Mapping[str, int]] = {"labels": -100}
    """What of a row has a number for each token, and what pads it."""
    outputs = staticmethod(outputs)

    def __post_init__(self) -> None:
        refuse(f"the tag {name!r} holds {HALF}: rename it" for name in self.names if SURROGATE.search(name))

    @property
    def num_labels(self) -> int:
        """Outputs of the model for a token."""
        return len(self.names)

    @property
    def id2label(self) -> dict[int, str]:
        """Names by number, as a model's configuration has them."""
        return dict(enumerate(self.names))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is counted: types of entities, or tags."""
        return self.layout.types if self.layout else self.names

    @property
    def sentence(self) -> str:
        """What the model gives each text, in words."""
        if self.layout is None:
            return f"one of {len(self.names)} tags a word"
        return f"its entities, of {len(self.kinds)} types ({self.layout.name} tags of words)"

    # Training

    def align(self, row: Mapping[str, Any], window: Window) -> list[int] | None:
        """Return the labels of a window's tokens: of the first token of each word that the window answers for.

        The others, or with ``label_all_tokens`` those of no word, have -100. None is a window that answers for no word.
        """
        tags = np.asarray(row["labels"], np.int64)
        labels = np.full(len(window.words), -100)
        if self.options.label_all_tokens:
            inside = window.words >= 0
            labels[inside] = self._inner[tags[window.words[inside]]]
        labels[window.firsts] = tags[window.words[window.firsts]]
        return labels.tolist() if len(window.firsts) else None

    @cached_property
    def _inner(self) -> np.ndarray:
        """(tags,) what the later tokens of a word with a tag have: inside where it begins."""
        found = []
        for number, name in enumerate(self.names):
            part = parts(name) if self.layout else None
            inner = f"I-{part[1]}" if part and part[0] == "B" else name
            found.append(self.names.index(inner) if inner in self.names else number)
        return np.array(found)

    @cached_property
    def weight(self) -> Tensor | None:
        """(tags,) weight of each tag in the loss; None weighs all alike.

        Raises:
            InputError: weights that are not one a tag.
        """
        import torch

        if self.options.class_weights is None:
            return None
        if self.options.class_weights == "balanced":
            counts = torch.tensor(self.counts, dtype=torch.float32)
            seen = counts > 0  # a tag that train has not is not weighed: no word of train is of it
            return torch.where(seen, counts.sum() / (seen.sum() * counts.clamp(min=1)), 1.0)
        weight = torch.tensor(numbers(self.options.class_weights))
        if len(weight) != self.num_labels:
            raise InputError(
                f"class_weights {self.options.class_weights!r}: expected 'balanced', or {self.num_labels} numbers "
                f"above 0 with commas, in the order {', '.join(self.names[:5])}, …"
            )
        return weight

    @cached_property
    def criterion(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of logits (batch, tokens, tags) and labels (batch, tokens), summed.

        Raises:
            InputError: weights that are not one a tag.
        """
        from .. import losses

        smoothing, gamma = self.options.label_smoothing, self.options.focal_gamma
        return partial(losses.cross_entropy, weight=self.weight, label_smoothing=smoothing, focal_gamma=gamma)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch, summed over its labelled tokens.

        Raises:
            InputError: a model that does not answer for each token.
        """
        logits, labels = model(**model_inputs(batch)).logits, batch["labels"]
        if logits.shape[:2] != labels.shape:
            raise InputError(
                f"{type(model).__name__} gives answers of shape {tuple(logits.shape)} for tokens of shape "
                f"{tuple(labels.shape)}: expected one for each token"
            )
        return self.criterion(logits, labels)

    def count(self, batch: Batch) -> Tensor:
        """Labelled tokens, or the sum of their tags' weights."""
        from .. import losses

        return losses.item_count(batch["labels"], self.weight)

    # Scores

    @property
    def measures(self) -> Mapping[str, scoring.Score]:
        """The scores of these tags, by name."""
        return scoring.OF_ENTITIES if self.layout else scoring.OF_WORDS

    def choose_metric(self, asked: str | None, validation: Any) -> str:
        """Return the score that chooses the best model: by default the F1 of entities, else the accuracy of words.

        Raises:
            InputError: no such score, or one that has no value on the validation split.
        """
        name = (asked or ("f1" if self.layout else "accuracy")).removeprefix("-")
        if name not in self.measures:
            known = list(self.measures)
            raise InputError(f"unknown metric {name!r}: expected one of {', '.join(known)}{nearest(name, known)}")
        if self.layout and name in ("f1", "precision", "recall"):
            if not any(len(self.layout.entities(np.asarray(tags))) for tags in validation):
                raise InputError(f"metric {name!r} has no value on the validation split: it has no entity; add some")
        return asked or name

    def counts_of(self, predictions: Predictions) -> Counts:
        """Return what is right in each text."""
        return scoring.counted(predictions.outputs, scoring.checked(predictions), self.layout, len(self.kinds))

    def scores(self, predictions: Predictions, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Return the scores of predictions whose truth is known; entities as seqeval counts them by default.

        Raises:
            InputError: no tags.
            FloatingPointError: logits that are not finite: the model has diverged.
        """
        total = self.counts_of(predictions).total()
        found = {name: score(total) for name, score in self.measures.items()}
        return {name: value for name, value in found.items() if value == value}

    def interval(self, predictions: Predictions, metric: str, **how: Any) -> tuple[float, float] | None:
        """Return where a score lies for other texts like these, by :func:`.bootstrap.interval` over texts."""
        counts, score = self.counts_of(predictions), self.measures[metric.removeprefix("-")]
        return bootstrap.interval(lambda rows: score(counts.total(rows)), len(predictions), **how)

    def report(self, predictions: Predictions) -> str:
        """Return precision, recall and F1 of each type or tag, and how entities are wrong, as text."""
        report = scoring.table(self.counts_of(predictions), self.kinds)
        if self.layout is None:
            return report
        errors = scoring.paired(predictions.outputs, predictions.labels, self.layout).errors
        return (
            f"{report}\nof true entities: {errors['type']} with another type, {errors['boundary']} with other words, "
            f"{errors['both']} with both, {errors['missed']} missed; said of nothing: {errors['spurious']}\n"
        )

    def row_losses(self, predictions: Predictions) -> np.ndarray:
        """(rows,) mean cross-entropy of the words of each text; 0 of one without any."""
        counts = self.counts_of(predictions)
        return np.asarray(counts.loss / np.maximum(counts.answered, 1))

    def right(self, predictions: Predictions) -> np.ndarray:
        """(rows,) bool: texts that are right in all words; of entities, those that have one, if any has."""
        counts = self.counts_of(predictions)
        right = counts.right == counts.words
        some = right & (counts.true.sum(1) > 0)
        return some if self.layout and some.any() else right

    # Words, columns and pictures

    def asked(self, outputs: Tagged, wanted: str | int | None = None, against: str | int | None = None) -> Asked:
        """Return what is explained of a text: an entity, or the tag of a word; see :func:`.asked.asked`."""
        from .asked import asked

        return asked(outputs, self.names, self.layout, wanted, against)

    def say(self, outputs: Sequence[Tagged], top_k: int | None = None) -> list[dict[str, Any]]:
        """Return the entities and the tags of each text, one dict each.

        ``entities`` (where tags say any): ``label``, ``score`` (the mean probability of its words' tags), ``start`` and
        ``end`` in characters, ``text``, ``words`` (first, and the one after the last). ``words``, ``tags`` and
        ``scores``: of each word; the last is None, and so is a tag that says no entities, of a word of which the
        tokenizer leaves no token. ``ranked``, with ``top_k`` above 1: of each word its most probable tags, ``tag`` and
        ``score``.
        """
        said = []
        for item in outputs:
            answer: dict[str, Any] = {} if self.layout is None else {"entities": entities_of(item, self.layout)}
            said.append({**answer, **tags_said(item, self.names, self.layout, top_k)})
        return said

    def named(self, tags: Sequence[int]) -> list[str]:
        """Return true tags by their names."""
        return [self.names[tag] for tag in tags]

    def described(self, predictions: Predictions, rows: Sequence[int]) -> list[Described]:
        """Return what is said of some texts, and what they are, in words."""
        truth = predictions.labels
        return [
            described(predictions.outputs[row], None if truth is None else truth[row], self.names, self.layout)
            for row in rows
        ]

    def columns(self, predictions: Predictions) -> dict[str, Any]:
        """Columns of ``predictions.parquet``: tokens, label and prediction (their tags) and score, lists each."""
        said = self.say(predictions.outputs)
        truth = None if predictions.labels is None else [self.named(tags) for tags in predictions.labels]
        found = {
            "tokens": [answer["words"] for answer in said],
            "label": truth,
            "prediction": [answer["tags"] for answer in said],
            "score": [answer["scores"] for answer in said],
        }
        return {name: column for name, column in found.items() if column is not None}

    def pictures(self, predictions: Predictions) -> list[Picture]:
        """Confusions of types or tags, and the F1 of each."""
        from .figures import pictures

        return pictures(predictions, self.counts_of(predictions).total(), self.layout, self.kinds)

    def summary(self, predictions: Predictions) -> str:
        """Return the report for a terminal."""
        return "" if predictions.labels is None else self.report(predictions).rstrip()
