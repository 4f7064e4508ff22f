"""Weights are trained in float32 however a checkpoint has them, and half only where that was asked for."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from tiny_vit import save_pictures, save_tiny_vit
from training_job import distance, job_arguments, log_lines, run, tiny_model, weights
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

import hf_attn
from hf_attn import training
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification, text_classification
from hf_attn.training.ema import EMA

HALF = ["bfloat16", "float16"]
AUTO = {"text": AutoModelForSequenceClassification, "images": AutoModelForImageClassification}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    random = np.random.default_rng(0)
    words = {"paid": ["i want to pay", "pay with it"], "lost": ["card was swallowed", "the machine"]}
    labels = random.choice(["paid", "lost"], 60)
    texts = [" ".join(random.choice(words[label], random.integers(1, 4))) for label in labels]
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def start(reviews, tmp_path_factory):
    """Run a recipe from a checkpoint saved in a dtype: its folder and scores."""
    pictures = save_pictures(tmp_path_factory.mktemp("pictures"), train=8, test=4)
    given = {
        "text": (text_classification.main, save_tiny_bert(tmp_path_factory.mktemp("bert")), reviews),
        "images": (image_classification.main, save_tiny_vit(tmp_path_factory.mktemp("vit")), pictures),
    }

    def run_from(kind, dtype, values, folder, *more):
        main, model, dataset = given[kind]
        source = folder / f"{dtype}_of_{values}"
        loaded = AUTO[kind].from_pretrained(model, dtype=getattr(torch, values)).to(getattr(torch, dtype))
        loaded.save_pretrained(source)
        for path in model.iterdir():
            if not (source / path.name).exists():
                (source / path.name).write_bytes(path.read_bytes())
        argv = ["--model", source, "--dataset", dataset, "--output_dir", folder / f"run_{dtype}", "--log_every", "1"]
        argv += ["--precision", "no", "--max_steps", "6", "--batch_size", "8", "--lr", "1e-3", *more]
        return folder / f"run_{dtype}", main(list(map(str, argv)))

    return run_from


def losses(folder):
    return [line["loss"] for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if "loss" in line]


@pytest.mark.parametrize("kind", AUTO)
@pytest.mark.parametrize("half", HALF)
def test_a_half_checkpoint_trains_as_the_same_values_in_float32(kind, half, start, tmp_path):
    (one, scores), (other, others) = (start(kind, dtype, half, tmp_path) for dtype in (half, "float32"))
    assert losses(one) == losses(other)
    assert scores == others
    saved, expected = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert distance(saved, expected) == 0
    assert {value.dtype for value in saved.values()} == {torch.float32}
    assert json.loads((one / "config.json").read_text())["dtype"] == "float32"
    assert json.loads((one / "run.json").read_text())["arguments"]["dtype"] == "float32"


@pytest.mark.parametrize("half", HALF)
def test_a_half_model_of_ones_own_is_fitted_in_float32(half, tmp_path):
    config, found = job_arguments(tmp_path), []
    for dtype in (getattr(torch, half), torch.float32):
        model = tiny_model(dropout=0.0).to(getattr(torch, half)).to(dtype)
        arguments = config(lr=1e-5, max_steps=8)
        trained, _ = run(arguments, model=model)
        found.append((weights(trained), [line["loss"] for line in log_lines(arguments) if "loss" in line]))
    assert found[0][1] == found[1][1]
    assert distance(found[0][0], found[1][0]) == 0


@pytest.mark.parametrize("half", HALF)
def test_loading_keeps_what_is_saved_and_gives_what_is_asked(half, tmp_path):
    saved = tmp_path / "half"
    AUTO["text"].from_pretrained(save_tiny_bert(tmp_path / "bert")).to(getattr(torch, half)).save_pretrained(saved)
    for attention in (None, "entmax15"):
        kept = hf_attn.load(saved, labels=5, attention=attention)
        asked = hf_attn.load(saved, labels=5, attention=attention, dtype=torch.float32)
        assert {parameter.dtype for parameter in kept.parameters()} == {getattr(torch, half)}
        assert {parameter.dtype for parameter in asked.parameters()} == {torch.float32}
    swapped = hf_attn.swap_attention(AUTO["text"].from_pretrained(saved), "talking_heads")
    assert {parameter.dtype for parameter in swapped.parameters()} == {getattr(torch, half)}


@pytest.mark.parametrize("more", [("--lora", "2"), ("--freeze", "encoder"), ("--linear_probe", "true")])
@pytest.mark.parametrize("kind", AUTO)
def test_beside_a_half_encoder_what_is_trained_is_float32(more, kind, start, tmp_path, monkeypatch):
    seen, fit = {}, training.fit

    def watch(model, *args, **kwargs):
        for parameter in model.parameters():
            seen.setdefault(parameter.requires_grad, set()).add(parameter.dtype)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(training, "fit", watch)
    options = [*more, "--dtype", "bfloat16", "--precision", "auto"]
    folder, scores = start(kind, "float32", "float32", tmp_path, *options)
    assert seen[True] == {torch.float32}
    assert seen.get(False, {torch.bfloat16}) == {torch.bfloat16}
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    facts = json.loads((folder / "run.json").read_text())
    assert facts["arguments"]["dtype"] == "bfloat16"
    assert facts["hardware"]["precision"] == "bf16"
    assert np.isfinite(list(scores.values())).all()


def test_averages_of_half_weights_move_as_in_float64():
    model = torch.nn.Linear(4, 4, bias=False).to(torch.bfloat16)
    ema = EMA(model, 0.999)
    average = model.weight.detach().double()
    for step in range(1, 400):
        with torch.no_grad():
            model.weight += 0.01
        ema.update(model, step)
        decay = min(0.999, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * model.weight.detach().double()
    torch.testing.assert_close(ema.averages["weight"].double(), average, rtol=1e-5, atol=1e-5)
    own, kept = model.weight.clone(), ema.averages["weight"].clone()
    with ema.applied(model):
        assert model.weight.equal(kept.bfloat16())
    assert model.weight.equal(own)
    assert ema.averages["weight"].equal(kept)


def test_weights_trained_in_half_are_told_and_float16_is_refused(tmp_path, caplog):
    config = job_arguments(tmp_path)
    with caplog.at_level(logging.WARNING, logger="hf_attn"):
        model, _ = run(config(dtype="bfloat16", precision="bf16", max_steps=2), model=tiny_model().bfloat16())
    assert "trained in bfloat16: updates smaller than their last digit are lost" in caplog.text
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    arguments = config(max_steps=2)
    arguments.dtype = "float16"  # with the precision that a GPU alone has
    with pytest.raises(InputError, match=r"dtype float16 is for frozen weights \(--lora"):
        training.fit(tiny_model().half(), None, arguments, None, loss_fn=None, count=None, evaluate=None)


def test_a_dtype_among_the_configuration_options_is_refused(start, tmp_path):
    with pytest.raises(InputError, match="^config_options has dtype: give --dtype$"):
        start("text", "float32", "float32", tmp_path, "--config_options", '{"dtype": "bfloat16"}')


@pytest.mark.parametrize(("dtype", "precision"), [("bfloat16", "no"), ("float16", "bf16"), ("bfloat16", "fp16")])
def test_a_dtype_and_another_precision_exclude_each_other(dtype, precision, tmp_path):
    with pytest.raises(InputError, match=f"dtype {dtype} computes in .* and precision is {precision}"):
        job_arguments(tmp_path)(dtype=dtype, precision=precision)
