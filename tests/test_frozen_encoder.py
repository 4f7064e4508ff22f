"""An encoder that is frozen whole runs once over each text: the losses are the same; a trained one runs as ever."""

import json
import logging

import forked
import pytest
import torch
from safetensors.torch import load_file
from test_decoder_tokenizer import DECODER, save_words
from tiny_bert import save_tiny_bert

from hf_attn.recipes import translation
from hf_attn.training import frozen


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen_encoder")
    save_tiny_bert(folder / "bert")
    save_words(folder / "data", 100)
    (folder / "decoder.yaml").write_text(DECODER)
    return folder


@pytest.fixture
def passes(monkeypatch):
    """Of each batch that the encoder ran over: its size, whether it was one of training, whether there was dropout."""
    seen = []

    def watch(layer, _, outputs):
        seen.append((len(outputs), torch.is_grad_enabled(), layer.training))

    made = frozen.frozen_encoder

    def found(model):
        model.get_encoder().encoder.layer[0].register_forward_hook(watch)
        return made(model)

    monkeypatch.setattr(frozen, "frozen_encoder", found)
    return seen


def arguments(place, run, *more, freeze=r"^encoder\."):
    argv = ["--model", place / "bert", "--decoder", place / "decoder.yaml", "--dataset", place / "data"]
    argv += ["--output_dir", run, "--epochs", "3", "--lr", "1e-2", "--batch_size", "8", "--max_new_tokens", "4"]
    argv += ["--precision", "no", "--log_every", "1", *(["--freeze", freeze] if freeze else []), *more]
    return [str(word) for word in argv]


def train(place, run, *more, **options):
    translation.main(arguments(place, run, *more, **options))
    return logged(run)


def logged(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {name: [line[name] for line in lines if name in line] for name in ("loss", "validation/loss", "test/bleu")}


def test_the_losses_are_those_without_kept_states_and_of_no_dropout(place, passes, tmp_path, monkeypatch):
    kept = train(place, tmp_path / "kept")
    assert passes and not any(training for _, training, _ in passes)
    passes.clear()
    monkeypatch.setattr(frozen, "SHARE", 0.0)
    anew = train(place, tmp_path / "anew")
    assert sum(rows for rows, training, _ in passes if training) == 3 * 76 and not any(mode for *_, mode in passes)
    assert kept["loss"] == pytest.approx(anew["loss"], rel=1e-6)
    assert kept["validation/loss"] == pytest.approx(anew["validation/loss"], rel=1e-6)
    assert kept["test/bleu"] == anew["test/bleu"]


@pytest.mark.parametrize("freeze", [None, r"^encoder\.embeddings"])
def test_an_encoder_of_which_anything_is_trained_runs_as_ever(place, passes, tmp_path, freeze):
    train(place, tmp_path / "run", "--max_steps", "4", freeze=freeze)
    modes = [dropout for _, training, dropout in passes if training]
    assert modes and all(modes)


def test_states_are_kept_only_where_rows_are_read_again(place, passes, tmp_path):
    train(place, tmp_path / "run", "--max_steps", "4")
    assert sum(rows for rows, training, _ in passes if training) == 4 * 8


def test_states_that_take_too_much_memory_are_told_and_not_kept(place, passes, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(frozen, "SHARE", 0.0)
    with caplog.at_level(logging.INFO):
        train(place, tmp_path / "run")
    assert "runs in each epoch: its states would take 0.0 GB, more than 0.0 GB" in caplog.text
    assert any(training for _, training, _ in passes)
    caplog.clear()
    monkeypatch.undo()
    with caplog.at_level(logging.INFO):
        train(place, tmp_path / "again")
    assert "it runs once over each text, and its states are kept, 0 MB" in caplog.text


def test_a_run_that_stopped_ends_as_if_it_had_not(place, tmp_path):
    options = ["--schedule", "constant", "--warmup", "0", "--eval_every", "0.5"]
    for run, steps in (("whole", (30,)), ("parts", (15, 30))):
        for number, count in enumerate(steps):
            train(place, tmp_path / run, *options, "--max_steps", str(count), *["--resume"] * (number > 0))
    whole, parts = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_the_encoder_is_as_it_was_afterwards(place, tmp_path, monkeypatch):
    seen, found = [], frozen.frozen_encoder
    monkeypatch.setattr(frozen, "frozen_encoder", lambda model: seen.append(found(model)) or seen[-1])
    train(place, tmp_path / "run")
    assert "forward" not in vars(seen[0])


def test_two_processes_train_as_one(place, tmp_path):
    said = forked.run(translation.main, arguments(place, tmp_path / "two", "--batch_size", "4"), tmp_path / "said", 2)
    assert "its states are kept" in said
    one, two = train(place, tmp_path / "one"), logged(tmp_path / "two")
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-4) and len(one["loss"]) == 30
