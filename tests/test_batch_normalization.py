"""Batch normalisation sees no batch of one row where it cannot, and no row is left out for that."""

import json
import os
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
import training_job
from safetensors.torch import load_file
from tiny_vit import save_pictures
from training_job import job_arguments, run
from transformers import (
    LevitConfig,
    LevitForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessorPil,
)
from transformers.modeling_outputs import ModelOutput

from hf_attn.data.batching import BatchSampler
from hf_attn.errors import InputError
from hf_attn.interface import arguments
from hf_attn.recipes import image_classification

CONFIGS = {
    "resnet": ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", num_labels=3
    ),
    "levit": LevitConfig(
        image_size=32,
        hidden_sizes=[16, 24, 32],
        num_attention_heads=[2, 2, 2],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
        drop_path_rate=0,
        num_labels=3,
    ),
}
CLASSES = {"resnet": ResNetForImageClassification, "levit": LevitForImageClassification}


class Normalized(torch.nn.Module):
    """A classifier whose batch normalisation has one value a row, and remembers the batches that it learned from."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embeddings, self.head = torch.nn.Embedding(training_job.WORDS, 8), torch.nn.Linear(8, 3)
        self.norm, self.seen = torch.nn.BatchNorm1d(8), []

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1)
        states = (self.embeddings(input_ids) * mask).sum(1) / mask.sum(1)
        if self.training and torch.is_grad_enabled():
            self.seen.append(states.detach().double())
        return ModelOutput(logits=self.head(self.norm(states)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save_pictures(tmp_path_factory.mktemp("pictures"), train=4, test=2)


def image_run(name, pictures, folder, *more):
    torch.manual_seed(0)
    CLASSES[name](CONFIGS[name]).save_pretrained(folder / "model")
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder / "model")
    argv = ["--model", folder / "model", "--dataset", pictures, "--output_dir", folder / "run", "--precision", "no"]
    image_classification.main([*map(str, argv), "--epochs", "2", *more])
    return json.loads((folder / "run" / "run.json").read_text())


@pytest.mark.parametrize("name", CONFIGS)
def test_a_last_batch_of_one_goes_with_the_batch_before(name, pictures, tmp_path):
    training = image_run(name, pictures, tmp_path, "--batch_size", "3")["training"]
    assert (training["steps"], training["examples"]) == (2 * 3, 2 * 10)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_size_of_one_is_refused_before_anything_is_written(name, pictures, tmp_path):
    with pytest.raises(InputError, match=r"^batch_size is 1: batch normalisation in .* give --batch_size 2 or more$"):
        image_run(name, pictures, tmp_path, "--batch_size", "1")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_frozen_batch_normalization_takes_single_rows(pictures, tmp_path):
    training = image_run("resnet", pictures, tmp_path, "--batch_size", "1", "--freeze", "encoder")["training"]
    assert training["steps"] == training["examples"]


def test_larger_images_are_trained_on_one_by_one(pictures, tmp_path):
    training = image_run("resnet", pictures, tmp_path, "--batch_size", "1", "--image_size", "64")["training"]
    assert training["steps"] == training["examples"]


def test_statistics_are_those_of_the_training_batches_alone(tmp_path):
    model = Normalized()
    run(job_arguments(tmp_path)(rows=13, batch_size=4, epochs=1.0), model=model)
    assert [len(batch) for batch in model.seen] == [4, 4, 5]
    mean, variance = np.zeros(8), np.ones(8)
    for batch in model.seen:
        mean = 0.9 * mean + 0.1 * batch.numpy().mean(0)
        variance = 0.9 * variance + 0.1 * batch.numpy().var(0, ddof=1)
    np.testing.assert_allclose(model.norm.running_mean, mean, atol=1e-6)
    np.testing.assert_allclose(model.norm.running_var, variance, atol=1e-6)
    assert int(model.norm.num_batches_tracked) == len(model.seen)


def test_parts_of_a_batch_that_ran_out_of_memory_have_two_rows(tmp_path):
    model, full = Normalized(), []

    def loss_fn(model, batch):
        if len(batch["labels"]) > 4 and torch.is_grad_enabled():
            full.append(len(batch["labels"]))
            raise torch.OutOfMemoryError("no more")
        return training_job.loss_fn(model, batch)

    arguments = job_arguments(tmp_path)(rows=14, batch_size=7, epochs=1.0, auto_batch_size=True)
    run(arguments, model=model, loss_fn=loss_fn)
    assert full == [7]
    assert [len(batch) for batch in model.seen] == [3, 4, 3, 4]


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_every_row_comes_once_in_batches_that_are_large_enough(processes, accumulation):
    for size in (2, 3, 5):
        for rows in range(2 * processes, 40):
            batches = []
            for rank in range(processes):
                sampler = BatchSampler(rows, size, 0, rank, processes, accumulation_steps=accumulation)
                sampler.set_least(2)
                batches.append(list(sampler))
                assert len(sampler) == len(batches[-1]) == len(batches[0])
            assert sorted(row for own in batches for batch in own for row in batch) == list(range(rows))
            assert min(len(batch) for own in batches for batch in own) >= 2


def test_too_few_rows_for_all_processes_are_refused():
    with pytest.raises(InputError, match="3 rows for 2 processes: each needs 2; add rows or start fewer processes"):
        BatchSampler(3, 2, num_processes=2).set_least(2)


def test_two_processes_have_batches_and_statistics_that_do(tmp_path):
    folder = tmp_path / "run"
    argv = ["--output_dir", str(folder), "--rows", "17", "--batch_size", "4", "--epochs", "1", "--precision", "no"]
    forked.run(main, argv, tmp_path / "said", 2)
    first, second = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert [a + b for a, b in zip(first["batches"], second["batches"], strict=True)] == [8, 9]
    assert first["scores"] == second["scores"]
    assert first["mean"] == second["mean"] == load_file(folder / "model.safetensors")["norm.running_mean"].tolist()


def main(argv):
    model, scores = Normalized(), []
    evaluate = training_job.evaluator(training_job.sentences(20, seed=1))

    def noted(model):
        scores.append(evaluate(model))
        return scores[-1]

    config = arguments.parse(training_job.JobConfig, argv, recipe="job")
    run(config, model=model, evaluate=noted)
    found = {"batches": [len(batch) for batch in model.seen][-2:], "scores": scores}
    found["mean"] = model.norm.running_mean.tolist()
    Path(config.output_dir, f"rank{os.environ['RANK']}.json").write_text(json.dumps(found))
