"""The text recipe as a user runs it: files in, a run out, one line where something is wrong."""

import os
import shutil
from pathlib import Path

import interpreter
import numpy as np
import pandas as pd
import pytest
import torch
from recipe_table import save_reviews
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import text_classification

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared")).resolve()
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return str(save_tiny_bert(folder))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    return str(save_reviews(tmp_path_factory.mktemp("data"), train=108, test=12))


def run(model, dataset, output, *more):
    argv = ["--model", model, "--dataset", str(dataset), "--output_dir", str(output), "--precision", "no"]
    return text_classification.main([*argv, "--epochs", "2", "--batch_size", "16", *more])


def test_a_text_is_told_by_its_words(model, reviews, tmp_path):
    run(model, reviews, tmp_path / "run", "--lr", "1e-3", "--head_lr", "1e-3", "--epochs", "4")
    assert hf_attn.predict(tmp_path / "run", ["i want to pay"])[0]["label"] == "paid"


def test_a_linear_probe_changes_the_head_alone(model, reviews, tmp_path):
    run(model, reviews, tmp_path / "run", "--linear_probe", "true")
    before, after = load_file(f"{model}/model.safetensors"), load_file(tmp_path / "run/model.safetensors")
    encoder = [name for name in after if name.startswith("bert.")]
    assert encoder and all(torch.equal(after[name], before[name]) for name in encoder)


def test_several_columns_are_a_multi_label_task(model, tmp_path):
    random = np.random.default_rng(1)
    on = random.integers(0, 2, (90, 2))
    texts = [" ".join(["card"] + ["pay"] * a + ["swallowed"] * b) for a, b in on]
    pd.DataFrame({"text": texts, "praise": on[:, 0], "blame": on[:, 1]}).to_json(
        tmp_path / "many.jsonl", orient="records", lines=True
    )
    scores = run(model, tmp_path / "many.jsonl", tmp_path / "run", "--label", '["praise", "blame"]')
    assert {"f1_micro", "f1_macro", "average_precision"} <= set(scores)
    assert hf_attn.predict(tmp_path / "run", ["pay card"])[0]["probabilities"].keys() == {"praise", "blame"}


def test_a_pair_with_a_number_is_a_regression_on_real_sts_b(model, tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}")
    options = ("--text", "sentence1", "--text_pair", "sentence2", "--label", "score", "--limit", "80")
    scores = run(model, SHARED / "data/stsb", tmp_path / "run", *options)
    assert {"spearman", "pearson", "mae", "rmse"} <= set(scores)
    value = hf_attn.predict(tmp_path / "run", ["my card"], text_pair=["a machine"])[0]["value"]
    assert np.isfinite(value)


def command(*argv, **env):
    return interpreter.run(
        [ROOT / "recipes/text_classification.py", *argv], {**os.environ, "HF_HUB_OFFLINE": "1", **env}
    )


def test_help_is_grouped_and_names_defaults():
    done = command("--help")
    assert done.returncode == 0
    for group in ("Model and attention:", "Data:", "Batches:", "Loss:", "Hub:", "How long to train:"):
        assert group in done.stdout
    assert "default: 0.0001" in done.stdout and "Tokens of a text" in done.stdout
    assert "folder of an earlier run. (required)" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no weights"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "only a pickle (pytorch_model.bin)",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 40), "model.safetensors is damaged"),
        (lambda folder: os.truncate(folder / "model.safetensors", 3000), "model.safetensors is damaged"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not readable JSON"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "the tokenizer is missing"),
    ],
    ids=["no weights", "pickle", "zeros", "cut short", "no config", "broken config", "no tokenizer"],
)
def test_bad_models_are_refused_before_training(change, message, model, reviews, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model/vocab.txt").unlink()
    change(tmp_path / "model")
    with pytest.raises(InputError) as error:
        run(str(tmp_path / "model"), reviews, tmp_path / "run")
    assert message in str(error.value) and "\n" not in str(error.value)
