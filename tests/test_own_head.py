"""A checkpoint's own head: its rows follow the names of its classes, and a line says which are kept."""

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from tiny_bert import save_tiny_bert
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DeiTForImageClassificationWithTeacher,
)

import hf_attn
from hf_attn import models
from hf_attn.attention.modeling_cifar_resnet import CifarResNetForImageClassification, HfAttnCifarResNetConfig
from hf_attn.models.own_head import OwnHead, matched
from hf_attn.tasks.targets.labels import Number, SeveralLabels

MNLI = ("contradiction", "neutral", "entailment")
SORTED = ("contradiction", "entailment", "neutral")
SEQUENCE = (AutoModelForSequenceClassification, "text-classification")
TOKENS = (AutoModelForTokenClassification, "token-classification")
IMAGES = (AutoModelForImageClassification, "image-classification")
HEADS = {
    "bert": (*SEQUENCE, ("classifier.weight", "classifier.bias")),
    "roberta": (*SEQUENCE, ("classifier.out_proj.weight", "classifier.out_proj.bias")),
    "modernbert": (*SEQUENCE, ("classifier.weight", "classifier.bias")),
    "bart": (*SEQUENCE, ("classification_head.out_proj.weight", "classification_head.out_proj.bias")),
    "gpt2": (*SEQUENCE, ("score.weight",)),  # no bias
    "electra": (*TOKENS, ("classifier.weight", "classifier.bias")),
    "vit": (*IMAGES, ("classifier.weight", "classifier.bias")),
    "perceiver": (*SEQUENCE, tuple(f"perceiver.decoder.decoder.final_layer.{part}" for part in ("weight", "bias"))),
}


