"""Records of made-up runs, for tests of what a run leaves behind."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hf_attn.interface.plotting import Picture
from hf_attn.runs.record import RunRecord
from hf_attn.tasks.inputs.example import AttentionExample
from hf_attn.tasks.inputs.text.shown import attention_heat, attention_text
from hf_attn.tasks.targets.labels.encoding import KINDS
from hf_attn.training.config import TrainConfig
from hf_attn.training.evaluation import Predictions
from hf_attn.training.history import History

TOKENS = "[CLS] my card was swallow ##ed by the machine yesterday [SEP]".split()


@dataclass(kw_only=True)
class Config(TrainConfig):
    """A recipe's arguments"""

    model: str = "google-bert/bert-base-uncased"
    dataset: str = "data/mails.csv"
    attention: str | None = None
    push_to_hub: str | None = None
    private: bool = False


def made_up(
    folder: Path, names=("no", "yes"), kind="single", rows=200, config=None, attention=None, **more
) -> RunRecord:
    """A record with random predictions that are mostly right, and a log.jsonl in the folder."""
    random = np.random.default_rng(0)
    labels = KINDS[kind](tuple(names))
    if kind == "regression":
        truth = random.random(rows).astype(np.float32) * 5
        logits = truth[:, None] + random.normal(size=(rows, 1))
    elif kind == "multi":
        truth = (random.random((rows, len(names))) < 0.3).astype(np.float32)
        logits = 3 * (truth - 0.5) + random.normal(size=truth.shape)
    else:
        truth = np.arange(rows) % len(names)
        logits = random.normal(size=(rows, len(names))) + 3 * np.eye(len(names))[truth]
    predictions = Predictions(np.arange(rows), logits.astype(np.float32), truth)
    found = labels.scores(predictions)
    metric = {"single": "accuracy", "multi": "f1_micro", "regression": "pearson"}[kind]
    history = History(step=300, steps=300, best_step=200, seconds=60.0, tokens=90_000, metric=metric, scores=found)
    history.data = "ab" * 32
    folder.mkdir(parents=True, exist_ok=True)
    log = [{"step": step, "loss": 2 / step, "lr": 2e-4 * (1 - step / 300)} for step in range(10, 301, 10)]
    log += [
        {"step": step, "validation/loss": 3 / step, f"validation/{metric}": 1 - 9 / step} for step in (100, 200, 300)
    ]
    (folder / "log.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in sorted(log, key=lambda row: row["step"]))
    )
    weights = random.dirichlet(np.ones(len(TOKENS)), size=(6, 12))
    seen = attention or AttentionExample(TOKENS, weights, prediction="yes", label="no")
    config = config or Config(output_dir=str(folder))
    config.recipe = "text_classification"
    return RunRecord(
        config=config,
        history=history,
        task="text-classification",
        target=labels,
        predictions=predictions,
        scores=found,
        **{"interval": (0.5, 0.9), "report": labels.report(predictions), "text": attention_text(seen)}
        | {"pictures": [Picture("attention.png", "Where it attends", partial(attention_heat, seen))]}
        | more,
    )
