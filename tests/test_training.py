"""The loop: what a step is, what stops it, which model comes back."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch
import training_job
import yaml
from training_job import JobConfig, collate, evaluator, loss_fn, run, sentences, tiny_model

from hf_attn import training
from hf_attn.errors import InputError

BASE = {"epochs": 1.0, "batch_size": 8, "lr": 1e-3, "log_every": 1, "precision": "no", "group_by_length": False}


@pytest.fixture
def config(tmp_path):
    """A small run's arguments, each with a folder of its own."""
    numbers = iter(range(100))

    def make(**options):
        made = JobConfig(**{**BASE, "output_dir": str(tmp_path / f"run{next(numbers)}"), **options})
        made.recipe = "job"
        return made

    return make


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def distance(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def same(one, other):
    return all(one[name].equal(other[name]) for name in one)


def lines(config):
    with open(os.path.join(config.output_dir, "log.jsonl")) as file:
        return [json.loads(line) for line in file]


def token_loss(model, batch):
    """Summed squares over all real tokens: items of unequal number in each batch."""
    states = model.bert(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return (states[..., 0].square() * batch["attention_mask"]).sum() + 0 * model.classifier(states).sum()


def token_count(batch):
    return batch["attention_mask"].sum()


@pytest.mark.parametrize("losses", ["examples", "tokens"])
def test_batch_size_and_accumulation_make_the_same_steps(losses, config):
    found = []
    for batch_size, accumulation_steps in ((8, 1), (4, 2), (2, 4)):
        arguments = config(batch_size=batch_size, accumulation_steps=accumulation_steps, dropout=0.0, epochs=2.0)
        functions = {"loss_fn": token_loss, "count": token_count} if losses == "tokens" else {}
        model, history = run(arguments, **functions)
        found.append((weights(model), [line["loss"] for line in lines(arguments) if "loss" in line]))
        assert history.step == 16
    for other, losses_of_other in found[1:]:
        assert distance(found[0][0], other) < 1e-6
        assert losses_of_other == pytest.approx(found[0][1], abs=1e-6)
    assert distance(found[0][0], weights(tiny_model())) > 1e-3


def test_the_step_is_that_of_plain_torch(config):
    """Three steps of a loop written out: mean loss, clipping, AdamW, linear schedule."""
    arguments = config(max_steps=3, dropout=0.0, warmup=0, max_grad_norm=0.1, weight_decay=0.1, head_lr=1e-3)
    seen = []

    def keep(model, batch):
        seen.append(batch["ids"].tolist())
        return loss_fn(model, batch)

    trained, _ = run(arguments, loss_fn=keep)
    rows, model = sentences(arguments.rows), tiny_model(dropout=0.0)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], fused=True
    )
    for step, ids in enumerate(seen):
        batch = collate([rows[number] for number in ids])
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / 3)
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        torch.nn.functional.cross_entropy(logits, batch["labels"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    assert len(seen) == 3
    assert distance(weights(trained), model.state_dict()) < 1e-6


def test_evaluating_more_often_changes_no_weight(config):
    seldom, _ = run(config(eval_every=1.0, metric="step"), evaluate=counting())
    often, _ = run(config(eval_every=0.25, metric="step", save_every=3), evaluate=counting())
    never, _ = run(config(eval_every=100.0, metric="step", compile=False), evaluate=counting())
    assert same(weights(seldom), weights(often))
    assert same(weights(seldom), weights(never))


def counting():
    """An evaluation that draws random numbers and scores later models higher."""
    calls = []

    def evaluate(model):
        model.eval()
        calls.append(float(torch.rand(3).sum()))
        return {"step": float(len(calls))}

    return evaluate


def falling(*scores):
    left = list(scores)
    return lambda model: {"accuracy": left.pop(0), "loss": 1.0}


def test_stops_after_patience_and_returns_the_best(config):
    kept = {}
    arguments = config(epochs=5.0, patience=2, metric="accuracy", keep=1)
    model, history = run(
        arguments,
        evaluate=falling(0.5, 0.7, 0.6, 0.6, 0.9),
        after_step=[lambda model, step: kept.update({step: weights(model)})],
    )
    assert (history.step, history.best_step, history.stopped_early) == (32, 16, True)
    assert history.scores == {"accuracy": 0.7, "loss": 1.0}
    assert same(weights(model), kept[16])
    assert not same(weights(model), kept[32])


@pytest.mark.parametrize("metric", ["loss", "-loss", "-accuracy"])
def test_less_is_better_for_losses_and_after_a_minus(metric, config):
    scores = iter([3.0, 1.0, 2.0])

    def evaluate(model):
        value = next(scores)
        return {"loss": value, "accuracy": value}

    _, history = run(config(epochs=3.0, metric=metric), evaluate=evaluate)
    assert history.best_step == 16


def test_a_score_that_is_no_number_is_never_the_best(config):
    _, history = run(config(epochs=3.0, metric="accuracy"), evaluate=falling(math.nan, 0.1, math.nan))
    assert (history.best_step, history.scores["accuracy"]) == (16, 0.1)


def test_an_unknown_metric_names_those_there_are(config):
    with pytest.raises(InputError, match="metric 'f1' .* accuracy, loss"):
        run(config(metric="f1"))


def test_the_average_of_the_weights_is_scored_and_returned(config):
    from hf_attn.ema import EMA

    averages, scored = {}, []

    def follow(model, step):
        if step == 1:
            averages["ema"] = EMA(start, 0.9)
        averages["ema"].update(model, step)

    start = tiny_model()
    initial = tiny_model()

    def evaluate(model):
        scored.append(weights(model))
        return {"loss": 1.0}

    model, _ = run(config(ema=0.9), evaluate=evaluate, after_step=[follow], model=initial)
    expected = weights(model) | {name: value for name, value in averages["ema"].averages.items()}
    assert distance(weights(model), expected) < 1e-7
    assert same(scored[-1], weights(model))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_step_and_ids(bad, config):
    calls = []

    def breaking(model, batch):
        calls.append(batch["ids"].tolist())
        return loss_fn(model, batch) * (bad if len(calls) == 6 else 1)

    arguments = config(batch_size=4, accumulation_steps=2)
    with pytest.raises(FloatingPointError) as raised:
        run(arguments, loss_fn=breaking)
    assert "at step 3" in str(raised.value)
    assert f"ids of the batch: {', '.join(map(str, calls[5]))};" in str(raised.value)
    assert len(calls) == 6
    assert (
        not list(os.scandir(arguments.output_dir + "/checkpoints"))
        if os.path.isdir(arguments.output_dir + "/checkpoints")
        else True
    )


def test_a_gradient_that_is_not_finite_stops_too(config):
    def breaking(model, batch):
        loss = loss_fn(model, batch)
        return loss + (model.classifier.bias * 0).sum().abs().sqrt()

    with pytest.raises(FloatingPointError, match="the gradient is not finite at step 1"):
        run(config(), loss_fn=breaking)


def limited(rows, attempts):
    """A loss that runs out of memory above ``rows`` rows."""

    def loss(model, batch):
        attempts.append(len(batch["labels"]))
        value = loss_fn(model, batch)
        if len(batch["labels"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return value

    return loss


def test_out_of_memory_splits_batches_into_the_same_step(config):
    attempts = []
    whole, _ = run(config(dropout=0.0))
    split, history = run(config(dropout=0.0, auto_batch_size=True), loss_fn=limited(2, attempts))
    assert distance(weights(whole), weights(split)) < 1e-6
    assert attempts[:4] == [8, 4, 2, 2]
    assert history.pieces == 4
    assert max(attempts[3:]) == 2


def test_out_of_memory_is_an_error_without_auto_batch_size_or_with_one_row(config):
    with pytest.raises(torch.OutOfMemoryError):
        run(config(), loss_fn=limited(2, []))
    with pytest.raises(torch.OutOfMemoryError):
        run(config(auto_batch_size=True), loss_fn=limited(0, []))


def test_learning_rate_follows_steps_whatever_the_processes(tmp_path):
    curves = []
    for processes, batch_size in ((1, 8), (2, 4)):
        folder = tmp_path / f"on{processes}"
        argv = ["--output_dir", str(folder), "--batch_size", str(batch_size), "--log_every", "1", "--dropout", "0"]
        argv += ["--epochs", "2", "--warmup", "4", "--schedule", "cosine", "--precision", "no"]
        job = training_job.launch(argv, tmp_path / "output", processes)
        assert training_job.finish(job) == [0] * processes, (tmp_path / "output").read_text()
        with open(folder / "log.jsonl") as file:
            records = [json.loads(line) for line in file]
        curves.append([(line["step"], line["lr"], line["loss"]) for line in records if "lr" in line])
    assert len(curves[0]) == 16
    for one, two in zip(*curves, strict=True):
        assert one[:2] == two[:2]
        assert one[2] == pytest.approx(two[2], abs=1e-6)


def test_two_processes_stop_on_nan_of_one(tmp_path):
    argv = ["--output_dir", str(tmp_path / "run"), "--batch_size", "4", "--lr", "1e30", "--warmup", "0"]
    job = training_job.launch([*argv, "--max_grad_norm", "0", "--epochs", "9"], tmp_path / "output", 2)
    assert training_job.finish(job) == [1, 1]
    output = (tmp_path / "output").read_text()
    assert output.count("error: the loss (nan) is not finite at step") == 1
    assert "ids of the batch: " in output


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_training_leaves_plain_names(backend, config, monkeypatch):
    compile_module, backends = torch.nn.Module.compile, []

    def compile_with(module, **options):
        backends.append(backend)
        compile_module(module, backend=backend, **options)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_with)
    plain, _ = run(config(max_steps=2, dropout=0.0))
    compiled, _ = run(config(max_steps=2, dropout=0.0, compile=True))
    assert distance(weights(plain), weights(compiled)) < 1e-4
    assert backends == [backend]
    assert list(weights(plain)) == list(weights(compiled))
    assert "forward" not in vars(compiled)


def test_bf16_trains_in_half_and_returns_fp32(config):
    dtypes = set()

    def watch(model, batch):
        dtypes.add(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
        return loss_fn(model, batch)

    model, _ = run(config(precision="bf16", max_steps=2), loss_fn=watch)
    assert dtypes == {torch.bfloat16}
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    rows = collate(sentences(3))
    assert model(rows["input_ids"]).logits.dtype == torch.float32


def test_auto_precision_is_what_the_processor_has():
    flags = open("/proc/cpuinfo").read()
    has = "avx512_bf16" in flags or "amx_bf16" in flags
    assert training.choose_precision(torch.device("cpu")) == ("bf16" if has else "no")


@pytest.mark.parametrize(
    ("options", "steps"), [({"epochs": 0.5}, 4), ({"epochs": 2.5}, 20), ({"max_steps": 11}, 11), ({"epochs": 0.01}, 1)]
)
def test_epochs_and_max_steps(options, steps, config):
    _, history = run(config(**options))
    assert history.step == history.steps == steps


def test_the_log_holds_every_number_once(config):
    arguments = config(epochs=2.0, log_every=3, trackers=["tensorboard"])
    _, history = run(arguments)
    found = lines(arguments)
    assert [line["step"] for line in found if "loss" in line] == [3, 6, 8, 9, 12, 15, 16]
    assert [(line["step"], line["epoch"]) for line in found if "validation/accuracy" in line] == [(8, 1.0), (16, 2.0)]
    assert history.log == found
    assert history.tokens == 2 * sum(len(row["input_ids"]) for row in sentences(arguments.rows))
    assert history.seconds > 0
    assert any(name.startswith("events.") for _, _, names in os.walk(arguments.output_dir) for name in names)


def test_config_yaml_is_the_run_without_how_it_was_started(config):
    arguments = config(overwrite=True)
    run(arguments)
    with open(os.path.join(arguments.output_dir, "config.yaml")) as file:
        written = yaml.safe_load(file)
    assert written["recipe"] == "job"
    assert (written["lr"], written["overwrite"], written["resume"]) == (1e-3, False, False)


REFUSED = {
    "fp16 on a processor": ({"precision": "fp16"}, "precision fp16 needs a GPU"),
    "unknown tracker": ({"trackers": ["tensorbored"]}, "unknown tracker 'tensorbored': choose from"),
    "tracker not installed": ({"trackers": ["clearml"]}, "pip install clearml"),
    "resume and overwrite": ({"resume": True, "overwrite": True}, "exclude each other"),
    "not a folder": ({"output_dir": "/dev/null/run"}, "cannot be written to"),
    "not writable": ({"output_dir": "/proc/run"}, "cannot be written to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_written(name, config):
    options, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        training.start(config(**options))


def test_an_existing_run_is_never_replaced_unasked(config, tmp_path):
    arguments = config(output_dir=str(tmp_path / "one"), epochs=0.2)
    run(arguments)
    before = (tmp_path / "one" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="--resume goes on with it, --overwrite replaces it"):
        training.start(arguments)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == before
    replaced = config(output_dir=str(tmp_path / "one"), epochs=0.2, overwrite=True, seed=5)
    training.start(replaced)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == before, "nothing is lost before training starts"
    run(replaced)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() != before


def test_a_folder_of_something_else_is_never_taken(config, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "README.md").write_text("mine")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="something else"):
            training.start(config(output_dir=str(tmp_path / "thesis"), **options))


def test_resume_names_what_changed(config, tmp_path):
    run(config(output_dir=str(tmp_path / "one"), epochs=0.2))
    again = {"output_dir": str(tmp_path / "one"), "epochs": 0.2, "resume": True}
    with pytest.raises(InputError) as raised:
        training.start(config(**again, lr=5e-4, hidden=32))
    assert "lr was 0.001 and is 0.0005" in str(raised.value)
    assert "hidden was 16 and is 32" in str(raised.value)
    assert "epochs" not in str(raised.value).split(";")[0]
    training.start(config(**again, log_every=5, keep=9))


def test_resume_of_nothing_starts(config):
    _, history = run(config(epochs=0.2, resume=True))
    assert history.step == 2


def test_input_errors_end_the_program_with_status_2(tmp_path):
    command = [sys.executable, training_job.__file__, "--output_dir", str(tmp_path), "--precision", "fp16"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert ended.returncode == 2
    assert ended.stderr == "error: precision fp16 needs a GPU: choose bf16, no or auto on this processor\n"


def test_evaluation_leaves_the_loss_of_later_steps_alone(config):
    """Scores come from a model in whatever mode; training goes on in training mode."""
    modes = []

    def watch(model, batch):
        modes.append(model.training)
        return loss_fn(model, batch)

    run(config(eval_every=0.25), loss_fn=watch, evaluate=evaluator(sentences(5)))
    assert all(modes)
