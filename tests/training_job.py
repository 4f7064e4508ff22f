"""A small training run with everything that could make a resumed run differ: dropout, shuffling, groups by length.

Run as a script it is a recipe: ``python tests/training_job.py --output_dir DIR …``. :func:`launch` starts it in
real processes.
"""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import forked
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

from hf_attn import training
from hf_attn.data.batching import train_loader
from hf_attn.interface import arguments
from hf_attn.tasks.targets import losses
from hf_attn.training import checkpoint, launcher

CLASSES, WORDS = 3, 40


@dataclass(kw_only=True)
class JobConfig(training.TrainConfig):
    """Train a tiny BERT on made-up sentences."""

    rows: int = 61
    """Sentences."""
    hidden: int = 16
    """Width of the model."""
    dropout: float = 0.1
    """Of everything in the model."""
    kill: str = ""
    """PLACE:N kills this process with SIGKILL at the N-th time it comes to PLACE (step, weights, optimizer, rename)."""


def tiny_model(hidden=16, dropout=0.1, seed=0):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=CLASSES,
    )
    return BertForSequenceClassification(config)


def sentences(rows, seed=0):
    """Rows of 3 to 12 words whose label is the most frequent word's class."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(rows):
        words = random.integers(1, WORDS, random.integers(3, 13))
        label = int(np.bincount(words % CLASSES, minlength=CLASSES).argmax())
        made.append({"input_ids": words.tolist(), "labels": label, "ids": number})
    return made


def collate(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    padded = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
    ids = torch.tensor(padded)
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "labels": torch.tensor([row["labels"] for row in rows]),
        "ids": torch.tensor([row["ids"] for row in rows]),
    }


def loss_fn(model, batch):
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return losses.cross_entropy(logits, batch["labels"])


def count(batch):
    return losses.item_count(batch["labels"])


def evaluator(rows):
    batch = collate(rows)

    def evaluate(model):
        model.eval()
        torch.rand(7)  # an evaluation that draws random numbers must not change the training
        device = next(model.parameters()).device
        with torch.inference_mode():
            ids, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
            logits = model(input_ids=ids, attention_mask=mask).logits.cpu()
        hits = (logits.argmax(-1) == batch["labels"]).float().mean()
        return {"accuracy": float(hits), "loss": float(losses.cross_entropy(logits, batch["labels"])) / len(rows)}

    return evaluate


def run(config, *, loss_fn=loss_fn, count=count, evaluate=None, after_step=(), model=None, data=""):
    """What a recipe does: returns the trained model and the history, and writes model.safetensors."""
    accelerator = training.start(config)
    rows = sentences(config.rows)
    loader = train_loader(
        rows,
        collate,
        accelerator,
        batch_size=config.batch_size,
        seed=config.seed,
        accumulation_steps=config.accumulation_steps,
        group_by_length=config.group_by_length,
        lengths=[len(row["input_ids"]) for row in rows],
        num_workers=config.num_workers,
    )
    model, history = training.fit(
        model or tiny_model(config.hidden, config.dropout),
        loader,
        config,
        accelerator,
        loss_fn=loss_fn,
        count=count,
        evaluate=evaluate or evaluator(sentences(20, seed=1)),
        after_step=after_step,
        default_metric="-loss",
        data=data,
    )
    if accelerator.is_main_process:
        save_file(model.state_dict(), Path(config.output_dir) / "model.safetensors")
    launcher.wait(accelerator)
    return model, history


def job_arguments(folder):
    """Makes the arguments of a small run, each with an output folder of its own in ``folder``."""
    numbers = iter(range(100))
    plain = {"epochs": 1.0, "batch_size": 8, "lr": 1e-3, "log_every": 1, "precision": "no", "group_by_length": False}

    def make(**options):
        made = JobConfig(**{**plain, "output_dir": str(folder / f"run{next(numbers)}"), **options})
        made.recipe = "job"
        return made

    return make


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one, other):
    """Whether two dictionaries of tensors are equal to the bit."""
    return all(one[name].equal(other[name]) for name in one)


def distance(one, other):
    """The greatest difference of two dictionaries of tensors."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def log_lines(config):
    return [json.loads(line) for line in Path(config.output_dir, "log.jsonl").read_text().splitlines()]


def main(argv=None):
    config = arguments.parse(JobConfig, argv, recipe="job")
    place, _, number = config.kill.partition(":")
    after_step = [_kill_step(int(number))] if place == "step" else []
    if place in ("weights", "optimizer", "rename"):
        _kill_in_save(place, int(number))
    config.kill = ""
    return run(config, after_step=after_step)


def _kill_step(number):
    def kill(model, step):
        if step == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def _kill_in_save(place, number):
    """Kill in the middle of the N-th write of a checkpoint's file, or between its last byte and its rename."""
    owner, name = {
        "weights": (checkpoint, "save_file"),
        "optimizer": (torch, "save"),
        "rename": (Path, "rename"),
    }[place]
    original, seen = getattr(owner, name), []

    def killing(*args, **kwargs):
        is_checkpoint = place != "rename" or args[0].suffix == ".tmp" and args[0].is_dir()
        seen.extend([1] * is_checkpoint)
        if not is_checkpoint or len(seen) < number:
            return original(*args, **kwargs)
        if place != "rename":
            original(*args, **kwargs)
            path = args[1].name if hasattr(args[1], "fileno") else args[1]
            os.truncate(path, os.path.getsize(path) // 2)
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killing)


def launch(argv, log, processes=1):
    """Start the job; returns its processes, each with ``kill``, ``join`` and ``exitcode``."""
    return forked.start(main, argv, log, processes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments.command_line(main)
