"""Stochastic depth on models without their own."""

import pytest
import torch
from tiny_models import tiny_model
from torch import nn
from transformers import AutoConfig, ViTForImageClassification

from hf_attn.errors import InputError
from hf_attn.models.vision.drop_path import add_drop_path, drop_path_options

BLOCKS, ROWS = 3, 6


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, hidden_states, scale=1.0):
        return hidden_states * (1 + scale * self.weight)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def forward(self, hidden_states, scale=1.0):
        return self.attention(hidden_states, scale)


class Stack(nn.Module):
    def __init__(self, blocks=BLOCKS):
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(blocks))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_blocks_are_skipped_with_probabilities_that_grow_linearly():
    torch.manual_seed(0)
    model, rows = Stack(), 20_000
    add_drop_path(model, 0.6)
    x = torch.ones(rows, 2, 3)
    for block, p in zip(model.layers, (0.0, 0.3, 0.6), strict=True):
        out = block(x)
        skipped = (out == x).flatten(1).all(1)
        assert abs(skipped.float().mean() - p) < 0.015
        torch.testing.assert_close(out[~skipped], (x + 0.5 * x / (1 - p))[~skipped])


def test_the_expectation_is_the_whole_block():
    torch.manual_seed(0)
    model = Stack()
    x = torch.rand(1, 2, 3).expand(60_000, -1, -1)
    expected = model(x[:1])
    add_drop_path(model, 0.5)
    torch.testing.assert_close(model(x).mean(0, keepdim=True), expected, rtol=0.02, atol=0)


def test_skipped_rows_give_the_block_no_gradient():
    torch.manual_seed(0)
    model = Stack(blocks=1)
    add_drop_path(model, 0.5)
    x = torch.rand(ROWS, 2, 3, requires_grad=True)
    out = model.layers[0](hidden_states=x)
    skipped = (out == x).flatten(1).all(1)
    assert 0 < skipped.sum() < ROWS
    for row in range(ROWS):
        of_block, of_x = torch.autograd.grad(out[row].sum(), (model.layers[0].attention.weight, x), retain_graph=True)
        assert (of_block == 0) == skipped[row]
        assert not skipped[row] or (of_x[row] == 1).all()


@pytest.fixture
def vit():
    return tiny_model("vit", ViTForImageClassification)


def test_evaluation_and_state_dict_stay_as_they_are(vit):
    x = torch.randn(2, 3, 32, 32)
    before, names = vit(x).logits, list(vit.state_dict())
    handle = add_drop_path(vit, 0.5)
    assert torch.equal(vit(x).logits, before) and list(vit.state_dict()) == names
    vit.train()
    torch.manual_seed(0)
    runs = [vit(x.expand(2, -1, -1, -1)).logits for _ in range(8)]
    assert any(not torch.allclose(run, before, atol=1e-4) for run in runs)
    handle.remove()
    assert torch.equal(vit(x).logits, before)


def test_the_same_random_state_gives_the_same_rows(vit):
    add_drop_path(vit.train(), 0.5)
    x = torch.randn(ROWS, 3, 32, 32)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = vit(x).logits
    torch.set_rng_state(state)
    assert torch.equal(vit(x).logits, first)


def test_architectures_with_a_rate_of_their_own_take_it_in_the_configuration():
    assert drop_path_options(AutoConfig.for_model("vit"), 0.2) == {}
    assert drop_path_options(AutoConfig.for_model("dinov2"), 0.2) == {"drop_path_rate": 0.2}
    model = tiny_model("dinov2")
    with pytest.raises(InputError, match="drop_path_rate=0.0: load it with 0.2"):
        add_drop_path(model, 0.2)
    model.config.drop_path_rate = 0.2
    assert not add_drop_path(model, 0.2).hooks


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_what_is_no_probability_is_refused(rate, vit):
    with pytest.raises(InputError, match="expected a probability"):
        add_drop_path(vit, rate)


def test_models_without_transformer_blocks_are_refused():
    with pytest.raises(InputError, match="no numbered transformer blocks"):
        add_drop_path(nn.Sequential(nn.Linear(2, 2)), 0.1)


def test_a_block_that_changes_the_shape_is_refused():
    model = Stack(blocks=1)
    model.layers[0].attention.forward = lambda x, scale: x[:, :1]
    add_drop_path(model, 0.1)
    with pytest.raises(ValueError, match="cannot be skipped"):
        model(torch.ones(2, 2, 3))
