"""A folder of an adapter is loaded on its base, or refused in words that are true."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, TaskType, get_peft_model
from tiny_bert import TEXTS, save_tiny_bert
from tiny_tokenizers import save_tiny
from tiny_vit import save_tiny_vit
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification, AutoTokenizer

import hf_attn
from hf_attn import models
from hf_attn.errors import InputError
from hf_attn.models.adapter_files import is_adapter
from hf_attn.models.checkpoint_files import check_model_folder

LORA = {"r": 4, "target_modules": ["query", "value"], "task_type": TaskType.SEQ_CLS}


def save_adapter(model, folder, **options):
    """Random low-rank weights, saved as PEFT does."""
    adapted = get_peft_model(model, LoraConfig(**{**LORA, **options}))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    adapted.eval().save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path):
    return save_tiny_bert(tmp_path / "base")


@pytest.fixture
def adapter(base, tmp_path):
    return save_adapter(models.load(base, labels=["x", "y"]), tmp_path / "adapter")


def by_peft(base, adapter, labels=2):
    """Probabilities by PEFT alone."""
    stock = AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels, ignore_mismatched_sizes=True)
    model, tokenizer = PeftModel.from_pretrained(stock, adapter).eval(), AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        return torch.stack([model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0] for text in TEXTS])


def test_an_adapter_predicts_what_peft_predicts(base, adapter):
    found = [[row["probabilities"][f"LABEL_{i}"] for i in range(2)] for row in hf_attn.predict(adapter, TEXTS)]
    torch.testing.assert_close(torch.tensor(found), by_peft(base, adapter), atol=1e-6, rtol=0)


def test_its_head_takes_the_names_of_as_many_labels_and_is_new_for_others(base, adapter):
    named = hf_attn.load(adapter, labels=["no", "yes"])
    assert named.config.id2label == {0: "no", 1: "yes"}
    found = hf_attn.predict(named.eval(), TEXTS)
    assert [row["probabilities"]["yes"] for row in found] == pytest.approx(
        by_peft(base, adapter)[:, 1].tolist(), abs=1e-6
    )
    other = hf_attn.load(adapter, labels=["a", "b", "c", "d"])
    assert other.classifier.weight.shape == (4, 32)
    assert torch.equal(other.bert.encoder.layer[0].attention.self.query.weight, query(named))


def query(model):
    return model.bert.encoder.layer[0].attention.self.query.weight


def test_an_adapter_of_a_variant_is_the_variant_and_another_can_be_asked_for(tmp_path):
    variant = save_tiny_bert(tmp_path / "cosine", attention="cosine")
    folder = save_adapter(hf_attn.load(variant), tmp_path / "adapter")
    assert hf_attn.load(folder).config.attn_variant == "cosine"
    assert hf_attn.load(folder, attention="entmax15").config.attn_variant == "entmax15"


def test_tokens_that_were_added_come_with_their_rows(tmp_path):
    base = save_tiny(tmp_path / "base", "bert")
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["aspirin"])
    model.resize_token_embeddings(len(tokenizer))
    folder = save_adapter(model, tmp_path / "adapter")
    tokenizer.save_pretrained(folder)
    loaded = hf_attn.load(folder)
    assert torch.equal(loaded.get_input_embeddings().weight, model.get_input_embeddings().weight)
    assert len(hf_attn.predict(folder, ["aspirin"])) == 1


def test_an_adapter_of_an_image_model_has_its_bases_processor(tmp_path):
    import numpy as np

    base = save_tiny_vit(tmp_path / "base")
    stock = AutoModelForImageClassification.from_pretrained(base)
    folder = save_adapter(
        stock, tmp_path / "adapter", target_modules=["q_proj", "v_proj"], task_type=None, modules_to_save=["classifier"]
    )
    (row,) = hf_attn.predict(folder, [np.zeros((32, 32, 3), np.uint8)])
    assert len(row["probabilities"]) == stock.config.num_labels


def edit(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, b: edit(f, base_model_name_or_path=None), "names no base"),
        (lambda f, b: edit(f, base_model_name_or_path="/nowhere/base"), "'/nowhere/base' does not exist"),
        (lambda f, b: edit(f, base_model_name_or_path=str(f)), "is an adapter too"),
        (lambda f, b: (b / "model.safetensors").unlink(), "it has no weights"),
        (lambda f, b: (f / "adapter_config.json").write_text("{"), "adapter_config.json is not readable JSON"),
        (
            lambda f, b: (f / "adapter_model.safetensors").write_bytes(b"12345678"),
            "adapter_model.safetensors is damaged",
        ),
        (lambda f, b: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"), "only a pickle"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(base, adapter, change, message):
    change(adapter, base)
    for use in (check_model_folder, hf_attn.load, lambda folder: hf_attn.predict(folder, TEXTS)):
        with pytest.raises(InputError, match=message) as caught:
            use(adapter)
        assert "\n" not in str(caught.value)


def test_an_adapter_of_another_model_is_refused(base, adapter, tmp_path):
    edit(adapter, base_model_name_or_path=str(save_tiny(tmp_path / "gpt2", "gpt2")))
    with pytest.raises(InputError, match="cannot be put on .*gpt2"):
        hf_attn.load(adapter)


@pytest.mark.parametrize("layers", [1, 3])
def test_an_adapter_of_a_model_with_other_layers_is_refused(base, adapter, tmp_path, layers):
    edit(adapter, base_model_name_or_path=str(save_tiny(tmp_path / "other", "bert", num_hidden_layers=layers)))
    with pytest.raises(InputError, match="is of another model than .*layer.[12].*only in one of them"):
        hf_attn.load(adapter)


def test_an_adapter_that_cannot_be_merged_is_refused(base, tmp_path):
    config = PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=2)
    get_peft_model(models.load(base), config).save_pretrained(tmp_path / "prompt")
    with pytest.raises(InputError, match="cannot be put on"):
        hf_attn.load(tmp_path / "prompt")


def test_an_adapter_without_a_head_on_a_base_without_one_is_no_classifier(base, tmp_path):
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(base)
    encoder.save_pretrained(tmp_path / "encoder")
    encoder = AutoModel.from_pretrained(tmp_path / "encoder")
    folder = save_adapter(encoder, tmp_path / "adapter", task_type=TaskType.FEATURE_EXTRACTION)
    assert is_adapter(folder)
    with pytest.raises(InputError, match="has no trained classification head"):
        hf_attn.predict(folder, TEXTS)


def test_the_configuration_of_an_adapter_is_not_taken_for_a_models(adapter):
    with pytest.raises(InputError, match="is an adapter of PEFT: download it"):
        models.load_config(str(adapter))
