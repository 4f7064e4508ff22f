"""What a run draws: rows and augmentation anew in each epoch, dropout of each process's own, as computed apart."""

import json
import os
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
import training_job
from training_job import job_arguments, loss_fn, run

from hf_attn import training
from hf_attn.data.batching import train_loader
from hf_attn.tasks.inputs.images.augmentation import Augment

ROWS, BATCH = 61, 8


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


def order(seed, epoch, rows=ROWS):
    return np.random.default_rng([seed, epoch]).permutation(rows).tolist()


@pytest.mark.parametrize("seed", [0, 5])
def test_each_epoch_trains_on_its_own_order(config, seed):
    seen = []

    def recording(model, batch):
        if model.training and torch.is_grad_enabled():
            seen.append(batch["ids"].tolist())
        return loss_fn(model, batch)

    run(config(epochs=3.0, seed=seed), loss_fn=recording)
    seen = seen[-3 * 8 :]  # a trial of the loss may come first
    epochs = [sum(seen[at : at + 8], []) for at in range(0, 24, 8)]
    assert epochs == [order(seed, epoch) for epoch in range(3)]
    assert len({tuple(rows) for rows in epochs}) == 3 and all(len(batch) <= BATCH for batch in seen)


class Pictures:
    """Grey images by draw, as the recipe's dataset gives them."""

    def __len__(self):
        return 12

    def __getitem__(self, draw):
        return {"pixels": torch.arange(192, dtype=torch.uint8).view(3, 8, 8), "draws": draw, "labels": draw % 12 % 2}


class Mean(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3 * 64, 2)

    def forward(self, pixel_values):
        return self.linear(pixel_values.flatten(1))


def test_each_epoch_is_augmented_anew_by_its_own_draws(config):
    arguments = config(epochs=3.0, batch_size=4, seed=2)
    accelerator = training.start(arguments)
    augment = Augment(normalize=lambda pixels: pixels.float() / 255, seed=2, crop="pad", hflip=0.5, color_jitter=0.4)
    seen = {}

    def collate(rows):
        batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}
        return {**augment(batch), "draws": batch["draws"]}

    def loss(model, batch):
        seen.update(zip(batch["draws"].tolist(), batch["pixel_values"], strict=True))
        return torch.nn.functional.cross_entropy(model(batch["pixel_values"]), batch["labels"], reduction="sum")

    loader = train_loader(Pictures(), collate, accelerator, batch_size=4, seed=2, count_draws=True)
    training.fit(
        Mean(),
        loader,
        arguments,
        accelerator,
        loss_fn=loss,
        count=lambda batch: torch.tensor(len(batch["labels"])),
        evaluate=lambda model: {"loss": 0.0},
    )
    assert sorted(seen) == list(range(36))  # epoch · rows + row
    one = Pictures()[0]["pixels"][None]
    for draw, values in seen.items():
        assert torch.equal(values, augment.normalize(augment.change(one, torch.tensor([draw])))[0])
    changed = [sum(not torch.equal(seen[row], seen[12 * epoch + row]) for row in range(12)) for epoch in (1, 2)]
    assert min(changed) >= 11


def main(argv):
    folder, said = Path(argv[0]), []

    def recording(model, batch):
        state = torch.get_rng_state()
        said.append({"mask": torch.nn.functional.dropout(torch.ones(64), 0.5).tolist(), "ids": batch["ids"].tolist()})
        torch.set_rng_state(state)
        return training_job.loss_fn(model, batch)

    training_job.run(training_job.job_arguments(folder)(batch_size=4, seed=11), loss_fn=recording)
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(said))


def test_processes_drop_out_and_draw_rows_each_for_itself(tmp_path):
    forked.run(main, [str(tmp_path)], tmp_path / "said", 2)
    said = [json.loads((tmp_path / f"{rank}.json").read_text())[-8:] for rank in range(2)]
    for rank in range(2):
        torch.manual_seed(11 + rank)
        assert said[rank][0]["mask"] == torch.nn.functional.dropout(torch.ones(64), 0.5).tolist()
    assert all(one["mask"] != two["mask"] for one, two in zip(*said, strict=True))
    drawn = [row for step in zip(*said, strict=True) for one in step for row in one["ids"]]
    assert sorted(drawn) == list(range(ROWS))
