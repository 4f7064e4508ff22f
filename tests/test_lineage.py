"""What a card names as the base: the model itself where that is known, else what it came from, else nothing."""

import json
import os
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from run_records import Config, made_up

from hf_attn.models import quickstart
from hf_attn.runs.card import with_model_id
from hf_attn.runs.folder import describe
from hf_attn.runs.lineage import Base, base_of


def folder(path, readme=None, adapter=None, **config):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    if readme is not None:
        (path / "README.md").write_text(readme)
    if adapter:
        (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": adapter}))
    return path


def card(path, model):
    record = made_up(path, config=Config(output_dir=str(path), model=str(model)))
    describe(path, record)
    return (path / "README.md").read_text()


def sentence(text):
    return next(line for line in text.splitlines() if "fine-tuned to give" in line).replace("\\", "")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased"),
        ("bert-base-uncased", "bert-base-uncased"),
        ("gpt2", "gpt2"),
        ("no/such/folder", None),
        ("./mine", None),
    ],
)
def test_an_id_of_the_hub_is_the_model_itself(source, expected):
    found = base_of(source)
    assert (found.hub_id, found.is_it) == (expected, expected is not None)


def test_the_quickstart_knows_its_model_wherever_its_files_lie(tmp_path):
    pytest.importorskip(quickstart.PACKAGE)
    place = quickstart.checkpoint()
    copy = folder(tmp_path / "model")
    os.link(place / "model.safetensors", copy / "model.safetensors") if os.stat(place).st_dev == os.stat(
        tmp_path
    ).st_dev else shutil.copy(place / "model.safetensors", copy)
    for model in (place, copy):
        text = card(tmp_path / f"of {model.name} {model == copy}", model)
        assert sentence(text).startswith("sentence-transformers/all-MiniLM-L6-v2, fine-tuned to give each text")
        assert ModelCard(text).data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
        assert "| model | sentence-transformers/all-MiniLM-L6-v2 |" in text.replace("\\", "")


def test_other_weights_of_that_size_are_not_its_model(tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "SIZE", 3)
    (folder(tmp_path / "model") / "model.safetensors").write_bytes(b"abc")
    assert base_of(tmp_path / "model") == Base("model", kind="bert")


CACHED = "hub/models--google-bert--bert-base-uncased/snapshots/" + "a1" * 20
STATED = "---\nbase_model: FacebookAI/roberta-base\n---\n# mine\n"
ORIGINS = {
    "config": ({"_name_or_path": "nreimers/MiniLM-L6-H384-uncased"}, "nreimers/MiniLM-L6-H384-uncased"),
    "an old id": ({"_name_or_path": "distilbert-base-uncased"}, "distilbert-base-uncased"),
    "cache": ({"_name_or_path": f"/home/ada/.cache/huggingface/{CACHED}/"}, "google-bert/bert-base-uncased"),
    "front matter": ({"readme": STATED, "_name_or_path": "ada/other"}, "FacebookAI/roberta-base"),
    "a list": ({"readme": "---\nbase_model:\n- ada/one\n- ada/two\n---\n"}, "ada/one"),
    "adapter": ({"adapter": "ada/whole", "_name_or_path": "ada/other"}, "ada/whole"),
    "nothing": ({}, None),
    "a path": ({"_name_or_path": "/home/ada/models/mine"}, None),
    "a short path": ({"_name_or_path": "output/checkpoint-500"}, None),
    "another": ({"_name_or_path": "my_runs/first"}, None),
    "a word": ({"_name_or_path": "model"}, None),
    "a number": ({"_name_or_path": 7}, None),
    "odd front matter": ({"readme": "---\nbase_model: !!python/name:os.system\n---\n"}, None),
    "no front matter": ({"readme": "base_model: ada/mine\n---\n"}, None),
    "markup": ({"_name_or_path": "<b>ada</b>/x"}, None),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_a_folder_is_named_with_what_its_files_say_that_it_came_from(tmp_path, name):
    files, expected = ORIGINS[name]
    text = card(tmp_path / "run", folder(tmp_path / "model", **files))
    assert ModelCard(text).data.base_model == expected
    came = f" that came from {expected}" if expected else ""
    assert sentence(text).startswith(f"model, a local bert model{came}, fine-tuned to give each text one of 2 classes")
    assert str(tmp_path) not in text and "/home/ada" not in text


def test_a_snapshot_of_the_hubs_cache_is_the_model_itself(tmp_path):
    model = folder(tmp_path / CACHED, _name_or_path="ada/older")
    assert base_of(model) == Base("google-bert/bert-base-uncased", "google-bert/bert-base-uncased", is_it=True)
    (tmp_path / "link").symlink_to(model)
    assert base_of(tmp_path / "link").is_it


def test_a_run_is_known_by_its_card_and_after_a_push_by_its_id(tmp_path):
    first = folder(tmp_path / "first")
    text = card(first, "google-bert/bert-base-uncased")
    second = card(tmp_path / "second", first)
    assert sentence(second).startswith("first, a local bert model that came from google-bert/bert-base-uncased, ")
    assert ModelCard(second).data.base_model == "google-bert/bert-base-uncased"
    (first / "README.md").write_text(with_model_id(text, "ada/cards"))
    assert base_of(first) == Base("ada/cards", "ada/cards", is_it=True)
    third = card(tmp_path / "third", tmp_path / "second")
    assert ModelCard(third).data.base_model == "google-bert/bert-base-uncased"


def test_a_model_id_in_the_card_of_another_program_says_nothing(tmp_path):
    model = folder(tmp_path / "m", readme='---\ntags: [adapter]\n---\n```python\nmodel_id = "ada/base"\n```\n')
    assert base_of(model).hub_id is None


def test_a_folder_given_as_the_place_where_one_is_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(folder(tmp_path / "mine"))
    assert base_of(".") == Base("mine", kind="bert") == base_of(Path("../mine/"))
