"""What every recipe promises; a recipe that has no line in the table of ``recipe_table.py`` fails."""

import json
import os
import re
import subprocess
import sys
import time
from html import escape
from pathlib import Path

import forked
import interpreter
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
import yaml
from hub_server import HubServer, client_environment
from huggingface_hub import constants
from recipe_table import RECIPES
from safetensors.torch import load_file

import hf_attn
from hf_attn.cli import main as cli
from hf_attn.errors import InputError
from hf_attn.explain import explain

ROOT = Path(__file__).parents[1]
TOKEN = "hf_" + "w" * 34
cases = [pytest.param(name, id=name) for name in RECIPES]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tiny model and data of each recipe, made once."""
    found = {}

    def made(name):
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            (folder / "data").mkdir()
            found[name] = RECIPES[name].model(folder / "model"), RECIPES[name].data(folder / "data")
        return found[name]

    return made


@pytest.fixture(scope="module")
def finished(made, tmp_path_factory):
    """A finished run of each recipe, with an attention variant."""
    found = {}

    def finished(name):
        if name not in found:
            folder, recipe = tmp_path_factory.mktemp("runs") / name, RECIPES[name]
            argv = recipe.arguments(*made(name), folder, "--attention", "talking_heads", *recipe.learns)
            found[name] = folder, recipe.module.main(argv)
        return found[name]

    return finished


def weights(folder):
    return load_file(Path(folder) / "model.safetensors")


def probabilities(rows):
    return np.stack([[row["probabilities"][name] for name in sorted(row["probabilities"])] for row in rows])


def plain(column):
    """A column of a table as Python's own values."""
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in column.tolist()]


@pytest.mark.parametrize("name", cases)
def test_what_a_run_says_is_explained_and_measured(name, finished, made):
    folder, _ = finished(name)
    for method in ("occlusion", "attention"):
        found = explain(folder, RECIPES[name].given(made(name)[1])[0], method=method)
        assert len(found.weights) == len(found.parts) > 0 and np.isfinite(found.weights).all() and found.weights.any()
        assert (
            "random" in found.faithfulness["area"] and found.prediction and escape(found.target) in found._repr_html_()
        )


def test_every_recipe_has_a_line_in_the_table():
    assert {path.stem for path in (ROOT / "recipes").glob("[!_]*.py")} == set(RECIPES)


@pytest.mark.parametrize("name", cases)
def test_a_run_has_exactly_these_files(finished, name):
    folder, _ = finished(name)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {file for file in files if not file.startswith("checkpoints/")}
    assert files == RECIPES[name].files | code_of(RECIPES[name].code) | {
        *("README.md", "config.yaml", "run.json", "log.jsonl", "predictions.parquet", "config.json"),
        *("model.safetensors", "figures/curves.png"),
    }


def code_of(name):
    """A file of the attention and those that it imports, which travel with it."""
    found, left = set(), {name}
    while left:
        found.add(file := left.pop())
        text = (ROOT / "hf_attn/attention" / file).read_text()
        left |= {f"{other}.py" for other in re.findall(r"^ *from \.(\w+) import", text, re.MULTILINE)} - found
    return found


@pytest.mark.parametrize("name", cases)
def test_rows_given_are_rows_predicted_in_their_order_and_as_they_were_scored(finished, made, name):
    (folder, scores), recipe = finished(name), RECIPES[name]
    given = recipe.given(made(name)[1])
    assert scores[recipe.score] > recipe.floor
    assert json.loads((folder / "run.json").read_text())["scores"]["test"] == pytest.approx(scores)
    saved, found = pd.read_parquet(folder / "predictions.parquet"), hf_attn.predict(folder, given)
    assert list(saved["id"]) == list(range(len(given))) and len(found) == len(given)
    if recipe.says_rows:
        assert [row[recipe.answer] for row in found] == plain(saved["prediction"])
    if recipe.labels:
        assert (saved["label"] == saved["prediction"]).mean() == pytest.approx(scores["accuracy"])
        np.testing.assert_allclose(np.stack(saved["probabilities"]), probabilities(found), atol=1e-5)


