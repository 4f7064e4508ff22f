"""Losses, gradient norms and speed between two lines of the log, and the watch for values that are not finite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .history import History

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .step import Batch


class Meter:
    """Gathers steps without waiting for the GPU; :meth:`read` looks at them together.

    One process on a CPU, where looking costs nothing, is watched at every step; otherwise a loss that is not finite
    is found at the next reading, before anything is evaluated or saved, and is reported with the step it came from.

    Args:
        accelerator: of the run.
        history: gets the seconds, examples and tokens.
    """

    def __init__(self, accelerator: Accelerator, history: History) -> None:
        self.accelerator, self.history = accelerator, history
        self.watch_each = accelerator.device.type == "cpu" and accelerator.num_processes == 1
        self.clear()

    def clear(self) -> None:
        """Forget the steps and start the clock."""
        self.losses: list[Tensor] = []
        self.items: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.ids: list[list[Tensor | None]] = []
        self.examples = self.tokens = 0
        self.since = time.perf_counter()

    def add(self, group: list[Batch], losses: Tensor, items: Tensor, norm: Tensor | None) -> None:
        """Take in an optimizer step: its batches, their summed losses (batches,), items () and gradient norm ().

        Raises:
            FloatingPointError: see :meth:`read`.
        """
        self.losses.append(losses)
        self.items.append(items)
        # A gradient scaler meets infinite norms and steps over them: no fault.
        self.norms.append(torch.zeros_like(items) if norm is None or self.accelerator.scaler else norm)
        self.ids.append([batch.get("ids") for batch in group])
        self.examples += sum(len(next(iter(batch.values()))) for batch in group)
        self.tokens += sum(int(batch["attention_mask"].sum()) for batch in group if "attention_mask" in batch)
        if self.watch_each:
            self._watch()

    def read(self) -> dict[str, float]:
        """Mean loss of an item, mean gradient norm and speed since the last reading, over all processes.

        Raises:
            FloatingPointError: a loss or gradient is not finite; step and ``ids`` of the batch are named.
        """
        seconds = time.perf_counter() - self.since
        if not self.watch_each:
            self._watch()
        summed = torch.stack([losses.sum() for losses in self.losses]).sum()
        counted = torch.tensor([self.examples, self.tokens]).to(summed)
        sums = self.accelerator.reduce(torch.cat([summed.float()[None], counted]), "sum")
        loss, examples, tokens = sums.tolist()
        record = {"loss": loss / float(torch.stack(self.items).sum())}
        record["grad_norm"] = float(torch.stack(self.norms).mean())
        record["examples_per_second"] = examples / seconds
        if tokens:
            record["tokens_per_second"] = tokens / seconds
        self.history.seconds += seconds
        self.history.examples += round(examples)
        self.history.tokens += round(tokens)
        self.clear()
        return record

    def _watch(self) -> None:
        recent = slice(-1, None) if self.watch_each else slice(None)
        losses, norms = self.losses[recent], self.norms[recent]
        totals = torch.stack([step.sum() for step in losses])
        finite = totals.isfinite() & torch.stack(norms).isfinite()
        unsound = self.accelerator.reduce((~finite).float(), "sum")
        if not unsound.any():
            return
        number = int(unsound.nonzero()[0, 0])
        bad = ~losses[number].isfinite()
        ids = self.ids[recent][number]
        exact = len(ids) == len(bad) and bool(bad.any())
        chosen = [one for one, is_bad in zip(ids, bad, strict=True) if is_bad] if exact else ids
        self._stop(self.history.step - len(losses) + number + 1, float(totals[number]), chosen)

    def _stop(self, step: int, loss: float, ids: list[Tensor | None]) -> None:
        from accelerate.utils import gather_object

        found = [row for one in ids if one is not None for row in one.tolist()]
        everywhere = gather_object([(loss, found)])
        culprits = [entry for entry in everywhere if entry[0] - entry[0] != 0] or everywhere
        rows = ", ".join(str(row) for _, found in culprits for row in found) or "unknown (the batch has no ids)"
        what = "the gradient" if culprits is everywhere else f"the loss ({culprits[0][0]})"
        raise FloatingPointError(
            f"{what} is not finite at step {step}; ids of the batch: {rows}; "
            "look at these rows, then try a lower lr, a longer warmup or --precision no"
        )
