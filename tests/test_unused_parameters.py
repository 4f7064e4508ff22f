"""Parameters that a step's loss does not reach: two processes train as one does."""

import json

import forked
import pytest
import torch
import training_job
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.modeling_outputs import ModelOutput

from hf_attn.interface import arguments

SIZES = {
    "xlnet": {
        "d_model": 16,
        "n_layer": 2,
        "n_head": 2,
        "d_inner": 32,
        "dropout": 0.0,
        "summary_last_dropout": 0.0,
        "summary_type": "first",
    },
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 16},
    "esm": {"mask_token_id": 4, "pad_token_id": 0, "token_dropout": False},
    "big_bird": {"attention_type": "original_full", "type_vocab_size": 2},
    "bert": {},
}
SKIPPING = {"skipping": {"encoder_layerdrop": 0.5}, "own": {}}
COMMON = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
OPTIONS = (
    "--precision no --lr 1e-3 --weight_decay 0.1 --max_steps 6 --eval_every 9 --log_every 1 --rows 48 "
    "--group_by_length false"
)


class Skipping(torch.nn.Module):
    """A classifier one of whose layers is left out of some batches: layer dropout, or a module of the user's own."""

    def __init__(self, **settings):
        super().__init__()
        torch.manual_seed(0)
        self.embeddings, self.head = torch.nn.Embedding(training_job.WORDS, 16), torch.nn.Linear(16, 3)
        self.sometimes, self.calls = torch.nn.Linear(16, 16), 0
        if settings:
            self.config = AutoConfig.for_model("bert", **settings)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1)
        states = (self.embeddings(input_ids) * mask).sum(1) / mask.sum(1)
        if self.training:
            self.calls += 1
            states = states if self.calls in (3, 4, 6) else self.sometimes(states)
        return ModelOutput(logits=self.head(states))


def tiny(name):
    torch.manual_seed(0)
    if name in SKIPPING:
        return Skipping(**SKIPPING[name])
    config = AutoConfig.for_model(
        name, vocab_size=training_job.WORDS, num_labels=3, **({} if name == "xlnet" else COMMON) | SIZES[name]
    )
    return AutoModelForSequenceClassification.from_config(config)


def main(argv):
    config = arguments.parse(training_job.JobConfig, argv[1:], recipe="job")
    training_job.run(config, model=tiny(argv[0]))


def launched(name, folder, processes, *more):
    argv = [name, "--output_dir", str(folder / "run"), *OPTIONS.split(), *more]
    folder.mkdir(exist_ok=True)
    said = forked.run(main, argv, folder / "said", processes)
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    return load_file(folder / "run" / "model.safetensors"), losses, said


@pytest.mark.parametrize("name", ["xlnet", "luke", "esm", "big_bird", *SKIPPING])
def test_two_processes_train_as_one(name, tmp_path):
    """Weights without gradient stay as they are on both, though decay would pull at them."""
    one, losses, _ = launched(name, tmp_path / "one", 1, "--batch_size", "8")
    two, others, _ = launched(name, tmp_path / "two", 2, "--batch_size", "4")
    assert losses == pytest.approx(others, abs=1e-5)
    assert training_job.distance(one, two) < 1e-5
    start = tiny(name).state_dict()
    assert training_job.distance(one, start) > 1e-3


def test_accumulation_on_two_processes_trains_as_one(tmp_path):
    one, losses, _ = launched("xlnet", tmp_path / "one", 1, "--batch_size", "8")
    two, others, _ = launched("xlnet", tmp_path / "two", 2, "--batch_size", "2", "--accumulation_steps", "2")
    assert losses == pytest.approx(others, abs=1e-5)
    assert training_job.distance(one, two) < 1e-5


def test_where_every_parameter_is_used_ddp_does_not_look_and_does_not_warn(tmp_path):
    _, _, said = launched("bert", tmp_path, 2, "--batch_size", "4")
    assert "find_unused_parameters" not in said
