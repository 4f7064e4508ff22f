"""Loading models for a task, and choosing what of them is trained."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_bert import save_tiny_bert
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification, BertModel

from hf_attn import models
from hf_attn.attention import attention_layers
from hf_attn.errors import InputError
from hf_attn.models.compact_embedding import CompactEmbedding, compact_embedding
from hf_attn.models.quickstart import checkpoint
from hf_attn.models.trainable import train_mode
from hf_attn.tasks.targets.labels import OneClass

NAMES = OneClass(("no", "maybe", "yes"))
TINY = BertConfig(
    vocab_size=60,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=37,
    max_position_embeddings=32,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    BertModel(TINY).save_pretrained(path)
    return path


@pytest.fixture
def broken(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    return copy


def test_options_change_the_configuration_before_the_model_is_made(tmp_path):
    source = save_tiny_bert(tmp_path / "source")
    model = models.load(source, config_options={"hidden_dropout_prob": 0.37})
    assert model.bert.encoder.layer[0].output.dropout.p == 0.37 and model.config.hidden_dropout_prob == 0.37
    with pytest.raises(InputError, match="has no 'hidden_dropout'; did you mean 'hidden_dropout_prob'"):
        models.load(source, config_options={"hidden_dropout": 0.37})


def test_frozen_batch_normalisation_keeps_its_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    for parameter in model[1].parameters():
        parameter.requires_grad_(False)
    model.eval()
    train_mode(model)
    before = [module.running_mean.clone() for module in (model[1], model[3])]
    model(torch.randn(5, 3, 6, 6))
    assert torch.equal(model[1].running_mean, before[0]) and not torch.equal(model[3].running_mean, before[1])


def test_labels_become_the_configuration_of_the_head(folder):
    model = models.load(folder, labels=NAMES)
    assert model.config.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert model.config.problem_type == "single_label_classification"
    assert model.classifier.out_features == 3


def test_only_the_head_and_the_slots_are_reported_as_new(folder, caplog):
    with caplog.at_level("INFO", logger="hf_attn"):
        models.load(folder, labels=["a", "b"], attention="gated")
    line = next(record.getMessage() for record in caplog.records if "new parameters" in record.getMessage())
    assert line == "new parameters: classifier.bias, classifier.weight, 6 of the attention variant"


def test_a_head_of_another_size_is_made_anew_and_the_encoder_kept(folder, tmp_path):
    models.load(folder, labels=["a", "b"]).save_pretrained(tmp_path)
    model = models.load(tmp_path, labels=["a", "b", "c"])
    assert model.classifier.out_features == 3
    stock = BertModel.from_pretrained(folder)
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, stock.embeddings.word_embeddings.weight)


def test_real_minilm_with_a_variant_has_the_pretrained_encoder():
    torch.manual_seed(0)
    model = models.load(checkpoint(), labels=["a", "b"], attention="cosine", include=r"layer\.[01]\.").eval()
    stock = BertModel.from_pretrained(checkpoint()).eval()
    inputs = torch.tensor([[101, 2026, 4003, 2001, 7351, 102]])
    with torch.no_grad():
        difference = model.bert(inputs).last_hidden_state - stock(inputs).last_hidden_state
    assert difference.abs().max() <= 1e-5
    slots = [name for name, layer in attention_layers(model).items() if hasattr(layer, "hf_attn")]
    assert slots == ["bert.encoder.layer.0.attention.self", "bert.encoder.layer.1.attention.self"]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"attention": "entmax"}, "unknown attention variant 'entmax': expected one of dot_product"),
        ({"attention": "local", "attention_kwargs": {"windw": 3}}, "'local' has no option windw: it takes window=32"),
        ({"attention": "cosine", "include": "encoder.block"}, "matches none of the 3 attention layers"),
        ({"attention": "cosine", "include": "layer.("}, "is no regular expression"),
        (
            {"attention": "additive", "attention_kwargs": {"init": "zero"}},
            "init='zero': expected one of identity, paper",
        ),
        ({"task": "text-to-speech"}, "task 'text-to-speech': expected one of text-classification"),
        ({"task": "image-classification"}, "transformers has no image-classification head for 'bert'"),
        ({"task": "translation"}, "no translation head for 'bert'; an encoder writes with a decoder: --decoder"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(folder, kwargs, message):
    with pytest.raises(InputError) as error:
        models.load(folder, labels=NAMES, **kwargs)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_architecture_that_does_not_dispatch_is_refused_by_name(tmp_path):
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=37
    )
    DebertaV2ForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="DebertaV2ForSequenceClassification cannot take an attention variant"):
        models.load(tmp_path, labels=NAMES, attention="cosine")


def test_a_config_without_the_shapes_of_its_weights_is_refused(broken):
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    with pytest.raises(InputError, match="do not fit config.json"):
        models.load(broken, labels=NAMES)


def test_weights_of_another_architecture_are_refused(broken):
    save_file({"something.weight": torch.ones(2, 2)}, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="this is no checkpoint of BertForSequenceClassification"):
        models.load(broken, labels=NAMES)


def test_a_model_that_is_nowhere_says_what_can_be_done_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="offline, give a folder"):
        models.load("nobody/nothing-of-this-name")


def test_a_missing_tokenizer_is_said(folder):
    with pytest.raises(InputError, match="the tokenizer is missing"):
        models.load_tokenizer(folder)


@pytest.mark.parametrize(
    ("what", "trained"),
    [
        ("encoder", {"classifier.weight", "classifier.bias"}),
        (r"encoder\.layer|embeddings|pooler", {"classifier.weight", "classifier.bias"}),
    ],
)
def test_freezing_leaves_the_rest_trained(folder, what, trained):
    model = models.load(folder, labels=NAMES)
    frozen = models.freeze(model, what)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    assert frozen == sum(p.numel() for p in model.parameters() if not p.requires_grad)


def test_freezing_the_embeddings_freezes_nothing_else(folder):
    model = models.load(folder, labels=NAMES)
    models.freeze(model, "embeddings")
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all(name.startswith("bert.embeddings.") for name in frozen)


@pytest.mark.parametrize(
    ("what", "message"),
    [("layr", "matches no parameter"), (".", "nothing would be trained"), ("(", "is no regular expression")],
)
def test_freezing_nothing_or_everything_is_refused(folder, what, message):
    with pytest.raises(InputError, match=message):
        models.freeze(models.load(folder, labels=NAMES), what)


def test_lora_trains_adapters_head_and_variant_and_merges_to_the_same_logits(folder):
    torch.manual_seed(0)
    model = models.add_lora(models.load(folder, labels=NAMES, attention="gated"), models.Lora(rank=2))
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert {"lora_", "classifier", ".hf_attn."} == {
        part for part in ("lora_", "classifier", ".hf_attn.") if any(part in name for name in trained)
    }
    assert all(any(part in name for part in ("lora_", "classifier", ".hf_attn.")) for name in trained)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    inputs = torch.randint(1, 60, (2, 7))
    model.eval()
    with torch.no_grad():
        adapted = model(input_ids=inputs).logits
        merged = models.merge_lora(model)
        assert type(merged).__name__ == "HfAttnBertForSequenceClassification"
        torch.testing.assert_close(merged.eval()(inputs).logits, adapted, atol=1e-6, rtol=0)
    assert not any("lora" in key or "modules_to_save" in key for key in merged.state_dict())


def test_lora_on_layers_that_do_not_exist_is_refused(folder):
    with pytest.raises(InputError, match="LoRA targets q_proj are no linear layers of BertForSequenceClassification"):
        models.add_lora(models.load(folder, labels=NAMES), models.Lora(targets=["q_proj"]))


def train_steps(model, batches):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    for inputs in batches:
        model(input_ids=inputs).logits.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_compact_embedding_trains_what_the_whole_embedding_would(folder):
    used = [0, 3, 4, 5, 9, 17]
    batches = [torch.tensor(used)[torch.randint(6, (3, 8))] for _ in range(5)]
    whole = models.load(folder, labels=NAMES).double().eval()
    state = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    compact = BertForSequenceClassification(whole.config).double().eval()
    compact.load_state_dict(state)
    train_steps(whole, batches)
    with compact_embedding(compact, used):
        assert isinstance(compact.get_input_embeddings(), CompactEmbedding)
        train_steps(compact, batches)
        unseen = torch.tensor([[1, 2, 3, 50]])
        with torch.no_grad():
            torch.testing.assert_close(compact(unseen).logits, whole(unseen).logits, atol=1e-5, rtol=0)
    assert type(compact.get_input_embeddings()) is torch.nn.Embedding
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(compact.state_dict()[name], tensor, atol=1e-5, rtol=0, msg=name)
    rest = [row for row in range(60) if row not in used]
    key = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(compact.state_dict()[key][rest], state[key][rest])


def test_compact_embedding_leaves_frozen_and_shared_embeddings_alone(folder):
    from transformers import BertForMaskedLM

    frozen = models.load(folder, labels=NAMES)
    models.freeze(frozen, "embeddings")
    for model in (frozen, BertForMaskedLM(TINY)):
        embedding = model.get_input_embeddings()
        with compact_embedding(model, [1, 2, 3]):
            assert model.get_input_embeddings() is embedding


def test_saved_files_are_those_of_a_plain_model(folder, tmp_path):
    model = models.load(folder, labels=NAMES)
    with compact_embedding(model, [1, 2, 3]):
        pass
    model.save_pretrained(tmp_path)
    stock = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    assert set(load_file(tmp_path / "model.safetensors")) == set(stock.state_dict())
