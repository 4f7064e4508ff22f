"""What leaves the machine by a push: what a model needs, and nothing that happens to lie beside it."""

import json
from pathlib import Path

import pytest
from tiny_bert import save_tiny_bert

from hf_attn.errors import InputError
from hf_attn.runs import folder as run
from hf_attn.runs import hub

STRAY = (
    ".env credentials.json train.py secrets.py id_rsa LICENSE_KEY.txt notes.md data.csv .git/config wandb/run.json "
    "figures/screenshot.png figures/.env optimizer.pt embeddings.model checkpoints/00000010/optimizer.pt "
    "checkpoints/00000010/model.safetensors config.yaml run.json log.jsonl predictions.parquet .run.lock"
).split()


@pytest.fixture
def folder(tmp_path):
    return save_tiny_bert(tmp_path / "runs" / "cards")


def write(folder, name, text="secret"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_stray_files_are_not_pushed(folder):
    before = hub.files_to_push(folder)
    for name in STRAY:
        write(folder, name)
    assert hub.files_to_push(folder) == before
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(before)


def test_the_code_of_a_variant_is_pushed_and_other_code_is_not(folder):
    save_tiny_bert(folder, attention="cosine")
    code = {path.name for path in folder.glob("*.py")}
    for name in ("train.py", "settings.py"):
        write(folder, name)
    assert {name for name in hub.files_to_push(folder) if name.endswith(".py")} == code != set()


def test_figures_that_the_card_shows_are_pushed(folder):
    write(folder, "figures/mine.png")
    write(folder, "figures/curves.png")
    write(folder, "figures/other.png")
    write(folder, "README.md", "![mine](figures/mine.png)")
    figures = {name for name in hub.files_to_push(folder) if name.startswith("figures")}
    assert figures == {"figures/mine.png", "figures/curves.png"}


@pytest.mark.parametrize("name", ["README.md", "vocab.txt", "figures/curves.png", "LICENSE"])
def test_a_link_out_of_the_folder_is_refused(folder, tmp_path, name):
    write(tmp_path, "secret.txt")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match=f"nothing was pushed: {name} is a link out of the folder"):
        hub.files_to_push(folder)


SECRETS = {
    "token": "hf_" + "Z9" * 17,
    "token in use": "my-own-token",
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "AWS": "AKIA" + "A1" * 8,
    "GitHub": "ghp_" + "a1" * 18,
    "OpenAI": "sk-proj-" + "a1" * 20,
    "home": str(Path.home() / "photos"),
}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("name", ["README.md", "config.json", "tokenizer_config.json"])
def test_a_secret_or_a_path_of_this_machine_is_refused_and_not_repeated(folder, kind, name):
    content = json.loads((folder / name).read_text()) if name.endswith("json") else {}
    (folder / name).write_text(json.dumps({**content, "note": SECRETS[kind]}))
    with pytest.raises(InputError, match=f"nothing was pushed: {name}") as raised:
        hub.refuse_secrets(folder, hub.files_to_push(folder), "my-own-token")
    assert kind == "home" or SECRETS[kind] not in str(raised.value)


def test_a_model_that_was_saved_here_names_no_folder_of_this_machine(folder, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "again")
    texts = {path.name: path.read_text() for path in (tmp_path / "again").glob("*.json")}
    assert texts and not [name for name, text in texts.items() if str(tmp_path) in text]


@pytest.mark.parametrize("private", [True, False])
def test_a_recipe_pushes_privately_where_it_was_told_to(monkeypatch, tmp_path, private):
    """``--private`` of a recipe reaches the push."""
    import dataclasses
    from dataclasses import dataclass

    from accelerate import Accelerator
    from run_records import made_up

    from hf_attn.runs.options import HubOptions
    from hf_attn.training.config import TrainConfig

    @dataclass(kw_only=True)
    class Arguments(TrainConfig, HubOptions):
        model: str = "a/b"
        dataset: str = "c.csv"
        attention: str | None = None

    asked = []
    monkeypatch.setattr(hub, "push", lambda folder, name, **options: asked.append((name, options)) or "address")
    monkeypatch.setattr(run, "finish", lambda *arguments: tmp_path)
    record = made_up(tmp_path)
    arguments = Arguments(output_dir=str(tmp_path), push_to_hub="ada/cards", private=private)
    run.complete(None, None, dataclasses.replace(record, config=arguments), Accelerator(cpu=True))
    assert asked == [("ada/cards", {"private": private})]
