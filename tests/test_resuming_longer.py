"""A run resumed for another length: as if it had had that length from the start, or refused in one line."""

import json
import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import training_job
import yaml
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from training_job import JobConfig, job_arguments, run

from hf_attn.errors import InputError
from hf_attn.recipes import text_classification
from hf_attn.training import optim

COMMON = {"batch_size": 8, "precision": "no", "lr": 1e-3, "warmup": 3.0, "log_every": 1, "save_every": 1, "keep": 99}


def config(folder, **options):
    made = JobConfig(**{**COMMON, "output_dir": str(folder), **options})
    made.recipe = "job"
    return made


def checkpoint(folder, step):
    return load_file(Path(folder) / "checkpoints" / f"{step:08d}" / "model.safetensors")


def optimizer(folder, step):
    states = torch.load(Path(folder) / "checkpoints" / f"{step:08d}" / "optimizer.pt", weights_only=True)["optimizer"]
    return states["state"], [group["lr"] for group in states["param_groups"]]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".run.lock"}


def rates(folder):
    lines = map(json.loads, Path(folder, "log.jsonl").read_text().splitlines())
    return {line["step"]: (line["lr"], line["loss"]) for line in lines if "lr" in line}


LONGER = {
    "constant": ({"schedule": "constant", "epochs": 1.0}, {"epochs": 2.5}),
    "constant, inside an epoch": ({"schedule": "constant", "max_steps": 5}, {"max_steps": 13}),
    "inverse_sqrt, averaged": ({"schedule": "inverse_sqrt", "epochs": 1.0, "ema": 0.9}, {"epochs": 2.0}),
    "epochs, then steps": ({"schedule": "constant", "epochs": 1.0}, {"max_steps": 12}),
    "constant, then down": (
        {"schedule": "constant", "max_steps": 8},
        {"max_steps": 20, "schedule": "warmup_stable_decay"},
    ),
}


@pytest.mark.parametrize("name", LONGER)
def test_a_longer_run_is_to_the_bit_what_it_would_have_been(name, tmp_path, caplog):
    first, then = LONGER[name]
    run(config(tmp_path / "run", **first))
    with caplog.at_level(logging.INFO, logger="hf_attn"):
        _, history = run(config(tmp_path / "run", **first | then, resume=True))
    run(config(tmp_path / "whole", **first | then))
    last = history.step
    assert last == history.steps > 5
    assert training_job.same(checkpoint(tmp_path / "run", last), checkpoint(tmp_path / "whole", last))
    states, others = optimizer(tmp_path / "run", last), optimizer(tmp_path / "whole", last)
    assert states[1] == others[1]
    assert all(training_job.same(state, others[0][key]) for key, state in states[0].items())
    assert rates(tmp_path / "run") == rates(tmp_path / "whole")
    assert f"goes on to step {last}: by schedule" in caplog.text
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert {key: written[key] for key in then} == then


@pytest.fixture(scope="module")
def stable(tmp_path_factory):
    """A run of 20 steps whose last 4 go down, stopped before them."""
    folder = tmp_path_factory.mktemp("stable") / "run"
    run(config(folder, schedule="warmup_stable_decay", max_steps=20))
    for step in range(15, 21):
        shutil.rmtree(folder / "checkpoints" / f"{step:08d}")
    return folder


@pytest.mark.parametrize("steps", [15, 16, 18, 30])
def test_before_its_descent_a_stable_run_becomes_longer_or_shorter(steps, stable, tmp_path):
    folder = shutil.copytree(stable, tmp_path / "run")
    options = {"schedule": "warmup_stable_decay", "max_steps": steps}
    if steps == 15:  # its descent would have begun already
        with pytest.raises(InputError, match="step 14 had 1 of the learning rate and would have had"):
            run(config(folder, **options, resume=True))
        return
    run(config(folder, **options, resume=True))
    run(config(tmp_path / "whole", **options))
    assert training_job.same(checkpoint(folder, steps), checkpoint(tmp_path / "whole", steps))


