"""The text recipe as a user runs it: files in, a run out, one line where something is wrong."""

import json
import os
import re
import shutil
from pathlib import Path

import forked
import interpreter
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from transformers import AutoModelForSequenceClassification

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import text_classification

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared")).resolve()
ROOT = Path(__file__).parents[1]
WORDS = {
    "paid": ["i want to pay", "pay with it", "please now"],
    "lost": ["card was swallowed", "the machine", "no station"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return str(save_tiny_bert(folder))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    random = np.random.default_rng(0)
    labels = random.choice(["paid", "lost"], 120)
    texts = [" ".join(random.choice(WORDS[label], random.integers(1, 4))) for label in labels]
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return str(path)


def run(model, dataset, output, *more):
    argv = ["--model", model, "--dataset", str(dataset), "--output_dir", str(output), "--precision", "no"]
    return text_classification.main([*argv, "--epochs", "2", "--batch_size", "16", *more])


@pytest.fixture(scope="module")
def finished(model, reviews, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "reviews"
    scores = run(
        model, reviews, folder, "--attention", "talking_heads", "--lr", "1e-3", "--head_lr", "1e-3", "--epochs", "4"
    )
    return folder, scores


def test_a_run_has_exactly_these_files(finished):
    folder, _ = finished
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {name for name in files if not name.startswith("checkpoints/")}
    assert files == {
        *("README.md", "config.yaml", "run.json", "log.jsonl", "predictions.parquet"),
        *("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"),
        *("figures/attention.png", "figures/confusion.png", "figures/curves.png", "figures/reliability.png"),
        *code_of("modeling_hf_attn.py"),
    }


def code_of(name):
    """A file of the attention and those that it imports, which travel with it."""
    found, left = set(), {name}
    while left:
        found.add(file := left.pop())
        text = (ROOT / "hf_attn/attention" / file).read_text()
        left |= {f"{other}.py" for other in re.findall(r"^ *from \.(\w+) import", text, re.MULTILINE)} - found
    return found


def test_the_model_learns_and_its_scores_are_those_of_the_saved_model(finished):
    folder, scores = finished
    assert scores["accuracy"] >= 0.9
    rows = pd.read_parquet(folder / "predictions.parquet")
    assert (rows["label"] == rows["prediction"]).mean() == pytest.approx(scores["accuracy"])
    assert json.loads((folder / "run.json").read_text())["scores"]["test"] == pytest.approx(scores)
    assert hf_attn.predict(folder, ["i want to pay"])[0]["label"] == "paid"


def test_the_saved_model_is_the_variant_with_the_labels(finished):
    folder, _ = finished
    loaded = AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(loaded).__name__ == "HfAttnBertForSequenceClassification"
    assert loaded.config.attn_variant == "talking_heads"
    assert loaded.config.id2label == {0: "lost", 1: "paid"}
    assert not any("place" in name or "rows" in name for name in load_file(folder / "model.safetensors"))


def test_config_yaml_runs_it_again_to_the_bit(finished, tmp_path):
    folder, _ = finished
    text_classification.main(["--config", str(folder / "config.yaml"), "--output_dir", str(tmp_path / "again")])
    again, first = (load_file(path / "model.safetensors") for path in (tmp_path / "again", folder))
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())


def test_resuming_a_finished_run_changes_nothing(finished):
    folder, scores = finished
    before = (folder / "model.safetensors").read_bytes()
    text_classification.main(["--config", str(folder / "config.yaml"), "--resume"])
    assert (folder / "model.safetensors").read_bytes() == before


def test_the_log_ends_with_the_test_scores_and_the_report_once(finished):
    folder, scores = finished
    text_classification.main(["--config", str(folder / "config.yaml"), "--resume"])
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [index for index, line in enumerate(log) if "report" in line] == [len(log) - 1]
    assert log[-1]["test/accuracy"] == scores["accuracy"]
    assert all(word in log[-1]["report"] for word in ("precision", "recall", "f1-score", "macro avg"))


@pytest.mark.parametrize(
    "options",
    [
        ("--lora", "4", "--attention", "cosine"),
        ("--linear_probe", "true"),
        ("--freeze", "embeddings", "--attention", "entmax15", "--attention_kwargs", '{"mix": 0.0}'),
        ("--ema", "0.9", "--layer_decay", "0.8", "--schedule", "cosine", "--warmup", "3"),
        ("--label_smoothing", "0.1", "--focal_gamma", "2", "--class_weights", "balanced"),
        ("--precision", "bf16", "--accumulation_steps", "2", "--group_by_length", "false"),
        ("--metric=-loss", "--patience", "1", "--eval_every", "0.5", "--keep", "1"),
        ("--trackers", "tensorboard", "--auto_batch_size", "true", "--num_workers", "1"),
    ],
    ids=lambda options: options[0].strip("-").partition("=")[0],
)
def test_options_train_and_save_a_model_that_loads(model, reviews, tmp_path, options):
    scores = run(model, reviews, tmp_path / "run", "--limit", "60", *options)
    assert np.isfinite(scores["loss"])
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    assert all(parameter.isfinite().all() for parameter in loaded.parameters())


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


def test_two_processes_give_every_test_row_once(model, reviews, tmp_path):
    argv = ["--model", model, "--dataset", reviews, "--output_dir", str(tmp_path / "run"), "--max_steps", "3"]
    said = forked.run(text_classification.main, [*argv, "--batch_size", "4", "--precision", "no"], tmp_path / "said", 2)
    rows = pd.read_parquet(tmp_path / "run/predictions.parquet")
    assert list(rows["id"]) == list(range(len(rows))) and len(rows) == 12
    assert said.count("saved in") == 1


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


def test_the_command_line_says_one_line_and_exits_with_2(model, reviews, tmp_path):
    done = command("--model", model, "--dataset", reviews, "--output_dir", str(tmp_path / "x"), "--lable", "y")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ") and "label" in done.stderr
    assert not (tmp_path / "x").exists()


BAD = {
    "unknown variant": (["--attention", "entmax"], "unknown attention variant 'entmax'"),
    "unknown option of a variant": (
        ["--attention", "local", "--attention_kwargs", '{"windw": 2}'],
        "has no option windw",
    ),
    "options without a variant": (["--attention_include", "layer"], "need --attention"),
    "layers that do not match": (["--attention", "cosine", "--attention_include", "blocks"], "matches none of the"),
    "two ways to freeze": (["--linear_probe", "true", "--lora", "4"], "exclude each other"),
    "a rank of nothing": (["--lora", "0"], "lora is 0: a rank is 1 or more"),
    "a rank below nothing": (["--lora", "-2"], "lora is -2"),
    "adapters that drop all": (["--lora", "2", "--lora_dropout", "1"], "lora_dropout is 1.0: it must be at least 0"),
    "adapters that add nothing": (["--lora", "2", "--lora_alpha", "0"], "lora_alpha is 0.0: it must be above 0"),
    "adapters without a rank": (["--lora_alpha", "4", "--lora_targets", '["query"]'], "lora_targets need --lora"),
    "another number of labels": (["--config_options", '{"num_labels": 7}'], "config_options has num_labels"),
    "other names of labels": (["--config_options", '{"id2label": {"0": "x"}}'], "config_options has id2label"),
    "another problem": (["--config_options", '{"problem_type": "regression"}'], "config_options has problem_type"),
    "a seed too great": (["--seed", "4294967296"], "seed is 4294967296: it must be at least 0 and below 2**32"),
    "nothing to freeze": (["--freeze", "layr"], "matches no parameter"),
    "unknown metric": (["--metric", "accurcy"], "accuracy"),
    "unknown schedule": (["--schedule", "lineal"], "linear"),
    "negative learning rate": (["--lr", "-1"], "lr"),
    "learning rate that is text": (["--lr", "fast"], "lr"),
    "no steps": (["--max_steps", "0"], "max_steps is 0"),
    "fp16 on a CPU": (["--precision", "fp16"], "fp16 needs a GPU"),
    "unknown tracker": (["--trackers", "tensorbord"], "unknown tracker 'tensorbord'"),
    "wrong weights of classes": (["--class_weights", "1,2,3"], "expected 'balanced', or 2 numbers"),
    "weights that are text": (["--class_weights", "even"], "class_weights is 'even': expected balanced"),
    "no room for text": (["--max_length", "2"], "leave no room for text"),
    "no tokens": (["--max_length", "0"], "max_length is 0: it must be above 0"),
    "smoothing above 1": (["--label_smoothing", "2"], "label_smoothing is 2.0: it must be at least 0 and below 1"),
    "negative focus": (["--focal_gamma", "-1"], "focal_gamma is -1.0: it must be at least 0"),
    "a weight of nothing": (["--class_weights", "1,0"], "class_weights is '1,0': expected balanced"),
    "a pattern that is none": (["--attention", "cosine", "--attention_include", "("], "no regular expression"),
    "mistakes of several groups": (["--label_smoothing", "2", "--max_length", "0", "--lr", "-1"], "; lr is -1.0"),
    "missing column": (["--text", "txt"], "no column 'txt'"),
    "unknown problem": (["--problem", "classes"], "problem"),
    "regression on words": (["--problem", "regression"], "label"),
    "loss that needs classes": (["--problem", "regression", "--label_smoothing", "0.1"], ""),
    "push without a token": (["--push_to_hub", "someone/something"], "oken"),
    "push to no name": (["--push_to_hub", "something"], "user/name"),
    "unknown flag": (["--learning_rate", "1"], "learning_rate"),
    "model that is nowhere": (["--model", "./no/such/model"], "does not exist"),
    "model that is a file": (["--model", __file__], "is a file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_before_training(case, model, reviews, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    options, message = BAD[case]
    with pytest.raises(InputError) as error:
        run(model, reviews, tmp_path / "run", *options)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run/model.safetensors").exists() and not (tmp_path / "run/checkpoints").exists()


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


def test_a_run_is_never_overwritten_unasked(finished, model, reviews):
    folder, _ = finished
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="--overwrite replaces it"):
        run(model, reviews, folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_resuming_with_other_arguments_says_which(finished, model, reviews):
    folder, _ = finished
    with pytest.raises(InputError, match="lr was 0.001 and is 0.0001"):
        run(model, reviews, folder, "--attention", "talking_heads", "--epochs", "4", "--resume")


def test_the_config_of_another_recipe_is_refused(finished, tmp_path):
    folder, _ = finished
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**values, "recipe": "image_classification"}))
    with pytest.raises(InputError, match="image_classification"):
        text_classification.main(["--config", str(tmp_path / "other.yaml")])
