"""How a training went: numbers that a checkpoint carries on, and the lines of log.jsonl."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.whole_files import write_text
from .config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

REPORT = "report"
"""In the last line of log.jsonl, beside the test scores: precision, recall and F1 by class."""
SMALLER_IS_BETTER = {
    *("loss", "mae", "rmse", "mse", "ece", "perplexity", "bits_per_byte", "ter", "wer", "cer", "brier_score"),
}


@dataclass
class History:
    """How far a run is and how it went; all but ``log`` is part of each checkpoint."""

    step: int = 0
    """Optimizer steps done."""
    steps: int = 0
    """Optimizer steps planned."""
    epoch: int = 0
    """Passes done."""
    batches: int = 0
    """Batches done on each process in the pass under way."""
    metric: str = ""
    """Score that chooses the best model; less is better with a leading "-"."""
    best_step: int | None = None
    """Optimizer step of the best model, which is the one returned."""
    scores: dict[str, float] = field(default_factory=dict)
    """Validation scores of the best model."""
    evaluations_since_best: int = 0
    stopped_early: bool = False
    pieces: int = 1
    """Parts that each batch is split in, after it ran out of memory."""
    seconds: float = 0.0
    """In training steps alone, on the clock."""
    examples: int = 0
    """Trained on, over all processes."""
    tokens: int = 0
    """The same, in tokens without padding; 0 where there are none."""
    processes: int = 1
    precision: str = ""
    """Of the matrix products: no, bf16 or fp16."""
    schedule: str = ""
    warmup: float = 0.0
    epoch_batches: int = 0
    """Batches of a whole pass on each process."""
    data: str = ""
    """Fingerprint of the training data, where it is known."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """The lines of log.jsonl."""

    def progress(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        values = dataclasses.asdict(dataclasses.replace(self, log=[]))
        values.pop("log")
        return values

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return self.stopped_early or self.step >= self.steps

    def advance(self, batches: int, batches_of_epoch: int) -> None:
        """Count an optimizer step over ``batches`` batches of this process."""
        self.step += 1
        self.batches += batches
        if self.batches >= batches_of_epoch:
            self.epoch, self.batches = self.epoch + 1, 0

    def judge(self, scores: dict[str, float], patience: int | None) -> bool:
        """Take in the scores of an evaluation, and say whether they are the best so far.

        A score that is not a number is never better. After ``patience`` evaluations without a better one, training
        is over.

        Raises:
            InputError: the metric is not among the scores.
        """
        name = self.metric.removeprefix("-")
        if name not in scores:
            raise InputError(f"metric {name!r} is not among the validation scores: choose one of {', '.join(scores)}")
        gain = direction(self.metric) * (scores[name] - self.scores.get(name, math.nan))
        best = not math.isnan(scores[name]) if self.best_step is None else gain > 0
        if best:
            self.best_step, self.scores, self.evaluations_since_best = self.step, scores, 0
        else:
            self.evaluations_since_best += 1
            self.stopped_early = patience is not None and self.evaluations_since_best >= patience
        return best


class Log:
    """log.jsonl, the trackers and ``history.log``: one flat record of numbers at a time, from the first process.

    A resumed run goes on after its last whole record; records later than the checkpoint's step are taken back.
    """

    def __init__(self, path: Path, accelerator: Accelerator, history: History, config: TrainConfig) -> None:
        self.accelerator, self.history = accelerator, history
        if config.trackers:
            accelerator.init_trackers("hf_attn", {name: str(value) for name, value in vars(config).items()})
        self.file = None
        if not accelerator.is_main_process:
            return
        history.log = [record for record in _read(path) if record["step"] <= history.step and REPORT not in record]
        write_text(path, "".join(json.dumps(record) + "\n" for record in history.log))
        self.file = path.open("a", buffering=1)

    def write(self, record: dict[str, float]) -> None:
        """Add a record; it holds ``step``."""
        if self.file is None:
            return
        self.history.log.append(record)
        self.file.write(json.dumps(record) + "\n")
        values = {name: value for name, value in record.items() if name != "step"}
        self.accelerator.log(values, step=int(record["step"]))

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        """Finish the file and the trackers."""
        if self.file is not None:
            self.file.close()
        for tracker in self.accelerator.trackers:
            tracker.finish()


def _read(path: Path) -> list[dict[str, Any]]:
    """The whole records of a log; a last line cut short by a crash is none."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def direction(name: str) -> int:
    """+1 if more is better, -1 if less is: losses and errors, and any name with a leading minus."""
    return -1 if name.startswith("-") or name in SMALLER_IS_BETTER else 1
