"""Checkpoints that are whole or not there, refused where they do not fit, and small disks."""

import filecmp
import json
import resource
import shutil
from pathlib import Path

import forked
import pytest
import torch
import training_job
from torch import nn
from training_job import JobConfig, run, tiny_model

from hf_attn.errors import InputError
from hf_attn.training import checkpoint
from hf_attn.training.randomness import random_state, random_state_kept, set_random_state

ARGUMENTS = {"epochs": 2.0, "batch_size": 8, "save_every": 3, "precision": "no", "keep": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder."""
    folder = tmp_path_factory.mktemp("run") / "run"
    run(JobConfig(**ARGUMENTS, output_dir=str(folder)))
    return folder


@pytest.fixture
def stopped(finished, tmp_path):
    """A copy of the run as if it had been killed after step 15."""
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "00000016")
    return tmp_path / "run"


def resume(folder, **options):
    return run(JobConfig(**{**ARGUMENTS, **options}, output_dir=str(folder), resume=True))


def test_resumes_from_the_newest_whole_checkpoint(stopped, finished):
    (stopped / "checkpoints" / "00000099.tmp").mkdir()
    (stopped / "checkpoints" / "latest").mkdir()
    assert checkpoint.latest(stopped / "checkpoints").name == "00000015"
    resume(stopped)
    assert filecmp.cmp(stopped / "model.safetensors", finished / "model.safetensors", shallow=False)
    assert not list((stopped / "checkpoints").glob("*.tmp"))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "random.pt", "progress.json"])
@pytest.mark.parametrize("harm", ["cut", "gone", "noise"])
def test_a_damaged_checkpoint_is_refused_by_name(name, harm, stopped):
    path = stopped / "checkpoints" / "00000015" / name
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if harm == "cut" else b"\0noise" * 9)
    with pytest.raises(InputError, match="00000015 cannot be read .*delete it to resume from the one before") as raised:
        resume(stopped)
    assert "\n" not in str(raised.value)


def test_a_pickle_in_place_of_the_optimizer_is_not_run(stopped):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (stopped / "harmed",))

    torch.save({"optimizer": Harm()}, stopped / "checkpoints" / "00000015" / "optimizer.pt")
    with pytest.raises(InputError, match="cannot be read"):
        resume(stopped)
    assert not (stopped / "harmed").exists()


def test_a_checkpoint_of_another_model_is_refused(stopped):
    model = tiny_model(hidden=32)
    with pytest.raises(InputError, match="belongs to another model: bert.embeddings.LayerNorm.bias is") as raised:
        checkpoint.load_weights(stopped / "checkpoints" / "00000015", model)
    assert "is (16,) and the model's (32,)" in str(raised.value)
    assert "and 38 more;" in str(raised.value)
    with pytest.raises(InputError, match="embeddings.LayerNorm.bias is not the model's"):
        checkpoint.load_weights(stopped / "checkpoints" / "00000015", tiny_model().bert)


def test_data_of_another_size_is_refused(stopped):
    config = stopped / "config.yaml"
    config.write_text(config.read_text().replace("rows: 61", "rows: 90"))
    with pytest.raises(InputError, match="belongs to a run of 16 steps and this one has 24: the training data"):
        resume(stopped, rows=90)


def test_another_number_of_processes_is_refused(stopped, tmp_path):
    argv = ["--resume", "--output_dir", str(stopped), "--config", str(stopped / "config.yaml")]
    job = training_job.launch(argv, tmp_path / "output", 2)
    assert forked.finish(job) == [2, 2]
    assert (tmp_path / "output").read_text().count("was written by 1 processes and this run has 2: start 1") == 1


def limited(argv):
    """The job on a disk that, from its third checkpoint on, takes files of so many bytes as the first argument says."""
    left, write = [3], checkpoint.Checkpoints._write

    def _write(self, *args):
        left[0] -= 1
        if not left[0]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(argv[0]), resource.RLIM_INFINITY))
        write(self, *args)

    checkpoint.Checkpoints._write = _write
    training_job.main(argv[1:])


@pytest.mark.parametrize("size", [5000, 60_000])
def test_a_full_disk_leaves_the_earlier_checkpoint_and_one_line(size, finished, tmp_path):
    """Files may not grow beyond a size, which ends a write as a full disk does: in the weights, in the optimizer."""
    weights = (finished / "checkpoints" / "00000015" / "model.safetensors").stat().st_size
    assert 5000 < weights < 60_000 < (finished / "checkpoints" / "00000015" / "optimizer.pt").stat().st_size
    argv = ["--config", str(finished / "config.yaml"), "--output_dir", str(tmp_path / "run")]
    ended = forked.finish(forked.start(limited, [str(size), *argv], tmp_path / "said"))
    said = (tmp_path / "said").read_text()
    assert ended == [1], said
    (line,) = [line for line in said.splitlines() if "error" in line.lower()]
    assert line.startswith("error: checkpoint ") and "could not be written (" in line
    assert "File too large" in line
    assert "00000006 is intact: make room, then go on with --resume" in line
    assert "Traceback" not in said
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["00000003", "00000006"]
    resume(tmp_path / "run")
    assert filecmp.cmp(tmp_path / "run" / "model.safetensors", finished / "model.safetensors", shallow=False)


def test_the_best_checkpoint_is_never_rotated_away(tmp_path):
    for step in (3, 6, 9, 12):
        (tmp_path / f"{step:08d}").mkdir()
    checkpoint.rotate(tmp_path, keep=2, best=3)
    assert [path.name for path in checkpoint.all_in(tmp_path)] == ["00000003", "00000009", "00000012"]


def test_tied_weights_are_saved_once_and_loaded_twice(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight

    model, other = Tied(), Tied()
    kept = checkpoint._weights(model)
    assert list(kept) == ["first.weight"]
    checkpoint.save_file(kept, tmp_path / checkpoint.WEIGHTS)
    checkpoint.load_weights(tmp_path, other)
    assert other.second.weight is other.first.weight
    assert other.second.weight.equal(model.first.weight)


def test_random_states_come_back_exactly():
    import random

    import numpy as np

    def draw():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))

    np.random.randn()  # numpy keeps every second normal number for later
    state = random_state()
    first = draw()
    set_random_state(json_like(state))
    assert draw() == first
    before = random_state()
    with random_state_kept():
        draw()
    assert draw() == (set_random_state(before), draw())[1]


def json_like(state):
    """As a checkpoint gives it back: through a file that may hold no objects."""
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_progress_is_readable(finished):
    progress = json.loads((finished / "checkpoints" / "00000016" / "progress.json").read_text())
    assert (progress["step"], progress["steps"], progress["epoch"]) == (16, 16, 2)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
