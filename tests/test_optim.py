"""Parameter groups, schedules and the average of the weights."""

import math

import pytest
import torch
import transformers
from torch import nn
from training_job import tiny_model

from hf_attn.training import optim
from hf_attn.training.config import TrainConfig
from hf_attn.training.ema import EMA


def rates(model, **options):
    """(learning rate, decay) of each parameter by name."""
    groups = optim.parameter_groups(model, 1.0, 0.01, **options)
    return {name: (group["lr"], group["weight_decay"]) for group in groups for name in group["names"]}


def test_norms_biases_and_vectors_are_not_decayed():
    found = rates(tiny_model())
    for name, (rate, decay) in found.items():
        vector = name.endswith("bias") or "LayerNorm" in name
        assert decay == (0.0 if vector else 0.01), name
        assert rate == 1.0
    assert len(found) == len(list(tiny_model().parameters()))


def test_layer_decay_falls_from_the_head_to_the_embeddings():
    found = rates(tiny_model(), layer_decay=0.5)
    for name, (rate, _) in found.items():
        if name.startswith("bert.embeddings"):
            assert rate == 0.5**3, name
        elif "layer.0." in name:
            assert rate == 0.5**2, name
        elif "layer.1." in name:
            assert rate == 0.5, name
        else:
            assert rate == 1.0, name


@pytest.mark.parametrize(
    ("config", "embeddings", "first", "last", "head"),
    [
        (
            transformers.ViTConfig(
                hidden_size=8,
                num_hidden_layers=3,
                num_attention_heads=2,
                intermediate_size=8,
                image_size=8,
                patch_size=4,
            ),
            "vit.embeddings.cls_token",
            "vit.layers.0.",
            "vit.layers.2.",
            "classifier.weight",
        ),
        (
            transformers.DistilBertConfig(dim=8, n_layers=3, n_heads=2, hidden_dim=8, vocab_size=20),
            "distilbert.embeddings.word_embeddings.weight",
            "distilbert.transformer.layer.0.",
            "distilbert.transformer.layer.2.",
            "pre_classifier.weight",
        ),
        (
            transformers.ModernBertConfig(
                hidden_size=8,
                num_hidden_layers=3,
                num_attention_heads=2,
                intermediate_size=8,
                vocab_size=20,
                pad_token_id=0,
            ),
            "model.embeddings.tok_embeddings.weight",
            "model.layers.0.",
            "model.layers.2.",
            "classifier.weight",
        ),
        (
            transformers.BartConfig(
                d_model=8,
                encoder_layers=3,
                decoder_layers=3,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=8,
                decoder_ffn_dim=8,
                vocab_size=20,
            ),
            "model.shared.weight",
            "model.decoder.layers.0.",
            "model.encoder.layers.2.",
            "classification_head.out_proj.weight",
        ),
    ],
)
def test_layer_decay_finds_the_blocks_of(config, embeddings, first, last, head):
    kind = transformers.AutoModelForImageClassification if config.model_type == "vit" else None
    model = (kind or transformers.AutoModelForSequenceClassification).from_config(config)
    depth = optim.depths(model)
    assert depth[embeddings] == 0
    assert {depth[name] for name in depth if name.startswith(first)} == {1}
    assert {depth[name] for name in depth if name.startswith(last)} == {3}
    assert depth[head] == 4


class WithSlot(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([nn.ModuleDict({"hf_attn": nn.Linear(2, 2), "query": nn.Linear(2, 2)})])


def test_attention_variants_have_their_own_rate_and_no_decay():
    found = rates(WithSlot(), layer_decay=0.5, attention_lr=7.0)
    assert found["layer.0.hf_attn.weight"] == found["layer.0.hf_attn.bias"] == (7.0, 0.0)
    assert found["layer.0.query.weight"] == (1.0 * 0.5**0, 0.01)
    deeper = nn.ModuleDict({"layer": nn.ModuleList([*WithSlot().layer, *WithSlot().layer]), "head": nn.Linear(2, 2)})
    found = rates(deeper, layer_decay=0.5, attention_lr=7.0)
    assert found["layer.0.hf_attn.weight"] == found["layer.1.hf_attn.weight"] == (7.0, 0.0)
    assert found["layer.0.query.weight"] == (0.25, 0.01)


def test_attention_rate_is_ten_times_the_rate_if_not_given():
    optimizer = optim.create(WithSlot(), TrainConfig(lr=1e-3))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-2)
    assert optim.create(WithSlot(), TrainConfig(lr=1e-3, attention_lr=5e-4)).param_groups[0]["lr"] == 1e-3


