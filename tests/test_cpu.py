"""A CPU's training step is cheaper, and computes what it computed before."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, ViTConfig, ViTForImageClassification

from hf_attn.attention.dropout import dropout
from hf_attn.training import cpu


@pytest.mark.parametrize("p", [0.1, 0.37, 0.9])
@pytest.mark.parametrize("shape", [(1,), (3, 5, 7), (4, 12, 33, 33)])
def test_dropout_drops_its_share_and_keeps_the_expectation(p, shape):
    torch.manual_seed(0)
    x = torch.ones(shape)
    draws = torch.stack([dropout(x, p) for _ in range(300)])
    kept = (draws > 0).double().mean().item()
    count = draws.numel()
    assert abs(kept - (1 - p)) < 5 * (p * (1 - p) / count) ** 0.5 + 2**-16
    values = draws.unique()
    assert len(values) <= 2 and abs(values[-1].item() - 1 / (1 - p)) < 1e-3 / (1 - p)


def test_dropout_drops_every_place_alike_and_apart():
    torch.manual_seed(0)
    kept = torch.stack([dropout(torch.ones(64), 0.3) > 0 for _ in range(20000)]).double()
    assert (kept.mean(0) - 0.7).abs().max() < 5 * (0.21 / 20000) ** 0.5
    correlation = torch.corrcoef(kept.T) - torch.eye(64)
    assert correlation.abs().max() < 6 / 20000**0.5


def test_dropout_gives_gradients_where_it_keeps():
    torch.manual_seed(0)
    x = torch.randn(5, 9, requires_grad=True)
    y = dropout(x, 0.4)
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y / x).detach(), atol=1e-6, rtol=1e-6)


def test_dropout_is_drawn_from_the_seed():
    x = torch.ones(100)
    torch.manual_seed(3)
    first = dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(x, 0.5))


def test_no_dropout_in_evaluation_or_at_zero():
    x = torch.ones(10)
    assert dropout(x, 0.5, training=False) is x and dropout(x, 0.0) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros(10))


def tiny(**changes):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=37,
        num_labels=3,
        **changes,
    )
    return BertForSequenceClassification(config)


def test_a_model_is_built_as_before_after_the_block():
    model = tiny()
    before = [type(module) for module in model.modules()]
    implementation = model.config._attn_implementation
    with cpu.faster_training(model, torch.device("cpu")):
        assert any(isinstance(module, cpu.BitDropout) for module in model.modules())
    assert [type(module) for module in model.modules()] == before
    assert model.config._attn_implementation == implementation


def test_without_dropout_the_step_is_the_same():
    plain, faster = (tiny(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train() for _ in range(2))
    inputs = {"input_ids": torch.randint(1, 60, (3, 9)), "labels": torch.tensor([0, 1, 2])}
    plain(**inputs).loss.backward()
    with cpu.faster_training(faster, torch.device("cpu")):
        faster(**inputs).loss.backward()
    for (name, a), b in zip(plain.named_parameters(), faster.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-5, msg=name)


def gradients(faster, precision):
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=37,
        image_size=21,
        patch_size=4,
        num_labels=3,
    )
    model = ViTForImageClassification(config).train()
    pixels, labels = torch.randn(3, 3, 21, 21), torch.tensor([0, 1, 2])
    parts = cpu.PARTS if faster else ()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with cpu.faster_training(model, torch.device("cpu"), parts=parts), autocast:
        model(pixel_values=pixels, labels=labels).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(("precision", "tolerance"), [("no", 5e-6), ("bf16", 5e-2)])
def test_an_image_step_is_the_same_with_patches_that_do_not_fill_the_image(precision, tolerance):
    plain, faster = (gradients(faster, precision) for faster in (False, True))
    scale = max(gradient.abs().max() for gradient in plain.values())
    for name, expected in plain.items():
        torch.testing.assert_close(faster[name] / scale, expected / scale, atol=tolerance, rtol=0, msg=name)


@pytest.mark.parametrize("kernel", [(2, 2), (4, 3), (16, 16)])
def test_patches_by_a_matrix_product_are_the_convolution(kernel):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, kernel, stride=kernel).double()
    pixels = torch.randn(2, 3, 35, 33, dtype=torch.float64)
    expected = conv(pixels)
    with cpu.cheap_patches(conv):
        assert type(conv) is cpu.PatchConv2d
        torch.testing.assert_close(conv(pixels), expected, atol=1e-12, rtol=1e-12)
    assert type(conv) is nn.Conv2d


@pytest.mark.parametrize("options", [dict(padding=1), dict(stride=1), dict(dilation=2), dict(groups=3)])
def test_other_convolutions_are_left_alone(options):
    conv = nn.Conv2d(3, 6, 2, **{"stride": 2, **options})
    with cpu.cheap_patches(conv):
        assert type(conv) is nn.Conv2d


def test_with_dropout_attention_weights_are_dropped_too():
    model = tiny(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).train()
    inputs = torch.randint(1, 60, (2, 9))
    with cpu.faster_training(model, torch.device("cpu")), torch.no_grad():
        first, second = model(inputs).logits, model(inputs).logits
        assert not torch.equal(first, second)
        model.eval()
        assert torch.equal(model(inputs).logits, model(inputs).logits)


def test_other_devices_are_left_alone():
    model = tiny()
    with cpu.faster_training(model, torch.device("cuda")):
        assert not any(isinstance(module, cpu.BitDropout) for module in model.modules())
        assert any(isinstance(module, nn.Dropout) for module in model.modules())
