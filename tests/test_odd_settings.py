"""Settings that a configuration or tokenizer may hold: done without, or refused in one line that says where."""

import json
import logging

import pytest
from tiny_bert import TEXTS, save_tiny_bert

import hf_attn
from hf_attn.errors import InputError
from hf_attn.models import load_tokenizer


def change(folder, file, **values):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


@pytest.mark.parametrize("attention", [None, "entmax15"])
def test_a_model_that_answers_by_tuples_predicts_as_any_other(tmp_path, caplog, attention):
    caplog.set_level(logging.INFO, "hf_attn")
    folder = save_tiny_bert(tmp_path / "model", attention=attention)
    expected = hf_attn.predict(folder, TEXTS)
    assert hf_attn.predict(change(folder, "config.json", return_dict=False), TEXTS) == expected
    assert "return_dict: false of its configuration is dropped" in caplog.text
    model = hf_attn.load(folder, labels=("x", "y"))
    model.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved/config.json").read_text()).get("return_dict", True)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_dropout_prob": "much"},
        {"pad_token_id": 999_999},
        {"hidden_act": "nope"},
        {"to_dict": 3},
        {"hidden_size": 0},
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused_in_one_line(tmp_path, options):
    with pytest.raises(InputError) as caught:
        hf_attn.load(save_tiny_bert(tmp_path / "model"), labels=("x", "y"), config_options=options)
    assert "\n" not in str(caught.value) and "config_options" in str(caught.value) or "to_dict" in options


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"hidden_dropout_prob": "much"}, "hidden_dropout_prob"),
        ({"use_return_dict": False}, "use_return_dict"),
        ({"id2label": {"x": "a"}}, "invalid literal"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_not_blamed_on_the_tokenizer(tmp_path, values, reason):
    folder = change(save_tiny_bert(tmp_path / "model"), "config.json", **values)
    for load in (load_tokenizer, hf_attn.load):
        with pytest.raises(InputError, match="its config.json cannot be used: ") as caught:
            load(folder)
        assert reason in str(caught.value) and "\n" not in str(caught.value) and "tokenizer" not in str(caught.value)


@pytest.mark.parametrize("value", ["big", [512], {"tokens": 3}], ids=str)
def test_a_longest_input_that_is_no_number_is_refused(tmp_path, value):
    folder = change(save_tiny_bert(tmp_path / "model"), "tokenizer_config.json", model_max_length=value)
    with pytest.raises(InputError, match="model_max_length of its tokenizer is .*: expected a number"):
        load_tokenizer(folder)
