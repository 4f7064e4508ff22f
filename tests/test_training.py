"""The loop: what a step is, and what stops it."""

import json
import math
import os

import forked
import pytest
import torch
import training_job
from training_job import collate, distance, job_arguments, log_lines, loss_fn, run, sentences, tiny_model, weights

from hf_attn.training.launcher import choose_precision


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


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
        found.append((weights(model), [line["loss"] for line in log_lines(arguments) if "loss" in line]))
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
        assert forked.finish(job) == [0] * processes, (tmp_path / "output").read_text()
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
    assert forked.finish(job) == [1, 1]
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
    assert choose_precision(torch.device("cpu")) == ("bf16" if has else "no")


@pytest.mark.parametrize(
    ("options", "steps"), [({"epochs": 0.5}, 4), ({"epochs": 2.5}, 20), ({"max_steps": 11}, 11), ({"epochs": 0.01}, 1)]
)
def test_epochs_and_max_steps(options, steps, config):
    _, history = run(config(**options))
    assert history.step == history.steps == steps