@pytest.fixture(autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


def save(folder, model_type, names, variant=None, cls=None, **fields):
    auto, task, _ = HEADS.get(model_type, (*IMAGES, ()))
    config = tiny_models.tiny_config(model_type)
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    for name, value in fields.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    model = (cls or auto._model_mapping[type(config)])(config).eval()
    (hf_attn.swap_attention(model, variant) if variant else model).save_pretrained(folder)
    return model, task


def said(caplog) -> list[str]:
    return [
        r.getMessage() for r in caplog.records if r.name.endswith("models.checkpoint") and "new parameters" not in r.msg
    ]


def logits(model):
    inputs = tiny_models.inputs_for(model)
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize("variant", [None, "dot_product"])
@pytest.mark.parametrize("model_type", [name for name in HEADS if name != "perceiver"])
def test_classes_in_another_order_keep_their_own_logits(model_type, variant, tmp_path, caplog):
    stock, task = save(tmp_path, model_type, MNLI, variant)
    with caplog.at_level("INFO", logger="hf_attn"):
        again = hf_attn.load(tmp_path, task=task, labels=SORTED).eval()
    assert again.config.id2label == dict(enumerate(SORTED))
    wanted = logits(stock)[..., [MNLI.index(name) for name in SORTED]]
    torch.testing.assert_close(logits(again), wanted, atol=1e-5, rtol=0)
    assert said(caplog) == [f"{tmp_path}: its head is kept: its rows follow the names of the 3 classes"]


@pytest.mark.parametrize("model_type", HEADS)
def test_common_classes_keep_their_rows_and_others_are_new(model_type, tmp_path, caplog):
    stock, task = save(tmp_path, model_type, MNLI)
    with caplog.at_level("INFO", logger="hf_attn"):
        for wanted in (
            ("entailment", "other", "contradiction"),
            ("a", "entailment", "b", "c"),
            ("neutral", "entailment"),
        ):
            again = hf_attn.load(tmp_path, task=task, labels=wanted).eval()
            assert again.config.num_labels == len(wanted)
            for name in HEADS[model_type][2]:
                before, after = stock.get_parameter(name), again.get_parameter(name)
                for row, label in enumerate(wanted):
                    if label in MNLI:
                        assert torch.equal(after[row], before[MNLI.index(label)]), (label, name)
                    elif after.dim() > 1:
                        assert all((after[row] - other).abs().max() > 1e-3 for other in before), label
                        assert 0 < after[row].std() < 0.5
    assert "new parameters" not in caplog.text
    assert [line.partition(": ")[2] for line in said(caplog)] == [
        "its head keeps the rows of 'entailment', 'contradiction' by their names; those of 'other' are new",
        "its head keeps the rows of 'entailment' by their names; those of 'a', 'b', 'c' are new",
        "its head is kept: its rows follow the names of the 2 classes, out of 3",
    ]


@pytest.mark.parametrize("wanted", [("a", "b", "c"), ("a", "b")])
def test_other_classes_have_a_new_head_whatever_their_number(wanted, tmp_path, caplog):
    stock, _ = save(tmp_path, "roberta", MNLI)
    with caplog.at_level("INFO", logger="hf_attn"):
        again = hf_attn.load(tmp_path, labels=wanted)
        torch.manual_seed(1)
        other = hf_attn.load(tmp_path, labels=wanted)
    rows, own = again.classifier.out_proj.weight.detach(), stock.classifier.out_proj.weight.detach()
    assert all((row - before).abs().max() > 1e-3 for row in rows for before in own)
    assert rows.std() == pytest.approx(stock.config.initializer_range, rel=0.3)
    assert torch.equal(again.classifier.out_proj.bias, torch.zeros(len(wanted)))
    assert not torch.equal(other.classifier.out_proj.weight, rows)
    assert torch.equal(again.classifier.dense.weight, stock.classifier.dense.weight)
    assert torch.equal(again.roberta.embeddings.word_embeddings.weight, stock.roberta.embeddings.word_embeddings.weight)
    names = ", ".join(map(repr, wanted))
    line = f"the rows of its head are new: it has 'contradiction', 'neutral', 'entailment', none of {names}"
    assert said(caplog) == [f"{tmp_path}: {line}"] * 2


def test_the_same_names_are_said_to_be_kept_even_where_two_are_one(tmp_path, caplog):
    names = ("crane", "maillot", "crane")  # as ImageNet has them
    stock, task = save(tmp_path, "vit", names)
    with caplog.at_level("INFO", logger="hf_attn"):
        again = hf_attn.load(tmp_path, task=task, labels=names)
    assert torch.equal(again.classifier.weight, stock.classifier.weight)
    assert said(caplog) == [f"{tmp_path}: its head is kept: its 3 classes have these names"]


def test_both_heads_of_a_distilled_model_follow(tmp_path):
    stock, task = save(tmp_path, "deit", MNLI, cls=DeiTForImageClassificationWithTeacher)
    order = [MNLI.index(name) for name in SORTED]
    again = hf_attn.load(tmp_path, task=task, labels=SORTED)
    for head in ("cls_classifier", "distillation_classifier"):
        assert torch.equal(again.get_submodule(head).weight, stock.get_submodule(head).weight[order])


def test_classes_without_names_are_taken_in_order_and_a_warning_says_so(tmp_path, caplog):
    stock, _ = save(tmp_path, "bert", ("LABEL_0", "LABEL_1"))
    assert torch.equal(hf_attn.load(tmp_path, labels=["neg", "pos"]).classifier.weight, stock.classifier.weight)
    assert said(caplog) == [
        f"{tmp_path}: a head that names no classes: its rows are taken for 'neg', 'pos' in this order"
    ]
    caplog.clear()
    again = hf_attn.load(tmp_path, labels=["1", "0"])  # numbers are named by LABEL_0 and LABEL_1
    assert torch.equal(again.classifier.weight, stock.classifier.weight.flip(0)) and not said(caplog)
    again = hf_attn.load(tmp_path, labels=["neg", "pos", "LABEL_1"])
    assert torch.equal(again.classifier.weight[2], stock.classifier.weight[1])


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_a_number_and_a_class_have_no_row_in_common(kind, tmp_path, caplog):
    stock, _ = save(tmp_path, "bert", ("value",) if kind == "regression" else ("toxic",), problem_type=kind)
    number, toxic = Number(), SeveralLabels(("toxic",))
    kept, new = (number, toxic) if kind == "regression" else (toxic, number)
    with caplog.at_level("INFO", logger="hf_attn"):
        assert torch.equal(hf_attn.load(tmp_path, labels=kept).classifier.weight, stock.classifier.weight)
        assert (hf_attn.load(tmp_path, labels=new).classifier.weight - stock.classifier.weight).abs().max() > 1e-3
    assert ["kept" in line for line in said(caplog)] == [True, False]
    again = hf_attn.load(tmp_path, labels=["a", "b"])
    assert again.config.num_labels == 2 and again.config.problem_type != "regression"


def test_a_head_of_another_kind_with_the_same_keys_is_not_taken(tmp_path, caplog):
    config = tiny_models.tiny_config("bert")
    config.id2label = dict(enumerate(MNLI))
    stock = AutoModelForTokenClassification.from_config(config)
    stock.save_pretrained(tmp_path)
    with caplog.at_level("INFO", logger="hf_attn"):
        again = hf_attn.load(tmp_path, task="text-classification", labels=MNLI)
    assert (again.classifier.weight - stock.classifier.weight).abs().max() > 1e-3
    assert any("saved with one of another kind" in line for line in said(caplog))


def test_the_number_of_labels_alone_keeps_the_head_of_that_size(tmp_path):
    stock, _ = save(tmp_path, "bert", MNLI)
    again = hf_attn.load(tmp_path, labels=3)
    assert torch.equal(again.classifier.weight, stock.classifier.weight)
    assert again.config.id2label == dict(enumerate(MNLI))


def test_adapters_start_from_the_rows_that_follow(tmp_path):
    stock, _ = save(tmp_path, "bert", MNLI)
    order = [MNLI.index(name) for name in SORTED]
    lora = models.add_lora(hf_attn.load(tmp_path, labels=SORTED), models.Lora(rank=2)).eval()
    torch.testing.assert_close(logits(lora.base_model.model), logits(stock)[:, order], atol=1e-5, rtol=0)


def test_an_adapters_head_follows_the_names_of_its_base_and_else_is_taken_in_order(tmp_path, caplog):
    base = save_tiny_bert(tmp_path / "base", MNLI)
    config = LoraConfig(target_modules=["query"], modules_to_save=["classifier"], task_type="SEQ_CLS")
    adapted = get_peft_model(AutoModelForSequenceClassification.from_pretrained(base), config)
    torch.nn.init.normal_(adapted.base_model.model.classifier.modules_to_save["default"].weight)
    adapted.save_pretrained(tmp_path / "adapter")
    own = hf_attn.load(tmp_path / "adapter").classifier.weight
    again = hf_attn.load(tmp_path / "adapter", labels=SORTED)
    assert torch.equal(again.classifier.weight, own[[MNLI.index(name) for name in SORTED]])
    caplog.clear()
    assert torch.equal(hf_attn.load(tmp_path / "adapter", labels=["a", "b", "c"]).classifier.weight, own)
    assert "an adapter names no classes: its rows are taken for 'a', 'b', 'c' in this order" in caplog.text


def test_imagenets_head_gives_the_rows_of_the_classes_that_are_asked_for(tmp_path):
    names = [f"class {i}, synonym" for i in range(1000)]
    stock, task = save(tmp_path, "vit", names)
    wanted = [names[i] for i in (7, 3, 999)]
    again = hf_attn.load(tmp_path, task=task, labels=wanted, attention="cosine").eval()
    torch.testing.assert_close(logits(again), logits(stock)[:, [7, 3, 999]], atol=1e-5, rtol=0)


def test_names_are_matched_as_they_are_spelled_and_else_nearly():
    assert matched(("NEUTRAL", "Not Entailment"), ("not_entailment", "neutral", "x")) == [1, 0, None]
    assert matched(("US", "us"), ("us", "US", "Us")) == [1, 0, None]
    assert matched(("crane", "crane", "owl"), ("crane", "owl")) == [None, 2]
    assert OwnHead.of(AutoConfig.for_model("bert", num_labels=2)).unnamed


@pytest.mark.parametrize("head", ["attention", "cifar"])
def test_heads_and_networks_of_our_own_follow_too(head, tmp_path):
    if head == "attention":
        save(tmp_path / "base", "vit", ("x", "y"))
        model = hf_attn.load(tmp_path / "base", labels=MNLI, head="attention", task="image-classification")
    else:
        config = HfAttnCifarResNetConfig(id2label=dict(enumerate(MNLI)))
        model = CifarResNetForImageClassification(config)
    model.eval().save_pretrained(tmp_path / "saved")
    again = hf_attn.load(tmp_path / "saved", labels=SORTED).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(pixels).logits[:, [MNLI.index(name) for name in SORTED]]
        torch.testing.assert_close(again(pixels).logits, expected, atol=1e-5, rtol=0)
