"""Questions and contexts that are given to :func:`hf_attn.predict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....data.columns import listing
from ....data.reading import characters
from ....errors import InputError
from ..given import as_list
from ..text.agreement import fitted
from ..text.encoding import limit
from ..text.prediction import takes as takes_text
from ..text.windowed import BEFORE, window_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KEYS = ("question", "context")
TASK = "question-answering"
SHOWN = 3


@dataclass(frozen=True)
class Asked:
    """Questions, and the context of each."""

    questions: list[str]
    contexts: list[str]

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def rows(self) -> list[dict[str, str]]:
        """As :func:`.text.windowed.windowed` takes them."""
        pairs = zip(self.contexts, self.questions, strict=True)
        return [{"text": context, BEFORE: question} for context, question in pairs]


def read(inputs: Any, text_pair: Any = None, run: Any = None) -> Asked:
    """Return what is given as questions and contexts.

    Args:
        inputs: dicts of ``question`` and ``context``, or one of them; a table, or a dict of lists, with these columns;
            or questions, whose contexts then are ``text_pair``.
        text_pair: see there.
        run: the model; it is not asked.

    Raises:
        InputError: all that is wrong with them, by their places.
    """
    if text_pair is not None:
        columns = [as_list(inputs, "questions"), as_list(text_pair, "text_pair")]
        if len(columns[0]) != len(columns[1]):
            raise InputError(f"{len(columns[0])} questions but {len(columns[1])} in text_pair: expected a context each")
        if not any(isinstance(one, Mapping) for one in columns[0]):
            inputs = [dict(zip(KEYS, pair, strict=True)) for pair in zip(*columns, strict=True)]
    found, wrong = [], []
    for at, one in enumerate(_listed(inputs)):
        why = _fault(one)
        wrong += [f"input {at}{why}"] if why else []
        found.append(one)
    if wrong:
        raise InputError(f"{listing(wrong, SHOWN)}; such as {{'question': 'Who …?', 'context': 'a passage'}}")
    questions, contexts = (characters([one[key] for one in found], f"{key}s") for key in KEYS)
    return Asked(questions, contexts)


def _listed(inputs: Any) -> list[Any]:
    """What is given as a list: of one dict, of a table, or of a dict of lists."""
    names: Any = getattr(inputs, "column_names", None) or getattr(inputs, "columns", ())
    if isinstance(inputs, Mapping):
        if any(key not in inputs or isinstance(inputs[key], str) for key in KEYS):
            return [inputs]
    elif isinstance(inputs, list | tuple) or not set(KEYS) <= set(names):
        return as_list(inputs, "inputs")
    columns = [as_list(inputs[key], key) for key in KEYS]
    if len(columns[0]) != len(columns[1]):
        raise InputError(f"{len(columns[0])} questions but {len(columns[1])} contexts: expected one for each")
    return [dict(zip(KEYS, pair, strict=True)) for pair in zip(*columns, strict=True)]


def _fault(one: Any) -> str:
    """Why one input cannot be used; empty where it can."""
    if isinstance(one, str):
        return " is a text alone: expected a question with its context"
    if not isinstance(one, Mapping):
        return f" is {type(one).__name__}: expected a dict of {' and '.join(KEYS)}"
    if lacking := [key for key in KEYS if key not in one]:
        return f" has no {lacking[0]}"
    for key in KEYS:
        if not isinstance(one[key], str) or not one[key].strip():
            what = "empty" if isinstance(one[key], str) else type(one[key]).__name__
            return f": its {key} is {what}: expected a text"
    return ""


def shared_tokens(tokenizer: Any, max_length: int | None = None) -> int:
    """Return how many tokens windows share by default: a third of their longest."""
    return (limit(tokenizer, max_length) or 0) // 3


def stride_of(model: PreTrainedModel, tokenizer: Any) -> int:
    """Return how many tokens windows share that a model reads, as its configuration says."""
    told = (getattr(model.config, "task_specific_params", None) or {}).get(TASK) or {}
    return int(told.get("stride", shared_tokens(tokenizer)))


def batches(
    given: Asked, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Yield batches of the windows of contexts, as :func:`.text.windowed.window_batches` does."""
    tokenizer = fitted(tokenizer, model)
    return window_batches(given.rows, tokenizer, model, batch_size, stride_of(model, tokenizer))


def takes(model: PreTrainedModel) -> bool:
    """Return whether a model's input is a question and its context: a text that it finds an answer in."""
    return takes_text(model) and "QuestionAnswering" in type(model).__name__


def trained_on_pairs(source: str) -> bool | None:
    """Return that a question goes with a context."""
    return True


def marks(table: Any, column: str, inputs: Sequence[Any]) -> list[list[tuple[int, int]]]:
    """Refuse rationales: what people mark is a part of the context, and explanation weighs the question first.

    Raises:
        InputError: always.
    """
    raise InputError(f"--rationale {column}: of a question and its context it cannot be told which of them is marked")