@pytest.mark.parametrize("name", cases)
def test_the_command_predicts_as_python_does(finished, made, name, tmp_path, monkeypatch):
    from hf_attn.cli.prediction_files import predict_to

    (folder, _), recipe = finished(name), RECIPES[name]
    data = made(name)[1]
    predict_to(str(folder), recipe.command(data), output=str(tmp_path / "found.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    expected = hf_attn.predict(folder, recipe.given(data))
    assert [row[recipe.answer] for row in rows] == [row[recipe.answer] for row in expected]
    if recipe.labels:
        np.testing.assert_allclose(probabilities(rows), probabilities(expected), atol=1e-6)


@pytest.mark.parametrize("name", cases)
def test_the_saved_model_is_the_variant_with_the_labels(finished, made, name):
    folder, _ = finished(name)
    loaded = getattr(transformers, RECIPES[name].auto).from_pretrained(folder)
    before = getattr(transformers, RECIPES[name].auto).from_pretrained(made(name)[0])
    derived = f"HfAttn{type(before).__name__}", f"hf_attn_{before.config.model_type}"
    assert (type(loaded).__name__, loaded.config.model_type) == (RECIPES[name].saved or derived)
    assert loaded.config.attn_variant == "talking_heads"
    assert not any("place" in key or "rows" in key for key in weights(folder))
    if RECIPES[name].labels:
        labels = pd.read_parquet(folder / "predictions.parquet")["label"].unique()
        assert list(loaded.config.id2label.values()) == sorted(labels)


@pytest.mark.parametrize("name", cases)
def test_the_card_says_how_the_model_is_used(finished, name):
    card, recipe = (finished(name)[0] / "README.md").read_text(), RECIPES[name]
    task = recipe.tag or name.replace("_", "-")
    assert f"pipeline_tag: {task}" in card and f"by `hf-attn {name}`" in card
    assert f"{recipe.auto}.from_pretrained(model_id, trust_remote_code=True)" in card


@pytest.mark.parametrize("name", cases)
def test_config_yaml_runs_it_again_to_the_bit(finished, name, tmp_path):
    folder, _ = finished(name)
    RECIPES[name].module.main(["--config", str(folder / "config.yaml"), "--output_dir", str(tmp_path / "again")])
    first, again = weights(folder), weights(tmp_path / "again")
    assert first.keys() == again.keys() and all(torch.equal(again[key], tensor) for key, tensor in first.items())
    one, two = (pd.read_parquet(path / "predictions.parquet") for path in (folder, tmp_path / "again"))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("name", cases)
def test_resuming_a_finished_run_changes_nothing_and_the_log_ends_with_the_test_scores(finished, name):
    folder, scores = finished(name)
    before = (folder / "model.safetensors").read_bytes()
    RECIPES[name].module.main(["--config", str(folder / "config.yaml"), "--resume"])
    assert (folder / "model.safetensors").read_bytes() == before
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [index for index, line in enumerate(log) if "report" in line] == [len(log) - 1]
    assert log[-1][f"test/{RECIPES[name].score}"] == scores[RECIPES[name].score]
    assert all(word in log[-1]["report"] for word in RECIPES[name].reported)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("name", cases)
def test_a_killed_run_resumes_to_the_bit(made, name, tmp_path, processes):
    recipe, said, broken = RECIPES[name], tmp_path / "said", tmp_path / "broken"
    given = ["--max_steps", "24", "--batch_size", "4", "--save_every", "2", "--log_every", "1", *recipe.drawn]
    forked.run(recipe.module.main, recipe.arguments(*made(name), tmp_path / "whole", *given), said, processes)
    started = forked.start(recipe.module.main, recipe.arguments(*made(name), broken, *given), said, processes)
    while started[0].is_alive() and steps(broken) < 5:
        time.sleep(0.005)
    forked.kill(started)
    assert 5 <= steps(broken) < 24 and not (broken / "model.safetensors").exists()
    forked.run(recipe.module.main, recipe.arguments(*made(name), broken, *given, "--resume"), said, processes)
    assert (broken / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def steps(folder):
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    try:
        return max((json.loads(line)["step"] for line in lines), default=0)
    except json.JSONDecodeError:
        return 0


@pytest.mark.parametrize("name", cases)
def test_two_processes_train_as_one_and_predict_every_row_once(made, name, tmp_path):
    recipe, data = RECIPES[name], made(name)
    common = ["--max_steps", "4", *recipe.alike]
    argv = recipe.arguments(*data, tmp_path / "two", *common, "--batch_size", "4")
    said = forked.run(recipe.module.main, argv, tmp_path / "said", 2)
    assert said.count("saved in") == 1
    recipe.module.main(recipe.arguments(*data, tmp_path / "one", *common, "--batch_size", "8"))
    one, two = (pd.read_parquet(tmp_path / run / "predictions.parquet") for run in ("one", "two"))
    assert list(two["id"]) == list(one["id"]) == list(range(len(recipe.given(data[1]))))
    ours, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    # a key's bias is left out, whose gradient is zero but for rounding, and what else of a recipe has none
    compared = [key for key in ours if not key.endswith(("key.bias", "k_proj.bias", *recipe.unlearnt))]
    apart = {key: float((ours[key] - theirs[key]).abs().max()) for key in compared}
    assert not {key: most for key, most in apart.items() if most > 1e-6}


@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(n, o, id=f"{n}-{o[0].strip('-').partition('=')[0]}") for n, r in RECIPES.items() for o in r.options],
)
def test_options_train_and_save_a_model_that_predicts_as_scored(made, name, options, tmp_path):
    recipe = RECIPES[name]
    scores = recipe.module.main(recipe.arguments(*made(name), tmp_path / "run", *options))
    assert np.isfinite(scores["loss"])
    loaded = getattr(transformers, recipe.auto).from_pretrained(tmp_path / "run")
    assert all(parameter.isfinite().all() for parameter in loaded.parameters())
    told = "it runs without" in (tmp_path / "run/README.md").read_text()
    assert told == bool(recipe.only_scored.intersection(options))
    if not told:
        found = hf_attn.predict(tmp_path / "run", recipe.given(made(name)[1]))
        saved = pd.read_parquet(tmp_path / "run/predictions.parquet")
        assert len(found) == len(saved)
        if recipe.says_rows:
            assert [row[recipe.answer] for row in found] == plain(saved["prediction"])


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.says_rows])
def test_rows_without_labels_are_predicted_one_by_one(name, tmp_path):
    recipe = RECIPES[name]
    (tmp_path / "data").mkdir()
    data, model = recipe.data(tmp_path / "data"), recipe.model(tmp_path / "model")
    given = recipe.unlabelled(data)
    recipe.module.main(recipe.arguments(model, data, tmp_path / "run"))
    found = pd.read_parquet(tmp_path / "run/unlabelled.parquet")
    assert plain(found["prediction"]) == [row[recipe.answer] for row in hf_attn.predict(tmp_path / "run", given)]


