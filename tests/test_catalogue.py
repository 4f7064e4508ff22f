"""What is said of a variant is its own: stated, counted or tried, never what the class above it says."""

import pytest
import torch
from torch import nn

from hf_attn import Variant, variant_info
from hf_attn.attention import VARIANTS, make_variant
from hf_attn.attention.registry import TRIAL

H, D = TRIAL
COUNTED = {
    "dot_product": 0,
    "sparsemax": 0,
    "entmax15": 0,
    "sigmoid": 0,
    "local": 0,
    "linear": 0,
    "talking_heads": 2 * H**2,
    "gated": H * (D**2 + D),
    "window": H,
    "focal": H * (1 + 2**2),
    "general": H * D**2,
    "temperature": H,
    "additive": H * (2 * D * 8 + 8 + 1),
    "cosine": 2 * H,
}


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr("hf_attn.attention.registry.VARIANTS", dict(VARIANTS))
    monkeypatch.setitem(VARIANTS, "dot_product", Variant)
    from hf_attn.attention import registry

    def register(cls, name="own"):
        registry.VARIANTS[name] = cls
        cls.name = name
        return variant_info(name)

    return register


class Doubled(Variant):
    """s = 2 q·k/√d, with a parameter a head."""

    def __init__(self, num_heads, head_dim, *, sharp: float = 2.0, init="identity"):
        super().__init__(num_heads, head_dim, init)
        self.sharp = sharp
        self.gain = nn.Parameter(torch.empty(num_heads, 3))

    def reset_parameters(self):
        nn.init.zeros_(self.gain)

    def scores(self, query, key, scaling):
        return self.sharp * super().scores(query, key, scaling)


def test_a_subclass_that_states_nothing_is_given_nothing_of_its_parents_words(registered):
    found = registered(Doubled)
    assert (found.equation, found.source, found.cost) == ("not stated",) * 3
    assert found.parameters == f"{3 * H} with {H} heads of {D}"
    assert (found.identity, found.fused) == ("no", "no")
    assert found.kwargs == {"sharp": 2.0, "init": "identity"}


@pytest.mark.parametrize("base", ["cosine", "entmax15", "local", "linear", "focal", "gated"])
def test_a_subclass_of_each_of_ours_does_not_repeat_its_equation_or_source(registered, base):
    found = registered(type("Mine", (VARIANTS[base],), {"scores": lambda self, q, k, s: 2 * q @ k.mT * s}))
    assert (found.equation, found.source, found.cost, found.fused) == ("not stated", "not stated", "not stated", "no")


def test_identity_is_tried_not_inherited(registered):
    same = registered(type("Same", (Variant,), {"mix": lambda self, weights: 1.0 * weights}), "same")
    half = registered(type("Half", (Variant,), {"mix": lambda self, weights: weights / 2}), "half")
    blend = registered(type("Blended", (VARIANTS["sparsemax"],), {}), "blend")
    assert (same.identity, half.identity, blend.identity) == ("yes", "no", "with mix=0.0")


def test_an_option_passed_on_is_an_option(registered):
    class Passing(VARIANTS["cosine"]):
        def __init__(self, num_heads, head_dim, extra: int = 1, **kwargs):
            super().__init__(num_heads, head_dim, **kwargs)
            self.extra = extra

    assert registered(Passing).kwargs == {"extra": 1, "mix": None, "init": "identity"}


def test_a_path_that_still_holds_keeps_its_name(registered):
    found = registered(type("Negated", (VARIANTS["cosine"],), {"output": lambda self, context, query: -context}))
    assert found.fused == VARIANTS["cosine"].fused_path
    assert found.equation == "not stated"


@pytest.mark.parametrize("name", COUNTED)
def test_the_stated_number_of_parameters_is_the_counted_one(name):
    variant = make_variant(name, H, D, None)
    assert sum(parameter.numel() for parameter in variant.parameters()) == COUNTED[name]


def test_every_variant_of_the_package_is_counted_here():
    assert set(COUNTED) <= set(VARIANTS) and {
        n for n, c in VARIANTS.items() if c.__module__.startswith("hf_attn")
    } == set(COUNTED)
