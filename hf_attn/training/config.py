"""The training arguments that every recipe shares; a recipe's own dataclass extends :class:`TrainConfig`."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from ..errors import InputError

Schedule = Literal["linear", "cosine", "constant", "inverse_sqrt", "warmup_stable_decay"]
Precision = Literal["auto", "no", "bf16", "fp16"]
Dtype = Literal["float32", "bfloat16", "float16"]


@dataclass(kw_only=True)
class Output:
    """Run and output"""

    output_dir: str = "runs/latest"
    """Folder of the run; made if missing."""
    overwrite: bool = False
    """Replace the run that output_dir holds."""
    resume: bool = False
    """Go on from the last checkpoint in output_dir, with the same arguments; from the beginning if it has none. epochs
    and max_steps may differ by schedules whose past stays: constant, inverse_sqrt, warmup_stable_decay before its end,
    with warmup as a number of steps; never linear or cosine."""
    seed: int = 0
    """Of the new weights, the order of the examples, dropout and missing splits."""


@dataclass(kw_only=True)
class Length:
    """How long to train"""

    epochs: float = 4.0
    """Passes over the training examples; 0.5 is half of them."""
    max_steps: int | None = None
    """Optimizer steps, in place of epochs."""
    limit: int | None = None
    """Only this many examples of each split, chosen by the seed: for trials."""
    patience: int | None = None
    """Stop after this many evaluations in a row without a better score."""


@dataclass(kw_only=True)
class Batches:
    """Batches"""

    batch_size: int = 32
    """Examples of a batch on one process; an optimizer step sees batch_size x accumulation_steps x processes."""
    max_tokens: int | None = None
    """Tokens of a training batch with padding, sources and targets together, in place of batch_size: as many examples
    as fit."""
    eval_batch_size: int | None = None
    """Examples of a batch in evaluation; null is twice batch_size."""
    accumulation_steps: int = 1
    """Batches that make one optimizer step."""
    auto_batch_size: bool = False
    """Out of memory: split the batches in halves and repeat the step, with the same result (one process only)."""
    group_by_length: bool = True
    """Batches of examples of like length, against padding."""
    num_workers: int = 0
    """Processes that prepare batches; 0 is the training process itself."""


@dataclass(kw_only=True)
class Optimization:
    """Optimizer (AdamW) and schedule"""

    lr: float = 1e-4
    """Highest learning rate."""
    head_lr: float | None = None
    """Learning rate of the head, all that stands above the last block; null is 10 x lr."""
    attention_lr: float | None = None
    """Learning rate of the parameters that an attention variant adds; null is 10 x lr."""
    weight_decay: float = 0.01
    """Not applied to norms, biases and the parameters of attention variants."""
    layer_decay: float = 1.0
    """Each layer below the head learns at this fraction of the rate of the one above it; 1 is one rate for all."""
    schedule: Schedule = "linear"
    """Shape of the learning rate after the warm-up; the last 20 % of warmup_stable_decay go down."""
    warmup: float = 0.06
    """Steps in which the learning rate rises from 0: a fraction of all steps, or a number of steps if 1 or more."""
    max_grad_norm: float = 1.0
    """Gradients with a greater L2 norm are scaled down to it; 0 is off."""
    ema: float | None = None
    """Decay per step of an average of the weights, which then is evaluated and saved; usual is 0.999."""


@dataclass(kw_only=True)
class Speed:
    """Precision and speed"""

    precision: Precision = "auto"
    """Of the matrix products; auto is what `accelerate launch` was told, else bf16 where the processor or GPU computes
    in it, else no (fp32)."""
    dtype: Dtype = "float32"
    """Of the weights while they are trained and when they are saved, however the checkpoint has them; half precision
    saves memory where the encoder is frozen (lora, linear_probe): what is trained there is float32 all the same."""
    compile: bool = False
    """Compile the model with torch.compile: minutes at first, faster steps on GPUs."""


@dataclass(kw_only=True)
class Evaluation:
    """Evaluation and checkpoints"""

    eval_every: float = 1.0
    """Epochs between evaluations, which never change the weights; the last step is always evaluated."""
    metric: str | None = None
    """Validation score that chooses the best model; after a leading "-" less is better; null is the recipe's choice."""
    save_every: int | None = None
    """Optimizer steps between checkpoints; null is at each evaluation."""
    keep: int = 2
    """Checkpoints to keep, besides the best one."""