@pytest.mark.parametrize(
    ("name", "case"), [pytest.param(n, c, id=f"{n}-{c}") for n, r in RECIPES.items() for c in r.every_bad]
)
def test_bad_arguments_are_one_line_before_anything_is_trained(made, name, case, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("hf_attn.training.loop.optim.create", lambda *_, **__: pytest.fail("training began"))
    options, message = RECIPES[name].every_bad[case]
    with pytest.raises(InputError) as error:
        RECIPES[name].module.main(RECIPES[name].arguments(*made(name), tmp_path / "run", *options))
    assert re.search(message, str(error.value)) and "\n" not in str(error.value)
    left = [path.name for path in (tmp_path / "run").iterdir()] if (tmp_path / "run").exists() else []
    assert not {"model.safetensors", "checkpoints", "config.yaml"}.intersection(left)


@pytest.mark.parametrize("name", cases)
def test_the_command_line_says_one_line_and_exits_with_2(made, name, tmp_path):
    argv = RECIPES[name].arguments(*made(name), tmp_path / "run", "--datset", "y")
    done = interpreter.run([ROOT / f"recipes/{name}.py", *argv], {**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ") and "dataset" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", cases)
def test_a_run_is_neither_overwritten_unasked_nor_resumed_as_another(finished, made, name, tmp_path):
    (folder, _), recipe = finished(name), RECIPES[name]
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="--overwrite replaces it"):
        recipe.module.main(recipe.arguments(*made(name), folder))
    given = ["--attention", "talking_heads", *recipe.learns, "--lr", "1e-4", "--resume"]
    with pytest.raises(InputError, match=r"lr was 0.00\d and is 0.0001"):
        recipe.module.main(recipe.arguments(*made(name), folder, *given))
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**values, "recipe": "another"}))
    with pytest.raises(InputError, match="another"):
        recipe.module.main(["--config", str(tmp_path / "other.yaml")])
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", cases)
def test_a_run_is_pushed_and_comes_back(finished, name, made, tmp_path, monkeypatch, capsys):
    (folder, _), given = finished(name), RECIPES[name].given(made(name)[1])
    with HubServer({TOKEN: ("ada", "write")}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(sys, "argv", ["hf-attn", "push", str(folder), f"ada/{name}"])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        pushed = subprocess.CompletedProcess([], exit.value.code, *capsys.readouterr())
        assert (pushed.returncode, pushed.stdout.strip().splitlines()[-1]) == (0, f"{hub.url}/ada/{name}"), (
            pushed.stderr
        )
        program = f"import hf_attn, json; print(json.dumps(hf_attn.predict('ada/{name}', {given!r})))"
        reader = client_environment(hub, tmp_path / "empty", token=None)
        there = json.loads(interpreter.run(["-c", program], reader, check=True).stdout)
    assert there == hf_attn.predict(folder, given)
