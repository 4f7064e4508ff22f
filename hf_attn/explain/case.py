"""One example and what is asked of it: how a model's answer is scored where parts of the example are missing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..attention.modes import evaluation_mode
from ..errors import InputError
from ..tasks.predict import target_of
from ..tasks.table import task_of
from ..training.evaluation import Predictions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from ..tasks.contracts import Parted
    from ..tasks.explained import Asked, Leaf, Said

    Outputs = Callable[[Any, dict[str, Tensor]], Tensor]


class Case:
    """A model, one example in parts, and the output that is to be explained.

    Attributes:
        model: in any mode; it is asked in evaluation mode and left as it was.
        task: of the model.
        parted: the example.
        predictions: what the model gives for it, one row, as its target keeps it.
        asked: which of its outputs is explained.
        outputs: what is asked of the model for a batch, (rows, outputs); where it says tokens, how probable some are.
        in_tokens: whether it says tokens, as one that writes does.
        read: places of the queries that the answer is read off, where the target knows them.
        batch_size: rows of a forward pass; it never changes a result.
        passes: forward passes of rows so far, and backward passes, which cost about two.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        one: Any,
        text_pair: Any = None,
        *,
        target: str | int | None = None,
        against: str | int | None = None,
        segments: str | None = None,
        removal: str | None = None,
        batch_size: int = 32,
    ) -> None:
        whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1:
            raise InputError(f"batch_size {batch_size!r}: expected a whole number of at least 1")
        self.model, self.batch_size, self.task = model, int(batch_size), task_of(model)
        self.layers: list[torch.nn.Module] | None = None  # attention layers in their order, once they were looked for
        self.names: dict[int, str] | None = None
        self._known: dict[bytes, float] = {}
        self._said = ""
        if not self.task.fits(type(model).__name__):
            raise InputError(f"{type(model).__name__} gives no answer to explain: expected a model that classifies")
        given = self.task.input.read([one], None if text_pair is None else [text_pair])
        assert len(given) == 1
        self.parted: Parted = self.task.input.parted(
            model, processor, one, text_pair, segments=segments, removal=removal
        )
        self.outputs: Outputs = self.task.target.outputs  # type: ignore[assignment]
        self.read: tuple[int, ...] | None = None
        say: Callable[..., Said] | None = getattr(self.task.target, "explained", None)
        self.in_tokens = say is not None
        with evaluation_mode(model), torch.no_grad():
            if say is not None:
                self._of_tokens(say(model, processor, self.parted, target, against))
                self._finite()
            else:
                self._of_outputs(self._finite(), target, against)

    def _finite(self) -> np.ndarray:
        """What the model gives for the example, (1, outputs)."""
        outputs = self.logits(self.parted.batch).float().cpu().numpy()
        if not np.isfinite(outputs).all():
            raise InputError(f"{type(self.model).__name__} gives values that are not finite for this input")
        return outputs

    def _of_outputs(self, outputs: np.ndarray, wanted: str | int | None, against: str | int | None) -> None:
        kept: Any = self.logits({**self.parted.batch, **self.parted.aside}) if self.parted.aside else outputs
        self.predictions = Predictions(np.arange(1), kept)
        self.target = target_of(self.model, kept)
        self.asked: Asked = self.target.asked(kept[0], wanted, against)

    def _of_tokens(self, said: Said) -> None:
        self.parted, self.outputs, self.read = said.parted, said.outputs, said.read
        self.asked, self.target = said.asked, said.target
        self.predictions, self._said = Predictions(np.arange(1), said.kept), said.said

    @property
    def said(self) -> str:
        """What the model says of the example, in words."""
        return self._said or self.target.described(self.predictions, [0])[0].said

    def __len__(self) -> int:
        return len(self.parted.parts)

    @property
    def rows(self) -> int:
        """Rows of a forward pass."""
        return self.parted.rows_at_once or self.batch_size

    def logits(self, batch: dict[str, Tensor]) -> Tensor:
        """Return what the model gives for a batch, (rows, outputs), in its present mode."""
        return self.outputs(self.model, batch)

    @property
    def score(self) -> float:
        """Score of the whole example."""
        return float(self.scores(np.ones((1, len(self)), bool))[0])

    def scores(self, keep: np.ndarray) -> np.ndarray:
        """Return the score of the example with some of its parts alone, (rows,) float64, for (rows, parts) bool.

        What was asked once is not run again.
        """
        keep = np.ascontiguousarray(keep, dtype=bool)
        keys = [row.tobytes() for row in keep]
        fresh = {key: row for row, key in enumerate(keys) if key not in self._known}
        rows = sorted(fresh.values(), key=lambda row: int(keep[row].sum()))  # of like length where parts are deleted
        if rows:
            with torch.no_grad():
                found = self.asked.score(self._run(keep[rows])).double().cpu().numpy()
            self._known.update(zip((keys[row] for row in rows), found.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])

    def answers(self, keep: np.ndarray) -> np.ndarray:
        """Return what the model gives for the example with some of its parts alone, (rows, outputs)."""
        return self._run(keep).cpu().numpy()

    def _run(self, keep: np.ndarray) -> Tensor:
        size = self.rows
        with evaluation_mode(self.model), torch.no_grad():
            some = [self.logits(self.parted.kept(keep[at : at + size])).float() for at in range(0, len(keep), size)]
        return torch.cat(some)

    def in_model(self, model: PreTrainedModel) -> Case:
        """Return the same example and the same question in another model of the same shape."""
        made = copy.copy(self)
        made.model, made.layers, made.names, made._known = model, None, None, {}
        return made

    def leaf(self) -> Leaf:
        """Return what gradients are taken at."""
        return self.parted.leaf(self.model, self.outputs)