@dataclass(kw_only=True)
class Logging:
    """Logging"""

    log_every: int = 10
    """Optimizer steps between lines in log.jsonl."""
    trackers: list[str] = field(default_factory=list)
    """Where else to log: tensorboard, wandb, trackio, and whatever else Accelerate knows."""


@dataclass(kw_only=True)
class TrainConfig(Output, Length, Batches, Optimization, Speed, Evaluation, Logging):
    """Arguments of :func:`hf_attn.training.fit`.

    Each class that a recipe's dataclass is composed of may have ``problems``, checks of its own fields; a subclass may
    extend ``may_change`` with those that a resumed run may have different.

    Raises:
        InputError: values that make no sense, all of them named.
    """

    may_change: ClassVar[frozenset[str]] = frozenset(
        {"output_dir", "overwrite", "resume", "num_workers", "eval_batch_size", "keep", "log_every", "trackers"}
        | {"precision"}  # by its effect, which a checkpoint knows
    )

    may_change_ahead: ClassVar[frozenset[str]] = frozenset({"epochs", "max_steps", "schedule", "warmup"})
    """What it may have different where every learning rate so far stays as it was."""

    head_factor: ClassVar[float] = 10.0
    """Times ``lr`` is the learning rate of the head where none is given; 1 where the head is no new one."""

    recipe: str = field(default="", init=False)

    def __post_init__(self) -> None:
        """Refuse impossible values, all at once."""
        self.output_dir = os.path.expanduser(self.output_dir)
        checked = [cls for cls in type(self).__mro__ if "problems" in vars(cls)]
        if problems := [problem for cls in checked for problem in vars(cls)["problems"](self)]:
            raise InputError("; ".join(problems))

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        above_zero = ["epochs", "max_steps", "limit", "patience", "batch_size", "eval_batch_size", "accumulation_steps"]
        above_zero += ["max_tokens", "lr", "head_lr", "attention_lr", "eval_every", "save_every", "keep", "log_every"]
        at_least_zero = ("num_workers", "weight_decay", "warmup", "max_grad_norm")
        checks = [(name, lambda x: x > 0, "must be above 0") for name in above_zero]
        checks += [(name, lambda x: x >= 0, "must be at least 0") for name in at_least_zero]
        checks += [("seed", lambda x: 0 <= x < 2**32, "must be at least 0 and below 2**32")]
        checks += [("layer_decay", lambda x: 0 < x <= 1, "must be above 0 and at most 1")]
        checks += [("ema", lambda x: 0 < x < 1, "must lie between 0 and 1, such as 0.999")]
        found = []
        if not self.output_dir.strip() or "\0" in self.output_dir:
            found.append(f"output_dir is {self.output_dir!r}: it must name a folder")
        for name, holds, expected in checks:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and holds(value)):
                found.append(f"{name} is {value}: it {expected}")
        for name, choices in (("schedule", Schedule), ("precision", Precision), ("dtype", Dtype)):
            if getattr(self, name) not in get_args(choices):
                found.append(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(get_args(choices))}")
        if self.max_tokens and not self.group_by_length:
            found.append("max_tokens makes batches of like length: it does not go with --no_group_by_length")
        half = {"bfloat16": "bf16", "float16": "fp16"}.get(self.dtype)
        if half and self.precision not in ("auto", half):
            found.append(
                f"dtype {self.dtype} computes in {half} and precision is {self.precision}: leave one of them out"
            )
        return found
