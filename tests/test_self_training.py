"""Self-training: rows without labels that a run learns from once an earlier round has labelled them."""

import json

import forked
import numpy as np
import pandas as pd
import pytest
import torch
from recipe_table import save_reviews
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from tiny_vit import save_pictures, save_tiny_vit

from hf_attn.errors import InputError
from hf_attn.recipes import image_classification, text_classification
from hf_attn.tasks.targets.labels import calibration, pseudo


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A tiny model, reviews with labels, and others without."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "data").mkdir()
    (folder / "more").mkdir()
    save_reviews(folder / "data", train=160)
    save_reviews(folder / "more", train=80)
    more = pd.read_csv(folder / "more/train.csv")["text"]
    known = pd.read_csv(folder / "data/test.csv")["text"]
    every = pd.concat([more + " yesterday evening", known]).reset_index(drop=True)
    pd.DataFrame({"text": every, "label": "wrong"}).to_csv(folder / "rows.csv", index=False)
    return save_tiny_bert(folder / "model"), folder / "data", folder / "rows.csv"


def arguments(texts, output, *more):
    model, data, rows = texts
    argv = ["--model", model, "--dataset", data, "--unlabeled", rows, "--output_dir", output, "--precision", "no"]
    argv += ["--lr", "2e-3", "--head_lr", "2e-3", "--epochs", "4", "--batch_size", "8", "--unlabeled_threshold", "0.6"]
    return [str(word) for word in [*argv, *more]]


