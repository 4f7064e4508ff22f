"""What transformers checks only at the save is dropped or refused right after loading and right after a swap."""

import json
import logging

import pytest
import tiny_models
import torch
from transformers import GPT2LMHeadModel
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.clip.modeling_clip import CLIPModel

import hf_attn
from hf_attn.attention import model_class_for, swap_attention


@pytest.fixture
def folder(tmp_path):
    model = tiny_models.tiny_model("bert", BertForSequenceClassification)
    model.save_pretrained(tmp_path / "stock")
    path = tmp_path / "stock" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"output_attentions": True}))
    return tmp_path / "stock"


LOADED = {
    "load": lambda folder: hf_attn.load(folder),
    "load with a variant": lambda folder: hf_attn.load(folder, attention="cosine"),
    "swapped": lambda folder: swap_attention(BertForSequenceClassification.from_pretrained(folder), "cosine"),
    "variant class": lambda folder: model_class_for(BertForSequenceClassification).from_pretrained(folder),
}


@pytest.mark.parametrize("how", LOADED)
def test_output_attentions_of_a_checkpoint_is_dropped_with_a_word_and_the_model_saves(folder, tmp_path, how, caplog):
    with caplog.at_level(logging.WARNING):
        model = LOADED[how](folder)
    assert "output_attentions: true" in caplog.text
    model.save_pretrained(tmp_path / "saved")
    assert not json.loads((tmp_path / "saved" / "config.json").read_text()).get("output_attentions")
    inputs = tiny_models.inputs_for(model)
    assert not model(**inputs).attentions
    if how != "load":
        assert len(model(**inputs, output_attentions=True).attentions) == 2


def test_the_setting_inside_a_part_is_dropped_too(tmp_path):
    model = tiny_models.tiny_model("clip", CLIPModel)
    model.config.text_config._output_attentions = True
    swapped = swap_attention(model, "cosine")
    assert not swapped.config.text_config.output_attentions
    swapped.save_pretrained(tmp_path)


def test_what_could_not_be_saved_is_refused_at_the_swap_in_one_line():
    model = GPT2LMHeadModel(tiny_models.tiny_config("gpt2"))
    model.generation_config.temperature = 0.5
    model.config.max_length = 20
    model.config.extra = torch.zeros(1)
    words = "could not be saved: max_length belong into .*; config: .*; generation_config"
    with pytest.raises(ValueError, match=words) as error:
        swap_attention(model, "cosine")
    assert "\n" not in str(error.value)
