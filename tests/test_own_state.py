"""What a user's own variant holds beside trained parameters is there after loading, however it was made."""

import pytest
import tiny_models
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

import hf_attn
from hf_attn.attention import VARIANTS, Variant, register_variant, swap_attention


class Sloped(Variant):
    """Adds slopes over the keys, which a subclass keeps in some way."""

    def __init__(self, num_heads, head_dim, start=0.5):
        super().__init__(num_heads, head_dim)
        self.keep(start * torch.arange(1.0, num_heads + 1)[:, None, None])

    def scores(self, query, key, scaling):
        return super().scores(query, key, scaling) + self.slope * torch.arange(key.shape[-2])


class Unsaved(Sloped):
    def keep(self, slope):
        self.register_buffer("slope", slope, persistent=False)


class Saved(Sloped):
    def keep(self, slope):
        self.register_buffer("slope", slope)


class Plain(Sloped):
    def keep(self, slope):
        self.slope = slope


class Filled(Sloped):
    def keep(self, slope):
        self.slope = nn.Parameter(slope)


class Turned(Variant):
    """Has a layer of torch's, which starts at 0."""

    def __init__(self, num_heads, head_dim):
        super().__init__(num_heads, head_dim)
        self.turn = nn.Linear(head_dim, head_dim)

    def reset_parameters(self):
        nn.init.zeros_(self.turn.weight)
        nn.init.zeros_(self.turn.bias)

    def scores(self, query, key, scaling):
        return super().scores(query + self.turn(query), key, scaling)


KINDS = {cls.__name__.lower(): cls for cls in (Unsaved, Saved, Plain, Filled, Turned)}
INPUTS = tiny_models.inputs_for(tiny_models.tiny_model("bert", BertForSequenceClassification))


@pytest.fixture(autouse=True)
def registered():
    for name, cls in KINDS.items():
        register_variant(f"own_{name}")(cls)
    yield
    for name in KINDS:
        del VARIANTS[f"own_{name}"]


@pytest.fixture
def bert():
    return tiny_models.tiny_model("bert", BertForSequenceClassification)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_stock_checkpoint_loads_with_the_variant_that_a_swap_gives(bert, kind, tmp_path):
    bert.save_pretrained(tmp_path)
    expected = swap_attention(bert, f"own_{kind}")(**INPUTS).logits
    with tiny_models.poisoned_memory():
        loaded = hf_attn.load(tmp_path, attention=f"own_{kind}").eval()
        assert (loaded(**INPUTS).logits - expected).abs().max() < 1e-6
    built = AutoModelForSequenceClassification.from_config(loaded.config).eval()
    built.load_state_dict(loaded.state_dict())
    assert (built(**INPUTS).logits - expected).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_trained_variant_comes_back_bit_for_bit(bert, kind, tmp_path):
    options = {} if kind == "turned" else {"start": 0.25}
    model = swap_attention(bert, f"own_{kind}", **options)
    tiny_models.perturb(model)
    model.save_pretrained(tmp_path)
    with tiny_models.poisoned_memory():
        found = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert torch.equal(found(**INPUTS).logits, model(**INPUTS).logits)
