"""A run killed with SIGKILL at any moment and resumed ends with the weights of the run that was never stopped."""

import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import forked
import pytest
import training_job

COMMON = ["--batch_size", "8", "--epochs", "2.5", "--lr", "2e-3", "--log_every", "3", "--save_every", "3"]
SETUPS = {
    "plain": (COMMON, 1),
    "accumulation": ([*COMMON, "--batch_size", "4", "--accumulation_steps", "2"], 1),
    "ema, saved at evaluations": ([*COMMON, "--ema", "0.9", "--save_every", "null", "--eval_every", "0.4"], 1),
    "two processes": ([*COMMON, "--batch_size", "4"], 2),
    "two processes, accumulation, ema": (
        [*COMMON, "--batch_size", "2", "--accumulation_steps", "2", "--ema", "0.9"],
        2,
    ),
}
STEPS = 20


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Folder and seconds of a setup's run that nothing stopped."""

    @cache
    def run(setup):
        folder = tmp_path_factory.mktemp("whole")
        argv, processes = SETUPS[setup]
        began = time.perf_counter()
        job = training_job.launch([*argv, "--output_dir", str(folder / "run")], folder / "output", processes)
        assert forked.finish(job) == [0] * processes, (folder / "output").read_text()
        return folder / "run", time.perf_counter() - began

    return run


def start(setup, folder, *more):
    argv, processes = SETUPS[setup]
    return training_job.launch([*argv, "--output_dir", str(folder / "run"), *more], folder / "output", processes)


def assert_resumes(setup, folder, whole):
    """Resume the killed run in ``folder``; everything that it leaves is what the whole run left."""
    found = [path.name for path in (folder / "run").glob("checkpoints/*")]
    statuses = forked.finish(start(setup, folder, "--resume"))
    assert statuses == [0] * len(statuses), (folder / "output").read_text()
    assert filecmp.cmp(folder / "run" / "model.safetensors", whole / "model.safetensors", shallow=False), found
    assert log(folder / "run") == log(whole)
    assert names(folder / "run") == names(whole)


def log(run):
    """Lines of the log but for what the clock says."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("_per_second")} for line in lines]


def names(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


@pytest.mark.parametrize(
    ("setup", "place"),
    [("plain", f"step:{step}") for step in (1, 7, 8, 9, 12, 16, 20)]
    + [(setup, f"step:{step}") for setup in list(SETUPS)[1:] for step in (7, 8)],
)
def test_killed_after_a_step_resumes_exactly(setup, place, uninterrupted, tmp_path):
    whole, _ = uninterrupted(setup)
    statuses = forked.finish(start(setup, tmp_path, "--kill", place))
    assert statuses == [-signal.SIGKILL] * len(statuses)
    assert_resumes(setup, tmp_path, whole)


@pytest.mark.parametrize(
    ("setup", "place"),
    [("plain", place) for place in ("weights:1", "weights:4", "optimizer:3", "rename:1", "rename:4")]
    + [("ema, saved at evaluations", "weights:2"), ("two processes", "optimizer:2")],
)
def test_killed_inside_a_checkpoint_resumes_exactly(setup, place, uninterrupted, tmp_path):
    whole, _ = uninterrupted(setup)
    job = start(setup, tmp_path, "--kill", place)
    job[0].join(120)
    assert job[0].exitcode == -signal.SIGKILL
    forked.kill(job)
    assert list((tmp_path / "run" / "checkpoints").glob("*.tmp")), "the kill should have hit a checkpoint in the making"
    assert_resumes(setup, tmp_path, whole)


@pytest.mark.parametrize("number", range(10))
def test_killed_at_a_random_moment_resumes_exactly(number, uninterrupted, tmp_path):
    setup = ("plain", "accumulation", "two processes")[number % 3]
    whole, seconds = uninterrupted(setup)
    job = start(setup, tmp_path)
    time.sleep(random.Random(number).uniform(0, seconds))
    forked.kill(job)
    assert_resumes(setup, tmp_path, whole)


def test_killed_again_and_again_resumes_exactly(uninterrupted, tmp_path):
    whole, _ = uninterrupted("plain")
    for step in (5, 11, 11, 17):
        forked.finish(start("plain", tmp_path, "--resume", "--kill", f"step:{step}"))
    assert_resumes("plain", tmp_path, whole)


def test_a_finished_run_resumes_to_the_same(uninterrupted, tmp_path):
    whole, _ = uninterrupted("ema, saved at evaluations")
    shutil.copytree(whole, tmp_path / "run")
    os.remove(tmp_path / "run" / "model.safetensors")
    assert_resumes("ema, saved at evaluations", tmp_path, whole)


def test_torchrun_resumes_exactly(uninterrupted, tmp_path):
    setup, processes = "two processes", 2
    whole, _ = uninterrupted(setup)
    forked.finish(start(setup, tmp_path, "--kill", "step:13"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command += [training_job.__file__, *SETUPS[setup][0], "--output_dir", str(tmp_path / "run"), "--resume"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    resumed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    assert filecmp.cmp(tmp_path / "run" / "model.safetensors", whole / "model.safetensors", shallow=False)


def test_resuming_needs_no_more_than_the_last_checkpoint(uninterrupted, tmp_path):
    """The best and the newest checkpoints stay, older ones go."""
    whole, _ = uninterrupted("plain")
    kept = sorted(path.name for path in (whole / "checkpoints").iterdir())
    best = json.loads((whole / "checkpoints" / kept[-1] / "progress.json").read_text())["best_step"]
    assert kept == sorted({f"{best:08d}", "00000018", "00000020"})
    assert Path(whole / "checkpoints" / f"{best:08d}" / "model.safetensors").exists()
