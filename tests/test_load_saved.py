"""``hf_attn.load(folder)`` gives the model that was saved; where a task asks for another, a line says so."""

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from test_auto_classes import stock
from transformers import DeiTForImageClassificationWithTeacher, GPT2DoubleHeadsModel

import hf_attn
from hf_attn.errors import InputError

SAVED = {
    "gpt2": "AutoModelForCausalLM",
    "distilbert": "AutoModelForMaskedLM",
    "roberta": "AutoModelForQuestionAnswering",
    "t5": "AutoModelForSeq2SeqLM",
    "hubert": "AutoModelForCTC",
    "yolos": "AutoModelForObjectDetection",
    "bert": "AutoModel",
    "vit": "AutoModelForImageClassification",
}


def said(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if "was saved as" in r.getMessage() and r.levelname == "WARNING"]


@pytest.mark.parametrize("variant", [None, "talking_heads"])
@pytest.mark.parametrize("model_type", SAVED)
def test_without_a_task_it_is_the_very_model_that_was_saved(model_type, variant, tmp_path, caplog):
    model = stock(model_type, SAVED[model_type])
    if variant:
        model = hf_attn.swap_attention(model, variant)
        tiny_models.perturb(model)
    inputs = tiny_models.inputs_for(model)
    model.save_pretrained(tmp_path)
    again = hf_attn.load(tmp_path)
    assert type(again) is type(model)
    assert all(map(torch.equal, tiny_models.outputs_of(again, inputs), tiny_models.outputs_of(model, inputs)))
    assert not said(caplog)


@pytest.mark.parametrize("cls", [GPT2DoubleHeadsModel, DeiTForImageClassificationWithTeacher])
def test_a_class_that_no_auto_class_gives_by_itself_comes_back(cls, tmp_path):
    model = tiny_models.tiny_model(cls.config_class.model_type, cls)
    swapped = hf_attn.swap_attention(model, "gated")
    for name, one in (("stock", model), ("ours", swapped)):
        one.save_pretrained(tmp_path / name)
        assert type(hf_attn.load(tmp_path / name)) is type(one)
    assert type(hf_attn.load(tmp_path / "stock", attention="gated")) is type(swapped)


def test_a_teachers_second_head_is_kept_where_labels_are_given(tmp_path):
    model = tiny_models.tiny_model("deit", DeiTForImageClassificationWithTeacher)
    model.save_pretrained(tmp_path)
    for options in ({"task": "image-classification"}, {"labels": 2}, {"labels": 2, "task": "image-classification"}):
        again = hf_attn.load(tmp_path, **options)
        assert type(again) is type(model)
        assert torch.equal(again.distillation_classifier.weight, model.distillation_classifier.weight)


@pytest.mark.parametrize("variant", [None, "cosine"])
def test_a_task_that_differs_from_what_was_saved_is_said(variant, tmp_path, caplog):
    model = stock("gpt2", "AutoModelForCausalLM")
    (hf_attn.swap_attention(model, variant) if variant else model).save_pretrained(tmp_path)
    prefix = "HfAttn" if variant else ""
    found = hf_attn.load(tmp_path, task="text-classification")
    assert type(found).__name__ == f"{prefix}GPT2ForSequenceClassification"
    assert said(caplog) == [
        f"{tmp_path} was saved as {prefix}GPT2LMHeadModel and is loaded as {prefix}GPT2ForSequenceClassification for "
        "text-classification: its head is left out, and a new one is made"
    ]
    caplog.clear()
    assert type(hf_attn.load(tmp_path, labels=["a", "b"])) is type(found)
    assert not said(caplog)  # a head for new labels is what was asked for
    with pytest.raises(InputError, match="no image-classification head for .*; it has one for task='text-class"):
        hf_attn.load(tmp_path, task="image-classification")
    with pytest.raises(InputError, match="no fill-mask head for .*gpt2'; it .* by --objective causal"):
        hf_attn.load(tmp_path, task="fill-mask")


@pytest.mark.parametrize(("model_type", "task"), [("vit", "image"), ("bert", "text"), ("electra", "text")])
def test_labels_without_a_task_choose_the_classification_of_the_architecture(model_type, task, tmp_path):
    stock(model_type, "AutoModel").save_pretrained(tmp_path)
    found = hf_attn.load(tmp_path, labels=["a", "b", "c"])
    assert type(found) is type(hf_attn.load(tmp_path, labels=3, task=f"{task}-classification"))
    assert found.config.num_labels == 3


def test_a_task_that_load_makes_no_head_for_says_how_to_have_the_saved_one(tmp_path):
    stock("gpt2", "AutoModelForCausalLM").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="task 'text-to-speech': expected .*, or none for the model as it was saved"):
        hf_attn.load(tmp_path, task="text-to-speech")


def test_a_folder_that_names_no_class_asks_for_the_task(tmp_path):
    model = stock("bert", "AutoModel")
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"BertModel"', '"SomethingModel"'))
    with pytest.raises(InputError, match="names its model class as SomethingModel, not one known here: give a task"):
        hf_attn.load(tmp_path)
    assert type(hf_attn.load(tmp_path, task="feature-extraction")) is type(model)


@pytest.mark.parametrize("kind", ["SEQ_CLS", None])
def test_an_adapter_of_a_classifier_on_an_encoder_is_a_classifier(kind, tmp_path):
    stock("bert", "AutoModel").save_pretrained(tmp_path / "base")
    model = hf_attn.load(tmp_path / "base", labels=3)
    config = LoraConfig(target_modules=["query"], modules_to_save=["classifier"], task_type=kind)
    get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    again = hf_attn.load(tmp_path / "adapter")
    assert type(again) is type(model) and torch.equal(again.classifier.weight, model.classifier.weight)
