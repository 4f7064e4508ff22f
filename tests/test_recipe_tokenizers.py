"""The recipe with tokenizers and models as they are published: what it scored is what predict gives afterwards."""

import json

import numpy as np
import pyarrow.parquet
import pytest
from safetensors.torch import load_file
from tiny_tokenizers import byte_bpe, save_tiny, unigram, wordpiece

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import text_classification

TEXTS = ["my card was swallowed", "a </s> b [SEP] </s>", "i want <|endoftext|> to pay", "the machine " * 60, "</s>"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = [{"text": f"{TEXTS[i % 5]} it {i % 3}", "second": TEXTS[-i % 5], "label": "abc"[i % 3]} for i in range(30)]
    for split, part in (("train", rows), ("validation", rows[:7]), ("test", rows[3:14])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder, rows[3:14]


def train(model, data, output, *more):
    argv = ["--model", str(model), "--dataset", str(data), "--output_dir", str(output), "--precision", "no"]
    text_classification.main([*argv, "--max_steps", "2", "--batch_size", "5", *more])
    return output


def added_words():
    tokenizer = wordpiece()
    tokenizer.add_tokens(["swallowed", "aspirin"])
    return tokenizer


@pytest.mark.parametrize(
    ("model_type", "options", "more"),
    [
        ("bert", {}, ("--max_length", "null")),
        ("bert", {"tokenizer": added_words(), "vocab_size": len(wordpiece())}, ("--lora", "2")),
        ("roberta", {}, ("--text_pair", "second")),
        ("gpt2", {}, ()),
        ("gpt2", {}, ("--attention", "entmax15", "--max_length", "9")),
        ("llama", {}, ("--max_length", "null")),
        ("t5", {}, ("--max_length", "null")),
        ("bart", {}, ("--text_pair", "second")),
        ("xlnet", {}, ("--text_pair", "second")),
    ],
)
def test_what_the_recipe_scored_is_what_predict_gives(data, tmp_path, model_type, options, more):
    folder, test = data
    run = train(save_tiny(tmp_path / "model", model_type, **options), folder, tmp_path / "run", *more)
    scored = pyarrow.parquet.read_table(run / "predictions.parquet").to_pylist()
    pairs = [row["second"] for row in test] if "--text_pair" in more else None
    for batch_size in (1, 4):
        found = hf_attn.predict(run, [row["text"] for row in test], text_pair=pairs, batch_size=batch_size)
        for row, prediction in zip(scored, found, strict=True):
            ours = [prediction["probabilities"][name] for name in "abc"]
            np.testing.assert_allclose(ours, row["probabilities"], atol=2e-5)


@pytest.mark.parametrize(
    ("options", "more", "message"),
    [
        ({"vocab_size": 50}, (), "the tokenizer has .* tokens and the model 50: it is the tokenizer of another model"),
        ({}, ("--max_length", "2"), "max_length 2: 2 special tokens leave no room for text"),
    ],
)
def test_what_cannot_agree_is_refused_before_training(data, tmp_path, options, more, message):
    model = save_tiny(tmp_path / "model", "bert", **options)
    with pytest.raises(InputError, match=message) as caught:
        train(model, data[0], tmp_path / "run", *more)
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / "log.jsonl").exists()


UNWATCHED = {
    "gemma2": {"tokenizer": byte_bpe(), "head_dim": 8, "query_pre_attn_scalar": 8},
    "bigbird_pegasus": {
        "tokenizer": unigram(),
        "pad_token_id": 0,
        "eos_token_id": 1,
        "attention_type": "original_full",
    },
}


@pytest.mark.parametrize("model_type", UNWATCHED)
def test_a_model_whose_attention_cannot_be_seen_is_trained_and_saved_all_the_same(data, tmp_path, model_type, caplog):
    model = save_tiny(tmp_path / "model", model_type, **UNWATCHED[model_type])
    run = train(model, data[0], tmp_path / "run")
    assert "no picture of where the model attends: " in caplog.text and "cannot be watched" in caplog.text
    assert not (run / "figures/attention.png").exists() and (run / "figures/confusion.png").exists()
    scored = pyarrow.parquet.read_table(run / "predictions.parquet").to_pylist()
    for row, prediction in zip(scored, hf_attn.predict(run, [row["text"] for row in data[1]]), strict=True):
        ours = [prediction["probabilities"][name] for name in "abc"]
        np.testing.assert_allclose(ours, row["probabilities"], atol=2e-5)


@pytest.mark.parametrize(
    ("model_type", "ids"),
    [
        ("gpt2", {"bos_token_id": 50256, "eos_token_id": 50256}),
        ("llama", {"bos_token_id": 128000, "eos_token_id": 128001}),
    ],
)
def test_token_ids_of_a_configuration_that_have_no_row_harm_nothing(data, tmp_path, model_type, ids):
    run = train(save_tiny(tmp_path / "model", model_type, **ids), data[0], tmp_path / "run")
    plain = train(save_tiny(tmp_path / "plain", model_type), data[0], tmp_path / "other")
    weights, expected = (load_file(folder / "model.safetensors") for folder in (run, plain))
    assert weights.keys() == expected.keys() and all(weights[name].equal(expected[name]) for name in weights)