REFUSED = {
    "linear": ({"schedule": "linear"}, {"max_steps": 12}, "max_steps was 8 and is 12 .*so far depend on them"),
    "linear, fewer": ({"schedule": "linear"}, {"max_steps": 6}, "max_steps was 8 and is 6"),
    "cosine by epochs": ({"schedule": "cosine"}, {"max_steps": None, "epochs": 3.0}, "max_steps was 8 and is None"),
    "down already": ({"schedule": "warmup_stable_decay"}, {"max_steps": 30}, "step 10 had 0.5 of .* would have had 1"),
    "a share as warm-up": ({"schedule": "constant", "warmup": 0.5}, {"max_steps": 16}, "give --warmup 4"),
    "as far as it is": ({"schedule": "constant"}, {"max_steps": 5}, "is at step 8 and this run ends at step 5"),
    "no longer linear": ({"schedule": "linear"}, {"schedule": "constant"}, "step 5 had .* would have had 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_past_is_refused_in_one_line_and_nothing_changes(name, tmp_path):
    first, then, message = REFUSED[name]
    steps = 10 if name == "down already" else 8
    run(config(tmp_path / "run", max_steps=steps, **first))
    kept = contents(tmp_path / "run")
    with pytest.raises(InputError, match=message) as raised:
        run(config(tmp_path / "run", **{"max_steps": steps, **first, **then}, resume=True))
    assert "\n" not in str(raised.value)
    assert contents(tmp_path / "run") == kept


def test_the_advice_about_warm_up_leads_on(tmp_path):
    run(config(tmp_path / "run", schedule="constant", warmup=0.5, max_steps=8))
    run(config(tmp_path / "run", schedule="constant", warmup=4.0, max_steps=16, resume=True))
    run(config(tmp_path / "whole", schedule="constant", warmup=4.0, max_steps=16))
    assert training_job.same(checkpoint(tmp_path / "run", 16), checkpoint(tmp_path / "whole", 16))


CHANGED = {
    "batch_size": 4,
    "accumulation_steps": 2,
    "seed": 1,
    "lr": 2e-3,
    "weight_decay": 0.3,
    "group_by_length": False,
    "ema": 0.9,
    "max_grad_norm": 0.5,
    "patience": 3,
    "eval_every": 0.5,
    "metric": "accuracy",
    "layer_decay": 0.9,
    "dtype": "bfloat16",
    "limit": 30,
    "rows": 50,
    "hidden": 32,
}


@pytest.mark.parametrize("name", CHANGED)
def test_another_run_is_not_resumed(name, tmp_path):
    folder = tmp_path / "run"
    run(config(folder, max_steps=2, schedule="constant"))
    changed = {**COMMON, "max_steps": 2, "schedule": "constant", name: CHANGED[name]}
    if name == "dtype":
        changed["precision"] = "auto"
    with pytest.raises(InputError, match=f"--resume with changed arguments: .*{name} was .* and is {CHANGED[name]!r}"):
        run(config(folder, **changed, resume=True))


def test_other_data_of_the_same_size_is_refused(tmp_path):
    options = {"max_steps": 4, "schedule": "constant"}
    run(config(tmp_path / "run", **options), data="one")
    for steps in (4, 8):
        with pytest.raises(InputError, match="the training data is not what|on other data: it is not what it was"):
            run(config(tmp_path / "run", **options | {"max_steps": steps}, resume=True), data="two")
    _, history = run(config(tmp_path / "run", **options | {"max_steps": 8}, resume=True), data="one")
    assert history.step == 8


def test_a_run_that_stopped_early_says_that_more_steps_change_nothing(tmp_path, caplog):
    options = {"schedule": "constant", "patience": 1, "eval_every": 0.25, "metric": "worse"}
    scores = iter(range(99, 0, -1))
    run(config(tmp_path / "run", max_steps=20, **options), evaluate=lambda model: {"worse": float(next(scores))})
    with caplog.at_level(logging.INFO, logger="hf_attn"):
        _, history = run(config(tmp_path / "run", max_steps=40, **options, resume=True))
    assert history.stopped_early and history.step == 4
    assert "the run stopped early at step 4 (--patience), as one of 40 steps does" in caplog.text


def test_a_killed_run_without_a_checkpoint_starts_with_its_new_length(tmp_path):
    options = {"schedule": "constant", "save_every": 50}
    run(config(tmp_path / "run", max_steps=4, **options))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    _, history = run(config(tmp_path / "run", max_steps=6, **options, resume=True))
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert history.step == history.steps == written["max_steps"] == 6
    assert written["resume"] is False


def test_a_recipe_makes_its_run_longer_and_describes_the_whole(tmp_path):
    texts = [(f"{word} {number % 5}", word) for number in range(20) for word in ("pay", "lost")]
    pd.DataFrame(texts, columns=["text", "label"]).to_csv(tmp_path / "data.csv", index=False)
    argv = ["--model", str(save_tiny_bert(tmp_path / "bert")), "--dataset", str(tmp_path / "data.csv"), "--seed", "3"]
    argv += ["--schedule", "constant", "--warmup", "2", "--batch_size", "8", "--precision", "no"]

    def start(folder, *more):
        text_classification.main([*argv, "--output_dir", str(tmp_path / folder), *more])
        facts = json.loads((tmp_path / folder / "run.json").read_text())
        return load_file(tmp_path / folder / "model.safetensors"), facts

    start("run", "--max_steps", "4")
    _, facts = start("run", "--max_steps", "9", "--resume", "true")
    assert facts["training"]["steps"] == facts["arguments"]["max_steps"] == 9
    _, others = start("whole", "--max_steps", "9")
    assert facts["training"]["examples"] == others["training"]["examples"]
    assert training_job.same(checkpoint(tmp_path / "run", 9), checkpoint(tmp_path / "whole", 9))
    with pytest.raises(InputError, match=r"max_steps was 9 and is 12 .*choose another --output_dir"):
        start("linear", "--schedule", "linear", "--max_steps", "9")
        start("linear", "--schedule", "linear", "--max_steps", "12", "--resume", "true")


def test_precision_is_compared_by_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_attn.training.launcher.choose_precision", lambda device: "bf16")
    run(config(tmp_path / "run", max_steps=4, schedule="constant", precision="auto"))
    with pytest.raises(InputError, match="was trained in precision bf16 and this run has no: give --precision bf16"):
        run(config(tmp_path / "run", max_steps=8, schedule="constant", precision="no", resume=True))
    _, history = run(config(tmp_path / "run", max_steps=8, schedule="constant", precision="bf16", resume=True))
    assert (history.step, history.precision) == (8, "bf16")


def test_a_run_of_an_earlier_version_is_resumed_with_what_was_its_default(tmp_path):
    """It has no dtype among its arguments, and no schedule in its checkpoints."""
    folder = tmp_path / "run"
    run(config(folder, max_steps=6))
    for step in (5, 6):
        shutil.rmtree(folder / "checkpoints" / f"{step:08d}")
    arguments = yaml.safe_load((folder / "config.yaml").read_text())
    del arguments["dtype"]
    (folder / "config.yaml").write_text(yaml.safe_dump(arguments))
    file = folder / "checkpoints" / "00000004" / "progress.json"
    progress = json.loads(file.read_text())
    for name in ("precision", "schedule", "warmup", "epoch_batches", "data"):
        del progress[name]
    file.write_text(json.dumps(progress))
    run(config(folder, max_steps=6, resume=True))
    run(config(tmp_path / "whole", max_steps=6))
    assert training_job.same(checkpoint(folder, 6), checkpoint(tmp_path / "whole", 6))


@pytest.mark.parametrize("name", ["linear", "cosine", "constant", "inverse_sqrt", "warmup_stable_decay"])
def test_factors_are_those_of_the_schedule(name, tmp_path):
    arguments = job_arguments(tmp_path)(schedule=name, warmup=4.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule, factor = optim.schedule(optimizer, arguments, 20), optim.factor(name, 4.0, 20)
    for step in range(20):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(2 * factor(step), abs=1e-12)
        optimizer.step()
        schedule.step()


def test_other_data_are_named_before_the_weights_that_follow_from_them(tmp_path):
    """With other texts other rows of the embedding are trained, so that the shapes differ too."""
    run(config(tmp_path / "run", max_steps=2), data="one")
    with pytest.raises(InputError, match="on other data: it is not what it was"):
        run(config(tmp_path / "run", max_steps=2, resume=True), data="two", model=training_job.tiny_model(hidden=32))
