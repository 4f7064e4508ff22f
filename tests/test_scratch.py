"""New models from a file of sizes, and their tokenizers: made the same each time, wrong files in one line."""

import logging
from pathlib import Path

import pytest
import torch
from tiny_bert import save_tiny_bert
from tiny_translators import FAMILIES, pairs
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from hf_attn.errors import InputError
from hf_attn.models.new_tokenizer import train_tokenizer
from hf_attn.models.scratch import new_checkpoint, read_architecture, tell_small_weights
from hf_attn.models.source import ScratchOptions, source_of

TEXTS = [text for pair in pairs(100) for text in pair]
CONFIGS = Path(__file__).parents[1] / "recipes/configs"
SIZES = "d_model: 16\nvocab_size: 300\n"


def file(folder, text):
    path = folder / "model.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["Ein Hund läuft.", "日本語 ☂", "a </s> b", "tab\tand  two blanks", "<s><pad>"])
def test_what_is_decoded_is_what_was_encoded_in_any_script(text):
    from hf_attn.tasks.inputs.text.encoding import encode

    tokenizer = train_tokenizer(TEXTS, 330)
    ids = encode(tokenizer, [text])["input_ids"][0]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    assert ids[-1] == tokenizer.eos_token_id and tokenizer.unk_token_id not in ids


def test_the_order_of_texts_changes_no_token():
    one, two = train_tokenizer(TEXTS, 330), train_tokenizer(TEXTS[::-1], 330)
    assert one.backend_tokenizer.to_str() == two.backend_tokenizer.to_str() and len(one) <= 330


def test_no_room_for_the_bytes_is_refused():
    with pytest.raises(InputError, match="vocab_size is 200: the bytes and special tokens alone are 261"):
        train_tokenizer(TEXTS, 200)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_new_model_is_the_same_each_time_and_loads_with_its_tokenizer(kind, tmp_path):
    sizes = (
        "num_layers: 1\nd_kv: 4\nnum_heads: 2\nd_ff: 8\n" if kind == "t5" else "encoder_layers: 1\ndecoder_layers: 1\n"
    )
    given = file(tmp_path, f"model_type: {kind}\n{SIZES}{sizes}")
    found = []
    for seed in (1, 1, 2):
        with new_checkpoint(given, "AutoModelForSeq2SeqLM", TEXTS, seed) as folder:
            model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert not folder.exists()
        assert model.config.vocab_size == len(tokenizer) and model.config.pad_token_id == tokenizer.pad_token_id
        assert model.generation_config.eos_token_id == tokenizer.eos_token_id
        found.append(model.get_input_embeddings().weight)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        (
            "model_type: mbart\nd_model: 128\n",
            "weights are drawn with init_std 0.02, made for wide models; one of width",
        ),
        ("model_type: bert\nhidden_size: 64\n", "learns faster from initializer_range: 0.125"),
        ("model_type: mbart\nd_model: 128\ninit_std: 0.088\n", ""),
        ("model_type: mbart\nd_model: 1024\n", ""),
        ("model_type: t5\nd_model: 64\n", ""),
    ],
)
def test_weights_too_small_for_the_width_are_told(tmp_path, caplog, sizes, told):
    with caplog.at_level(logging.INFO):
        tell_small_weights(read_architecture(file(tmp_path, sizes))[0], "model.yaml")
    assert (told in caplog.text) and bool(told) == bool(caplog.text)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*_model.yaml")), ids=lambda path: path.stem)
def test_the_models_of_our_configurations_draw_weights_for_their_width(path, caplog):
    with caplog.at_level(logging.INFO):
        tell_small_weights(read_architecture(path)[0], path)
    assert not caplog.text


def test_making_a_model_leaves_the_random_state(tmp_path):
    before = torch.get_rng_state()
    with new_checkpoint(file(tmp_path, f"model_type: mbart\n{SIZES}"), "AutoModelForSeq2SeqLM", TEXTS, 1):
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d_model: 16", "expected lines such as 'model_type: mbart'"),
        ("- 1\n- 2", "expected lines such as"),
        ("model_type: mbert", "no model_type 'mbert'; did you mean 'm?bart|no model_type 'mbert'"),
        ("model_type: mbart\nd_modl: 16", "has no 'd_modl'; did you mean 'd_model'"),
        ("model_type: mbart\nvocab_size: many", "vocab_size is 'many', expected a number of tokens"),
        ("model_type: mbart\nvocab_size: -4", "vocab_size is -4, expected"),
        ("model_type: mbart\nd_model: wide", "model.yaml"),
        ("model_type: [", "cannot be read"),
    ],
)
def test_a_file_that_names_no_model_is_one_line(text, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        read_architecture(file(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_an_architecture_of_another_task_are_one_line(tmp_path):
    with pytest.raises(InputError, match="none.yaml cannot be read: No such file"):
        read_architecture(tmp_path / "none.yaml")
    with (
        pytest.raises(InputError, match="bert has no Seq2SeqLM model"),
        new_checkpoint(file(tmp_path, "model_type: bert"), "AutoModelForSeq2SeqLM", TEXTS),
    ):
        pass


def test_heads_that_do_not_divide_are_told(tmp_path):
    given = file(tmp_path, f"model_type: mbart\n{SIZES}encoder_attention_heads: 3\n")
    with (
        pytest.raises(InputError, match="no model can be made of it"),
        new_checkpoint(given, "AutoModelForSeq2SeqLM", TEXTS),
    ):
        pass


def test_one_of_model_and_new_model_is_needed():
    assert ScratchOptions(model="x").problems() == []
    assert "neither is given" in ScratchOptions().problems()[0]
    assert "both are given" in ScratchOptions(model="x", from_scratch="y").problems()[0]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["My card.", "no"], "1 of the first 2 targets cannot be written as they are: the tokenizer makes 'm' of 'M'"),
        (["my 🦜 card"], "the tokenizer makes 'c' of '🦜'"),
        (["my card , please"], ""),
        (["Card " + "my " * 60], ""),
    ],
)
def test_targets_that_a_tokenizer_cannot_give_back_are_told(tmp_path, caplog, texts, told):
    from hf_attn.tasks.inputs.text.parallel import tell_unwritable

    tokenizer = AutoTokenizer.from_pretrained(save_tiny_bert(tmp_path / "bert"))
    ids = tokenizer(texts, truncation=True, max_length=40)["input_ids"]
    tell_unwritable(texts, ids, tokenizer, 40)
    assert bool(told) == bool(caplog.text) and told in caplog.text
    assert ("--bleu_lowercase" in caplog.text) == texts[0].startswith("My")


def test_options_of_the_configuration_are_over_what_the_file_says(tmp_path):
    from types import SimpleNamespace

    given = file(tmp_path, f"model_type: mbart\n{SIZES}encoder_layers: 1\ndecoder_layers: 1\n")
    changes = {"encoder_layers": 3, "dropout": 0.3}
    args = SimpleNamespace(from_scratch=given, config_options=changes, seed=0, model=None, decoder=None)
    with source_of(args, "AutoModelForSeq2SeqLM", TEXTS) as made:
        config = AutoModelForSeq2SeqLM.from_pretrained(made.model).config
    assert (config.encoder_layers, config.decoder_layers, config.dropout) == (3, 1, 0.3)
    with pytest.raises(InputError, match=r"model.yaml: .*encoder_layer.*did you mean"):
        read_architecture(given, changes={"encoder_layer": 3})
