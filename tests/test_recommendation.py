"""Which item of the past made a recommendation; going on from an earlier run; interactions from file to answer."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from tiny_histories import NAMES, interactions, save_histories, save_interactions

import hf_attn
from hf_attn.errors import InputError
from hf_attn.explain.case import Case
from hf_attn.explain.methods import METHODS, explain
from hf_attn.recipes import recommendation
from hf_attn.tasks.predict import load

ONE = {"history": NAMES[:9], "ratings": [5.0, 1.0, None, 4.0, 2.0, 5.0, 1.0, 3.0, 5.0], "candidate": NAMES[10]}
SHORT = ["--epochs", "2", "--batch_size", "16", "--precision", "no", "--head_lr", "1e-2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recommendation")
    (folder / "data").mkdir()
    save_tiny_bert(folder / "model")
    argv = ["--model", folder / "model", "--dataset", save_histories(folder / "data"), "--history_ratings", "ratings"]
    argv += [*SHORT, "--history_length", "6", "--attention", "entmax15", "--output_dir", folder / "run"]
    recommendation.main([str(word) for word in argv])
    return folder / "run"


def liked(run, one):
    return hf_attn.predict(run, [one])[0]["probabilities"]["liked"]


def without(one, at):
    keep = [place for place in range(len(one["history"])) if place != at]
    return {**one, "history": [one["history"][i] for i in keep], "ratings": [one["ratings"][i] for i in keep]}


def test_the_parts_of_a_history_are_the_items_that_the_model_reads(run):
    case = Case(*load(run), ONE)
    assert [part.name for part in case.parted.parts] == ONE["history"][-6:]
    assert case.parted.left_out == "3 older items of the history are not read."
    assert case.score == pytest.approx(liked(run, ONE), abs=1e-6)


def test_an_item_that_is_taken_away_is_nowhere(run):
    one = {**ONE, "history": ONE["history"][-6:], "ratings": ONE["ratings"][-6:]}
    case = Case(*load(run), one)
    gone = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(case.scores(gone), [liked(run, without(one, at)) for at in range(6)], atol=1e-6)
    nothing = case.scores(np.zeros((1, 6), bool))[0]
    assert nothing == pytest.approx(liked(run, {"history": [], "candidate": one["candidate"]}), abs=1e-6)


def test_occlusion_is_what_the_answer_loses_without_an_item(run):
    case = Case(*load(run), ONE)
    found = METHODS["occlusion"].run(case)
    gone = case.scores(~np.eye(6, dtype=bool))
    np.testing.assert_allclose(found.weights, case.score - gone, atol=1e-6)


def test_the_weights_of_attention_are_those_of_the_candidate_over_the_history(run):
    model, tokenizer = load(run)
    case = Case(model, tokenizer, ONE)
    maps = hf_attn.attention_map(model, case.parted.batch, layers=[-1])[0][0, :, 0].mean(0)
    found = METHODS["attention"].run(case)
    np.testing.assert_allclose(found.weights, maps[case.parted.batch["history_mask"][0]].numpy(), atol=1e-6)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "method", ["lime", "kernel_shap", "partition_shap", "value_norms", "grad_attention", "saliency"]
)
def test_every_kind_of_method_weighs_a_history(run, method):
    found = METHODS[method].run(Case(*load(run), ONE))
    assert found.weights.shape == (6,) and np.isfinite(found.weights).all()


def test_gradients_along_the_states_of_the_items_add_up(run):
    found = METHODS["integrated_gradients"].run(Case(*load(run), ONE), steps=400)
    assert abs(found.notes["completeness_error"]) < 0.05


def test_an_explained_history_is_shown_in_all_ways(run, tmp_path):
    found = explain(run, ONE, method="occlusion")
    assert all(name in found.to_html() for name in ONE["history"][-6:])
    assert ONE["history"][-1] in str(found)
    found.plot().savefig(tmp_path / "history.png")


def test_a_history_without_items_has_nothing_to_explain(run):
    with pytest.raises(InputError, match="the history to explain is empty"):
        Case(*load(run), {"history": [], "candidate": "my"})


def test_a_run_goes_on_from_an_earlier_one(run, tmp_path):
    data = run.parent / "data"
    argv = ["--model", run, "--dataset", data, "--history_ratings", "ratings", "--history_length", "6", "--lr", "1e-12"]
    argv += ["--epochs", "1", "--precision", "no", "--output_dir", tmp_path / "run"]
    recommendation.main([str(word) for word in argv])
    before, after = load_file(run / "model.safetensors"), load_file(tmp_path / "run/model.safetensors")
    assert before.keys() == after.keys()
    assert max((after[name].double() - values.double()).abs().max() for name, values in before.items()) < 1e-6
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["attn_variant"] == "entmax15" and torch.equal(before["items.keys"], after["items.keys"])


def test_ratings_that_a_model_was_not_trained_with_are_not_read_and_that_is_told(tmp_path, caplog):
    (tmp_path / "data").mkdir()
    argv = ["--model", save_tiny_bert(tmp_path / "model"), "--dataset", save_histories(tmp_path / "data"), *SHORT]
    recommendation.main([str(word) for word in [*argv, "--output_dir", tmp_path / "run"]])
    without_ratings = {name: ONE[name] for name in ("history", "candidate")}
    assert liked(tmp_path / "run", ONE) == liked(tmp_path / "run", without_ratings)
    assert "trained on histories without ratings: none are read" in caplog.text


def test_interactions_are_learned_from_and_predicted_as_their_histories(tmp_path):
    path = save_interactions(tmp_path / "data", interactions(users=16, each=18))
    argv = [
        "--model",
        save_tiny_bert(tmp_path / "model"),
        "--dataset",
        path,
        "--items",
        "items.csv",
        "--liked_from",
        "3",
    ]
    recommendation.main([str(word) for word in [*argv, *SHORT, "--output_dir", tmp_path / "run"]])
    saved = pd.read_parquet(tmp_path / "run/predictions.parquet")
    table = pd.read_csv(path)
    given = []
    for row in saved.itertuples():
        mine = table[(table.user_id == row.user_id) & (table.item_id == row.item_id)].iloc[0]
        before = table[(table.user_id == row.user_id) & (table.timestamp < mine.timestamp)].sort_values(
            "timestamp", kind="stable"
        )
        given.append(
            {
                "history": [NAMES[item] for item in before.item_id],
                "ratings": before.rating.astype(float).tolist(),
                "candidate": NAMES[row.item_id],
            }
        )
    found = [row["probabilities"]["liked"] for row in hf_attn.predict(tmp_path / "run", given)]
    np.testing.assert_allclose(found, [row[1] for row in saved.probabilities], atol=1e-5)
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert set(record["baselines"]) == {"this model", "recency", "popularity", "item mean", "user and item bias"} | {
        "matrix factorisation"
    }


def test_ratings_are_predicted_where_no_threshold_is_given(tmp_path):
    table = interactions(users=16, each=18)
    table["rating"] = table.rating + table.item_id % 3
    path = save_interactions(tmp_path / "data", table)
    argv = ["--model", save_tiny_bert(tmp_path / "model"), "--dataset", path, "--items", "items.csv", *SHORT]
    scores = recommendation.main([str(word) for word in [*argv, "--output_dir", tmp_path / "run"]])
    assert {"rmse", "mae", "gauc", "ndcg_at_10"} <= scores.keys()
    assert "value" in hf_attn.predict(tmp_path / "run", [ONE])[0]