def test_the_head_has_its_own_rate_where_there_are_blocks_below_it():
    found = rates(tiny_model(), layer_decay=0.5, head_lr=9.0)
    assert {name for name, (rate, _) in found.items() if rate == 9.0} == {
        name for name in found if "layer." not in name and "embeddings" not in name
    }
    assert {rate for rate, _ in rates(nn.Linear(2, 2), head_lr=9.0).values()} == {1.0}
    assert {rate for rate, _ in rates(nn.ModuleDict({"head": nn.Linear(2, 2)}), head_lr=9.0).values()} == {9.0}


def test_head_and_attention_learn_at_ten_times_the_rate_if_not_told():
    groups = optim.create(tiny_model(), TrainConfig(lr=1e-3, warmup=0.0)).param_groups
    assert groups[0]["lr"] == pytest.approx(1e-2) and "classifier.weight" in groups[0]["names"]


def test_frozen_parameters_are_left_out():
    model = tiny_model()
    model.bert.requires_grad_(False)
    assert set(rates(model)) == {"classifier.weight", "classifier.bias"}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="trainable"):
        optim.create(model, TrainConfig())


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("linear", "linear", {}),
        ("cosine", "cosine", {}),
        ("constant", "constant_with_warmup", {}),
        ("inverse_sqrt", "inverse_sqrt", {}),
        ("warmup_stable_decay", "warmup_stable_decay", {"num_decay_steps": 10, "decay_type": "linear"}),
    ],
)
def test_schedules_are_those_of_transformers(name, theirs, options, warmup):
    def curve(make):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule, rates = make(optimizer), []
        for _ in range(50):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    config = TrainConfig(schedule=name, warmup=warmup)
    ours = curve(lambda optimizer: optim.schedule(optimizer, config, 50))
    expected = curve(
        lambda optimizer: transformers.get_scheduler(theirs, optimizer, warmup, 50, scheduler_specific_kwargs=options)
    )
    assert ours == pytest.approx(expected, abs=1e-12)


def test_warmup_is_a_fraction_below_one_and_steps_from_one_on():
    assert [optim.warmup_steps(warmup, 200) for warmup in (0, 0.06, 0.5, 1, 30, 999)] == [0, 12, 100, 1, 30, 200]


def test_ema_is_the_average_written_out():
    model, decay = nn.Linear(2, 1, bias=False), 0.9
    ema = EMA(model, decay)
    average = model.weight.detach().double().clone()
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.copy_(torch.randn(1, 2))
        ema.update(model, step)
        d = min(decay, (1 + step) / (10 + step))
        average = d * average + (1 - d) * model.weight.detach().double()
    torch.testing.assert_close(ema.averages["weight"].double(), average, rtol=1e-5, atol=1e-6)


def test_leaving_the_average_puts_the_weights_back_to_the_bit():
    model = tiny_model()
    model.bert.embeddings.requires_grad_(False)
    ema = EMA(model, 0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(math.pi)
    ema.update(model, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    averages = {name: value.clone() for name, value in ema.averages.items()}
    with pytest.raises(RuntimeError), ema.applied(model) as averaged:
        for name, value in averages.items():
            assert averaged.get_parameter(name).equal(value)
        raise RuntimeError("an evaluation that fails")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(value.equal(averages[name]) for name, value in ema.averages.items())


def test_a_fraction_of_warmup_is_rounded_to_the_nearest_step():
    assert [optim.warmup_steps(0.06, steps) for steps in (8, 9, 45, 1000)] == [0, 1, 3, 60]


def test_the_last_blocks_of_two_stacks_are_as_deep_as_each_other():
    stacks = {"encoder": nn.ModuleList([nn.Linear(2, 2)] * 1), "decoder": nn.ModuleList(nn.Linear(2, 2) for _ in "abc")}
    found = optim.depths(nn.ModuleDict({"embed": nn.Linear(2, 2), **stacks, "head": nn.Linear(2, 2)}))
    last = {name: found[f"{name}.weight"] for name in ("embed", "encoder.0", "decoder.0", "decoder.2", "head")}
    assert last == {"embed": 0, "encoder.0": 3, "decoder.0": 1, "decoder.2": 3, "head": 4}