@pytest.fixture(scope="module")
def finished(texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, text_classification.main(arguments(texts, folder))


def facts_of(folder):
    return json.loads((folder / "run.json").read_text())["self_training"]


def test_the_run_says_how_many_rows_it_learned_from_of_each_class_and_how_many_may_be_right(finished):
    folder, _ = finished
    facts = facts_of(folder)
    assert facts["taken"] == sum(one["taken"] for one in facts["classes"].values()) > 10
    assert set(facts["classes"]) == {"paid", "lost"} and facts["weight"] == 0.5
    assert facts["precision"] == facts["right"] / facts["validation_rows"]
    assert facts["interval"][0] <= facts["precision"] <= facts["interval"][1]
    card = (folder / "README.md").read_text()
    assert "## Self-training" in card and f"{facts['taken']:,} of {facts['rows']:,} rows" in card
    assert "| paid |" in card


def test_rows_of_validation_or_test_or_that_stand_twice_are_not_learned_from(texts, finished):
    folder, _ = finished
    _, data, rows = texts
    given = pd.read_csv(rows)["text"]
    earlier = pd.read_parquet(folder.parent / "run-round-0/unlabelled.parquet")
    assert len(earlier) == len(given)
    held_out = set(pd.read_csv(data / "test.csv")["text"])
    new = given.drop_duplicates()
    assert facts_of(folder)["taken"] <= len(new[~new.isin(held_out)])
    assert facts_of(folder)["left_out_as_known"] > 0


def test_the_earlier_round_is_a_run_of_its_own_from_the_labels_alone(texts, finished, tmp_path):
    folder, _ = finished
    before = folder.parent / "run-round-0"
    record = json.loads((before / "run.json").read_text())
    assert record["arguments"]["unlabeled_rounds"] == 0 and "self_training" not in record
    model, data, _ = texts
    argv = arguments(texts, tmp_path / "alone")
    at = argv.index("--unlabeled")
    argv = [word for place, word in enumerate(argv) if place not in (at, at + 1)]
    argv = argv[: argv.index("--unlabeled_threshold")]
    text_classification.main(argv)
    assert (tmp_path / "alone/model.safetensors").read_bytes() == (before / "model.safetensors").read_bytes()


def test_the_same_run_again_is_the_same_to_the_bit_and_a_resumed_one_changes_nothing(finished, tmp_path):
    folder, _ = finished
    config = str(folder / "config.yaml")
    text_classification.main(["--config", config, "--output_dir", str(tmp_path / "again")])
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    before = (folder / "model.safetensors").read_bytes()
    text_classification.main(["--config", config, "--resume"])
    assert (folder / "model.safetensors").read_bytes() == before


def test_two_rounds_are_three_runs_and_each_learns_from_the_one_before(texts, tmp_path):
    text_classification.main(arguments(texts, tmp_path / "run", "--unlabeled_rounds", "2", "--epochs", "2"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-round-0", "run-round-1"]
    assert facts_of(tmp_path / "run")["round"] == 2 and facts_of(tmp_path / "run-round-1")["round"] == 1


def test_two_processes_train_as_one(texts, tmp_path):
    still = ["--config_options", '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}', "--epochs", "1"]
    argv = arguments(texts, tmp_path / "two", *still, "--batch_size", "4", "--unlabeled_threshold", "0.5")
    said = forked.run(text_classification.main, argv, tmp_path / "said", 2)
    assert said.count("saved in") == 2
    text_classification.main(arguments(texts, tmp_path / "one", *still, "--unlabeled_threshold", "0.5"))
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert max((one[key] - two[key]).abs().max() for key in one if not key.endswith("key.bias")) <= 1e-5
    assert facts_of(tmp_path / "one")["classes"] == facts_of(tmp_path / "two")["classes"]


def test_images_learn_from_images_without_labels(tmp_path):
    (tmp_path / "data").mkdir()
    save_pictures(tmp_path / "data")
    more = tmp_path / "more"
    (tmp_path / "data/test").rename(more)
    argv = ["--model", save_tiny_vit(tmp_path / "model"), "--dataset", tmp_path / "data", "--precision", "no"]
    argv += ["--unlabeled", more, "--output_dir", tmp_path / "run", "--lr", "3e-3", "--epochs", "4"]
    argv += ["--batch_size", "8", "--unlabeled_threshold", "0.4"]
    image_classification.main([str(word) for word in argv])
    assert facts_of(tmp_path / "run")["taken"] > 0


def test_a_balanced_choice_takes_of_each_class_its_surest_rows():
    shares = np.array([[0.99, 0.01], [0.98, 0.02], [0.97, 0.03], [0.96, 0.04], [0.05, 0.95], [0.08, 0.92]])
    said = pseudo.Said(np.log(shares), np.full(6, -1))
    assert pseudo.balanced(said, np.arange(6)).tolist() == [0, 1, 2, 4, 5]


def test_the_temperature_is_that_of_a_grid_and_calibrates():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2000, 5)) * 2
    shares = np.exp(calibration.log_softmax(logits))
    truth = np.array([random.choice(5, p=row) for row in shares])
    found = calibration.temperature(3 * logits, truth)
    grid = np.linspace(0.5, 8, 301)
    losses = [-calibration.log_softmax(3 * logits / t)[np.arange(2000), truth].mean() for t in grid]
    assert abs(found - grid[int(np.argmin(losses))]) < 0.03
    assert abs(found - 3) < 0.3
    reference = torch.log_softmax(torch.tensor(logits), -1).numpy()
    np.testing.assert_allclose(calibration.log_softmax(logits), reference, atol=1e-12)


def test_the_interval_is_statsmodels_of_wilson():
    low, high = calibration.wilson(45, 50)
    assert (low, high) == pytest.approx((0.7864, 0.9565), abs=1e-3)


BAD = {
    "no such file": (["--unlabeled", "./nothing.csv"], "no file"),
    "another column": (["--unlabeled", "OTHER"], "no column 'text'"),
    "empty texts": (["--unlabeled", "EMPTY"], "empty text"),
    "a threshold above 1": (["--unlabeled_threshold", "1.5"], "unlabeled_threshold is 1.5: it must be above 0"),
    "a threshold of nothing": (["--unlabeled_threshold", "0"], "unlabeled_threshold is 0.0"),
    "no weight": (["--unlabeled_weight", "0"], "unlabeled_weight is 0.0: it must be above 0"),
    "rounds below nothing": (["--unlabeled_rounds", "-1"], "unlabeled_rounds is -1: it must be at least 0"),
    "rows for numbers": (["--problem", "regression", "--label", "number"], "--unlabeled is for labels of one class"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_one_line_before_anything_is_trained(texts, case, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_attn.training.loop.optim.create", lambda *_, **__: pytest.fail("training began"))
    model, data, rows = texts
    frame = pd.read_csv(data / "train.csv").assign(number=np.arange(160) / 7)
    frame.to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"body": ["a"]}).to_csv(tmp_path / "OTHER.csv", index=False)
    pd.DataFrame({"text": ["my card", " "]}).to_csv(tmp_path / "EMPTY.csv", index=False)
    options, message = BAD[case]
    options = [str(tmp_path / f"{word}.csv") if word.isupper() else word for word in options]
    argv = arguments((model, tmp_path / "train.csv", rows), tmp_path / "run", *options)
    with pytest.raises(InputError, match=message) as error:
        text_classification.main(argv)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run/config.yaml").exists() and not (tmp_path / "run-round-0/model.safetensors").exists()


def test_options_without_rows_are_refused(texts, tmp_path):
    model, data, _ = texts
    argv = ["--model", str(model), "--dataset", str(data), "--output_dir", str(tmp_path), "--unlabeled_rounds", "2"]
    with pytest.raises(InputError, match="unlabeled_rounds needs --unlabeled"):
        text_classification.main(argv)


def test_a_folder_that_holds_a_run_is_refused_before_the_first_round_is_trained(texts, finished, tmp_path):
    folder, _ = finished
    with pytest.raises(InputError, match="--overwrite replaces it"):
        text_classification.main(arguments(texts, folder))


def test_no_row_that_is_sure_enough_is_one_line(texts, tmp_path):
    with pytest.raises(InputError, match="no new row of .* is as sure as --unlabeled_threshold 1.0: the surest has"):
        text_classification.main(arguments(texts, tmp_path / "run", "--unlabeled_threshold", "1", "--epochs", "1"))


def test_rows_that_are_all_known_are_refused_before_the_first_round_is_trained(texts, tmp_path):
    model, data, _ = texts
    with pytest.raises(InputError, match=r"all \d+ rows of .*train.csv stand in train, validation or test too"):
        text_classification.main(arguments((model, data, data / "train.csv"), tmp_path / "run"))
    assert not list(tmp_path.glob("*/model.safetensors"))
