"""The fused path is taken where its class says so, and never past a step that somebody overrode below."""

import pytest
import torch
from test_variants import BUILT_IN, build, case
from torch import nn

from hf_attn.attention import VARIANTS, Variant
from hf_attn.attention.call import Call
from hf_attn.attention.normalizers import Blend
from hf_attn.attention.variant import has_fused_path


class Doubled:
    """A step overridden by a mixin, which is no variant itself."""

    def scores(self, query, key, scaling):
        return 2 * super().scores(query, key, scaling)


def sharper(base: type[Variant]) -> type[Variant]:
    return type("Sharper", (Doubled, base), {})


def squared(base: type[Variant]) -> type[Variant]:
    def normalize(self, scores, keep):
        return super(cls, self).normalize(scores, keep).square()

    cls = type("Squared", (base,), {"normalize": normalize})
    return cls


def halved(base: type[Variant]) -> type[Variant]:
    def mix(self, weights):
        return super(cls, self).mix(weights) / 2

    cls = type("Halved", (base,), {"mix": mix})
    return cls


def made(cls: type[Variant], name: str) -> Variant:
    """Return an instance of ``cls`` with the parameters of :func:`build`."""
    built = build(name, {})
    built.__class__ = cls
    again = cls.__new__(cls)
    nn.Module.__init__(again)
    again.__dict__.update(built.__dict__)
    again.takes_fused_path = has_fused_path(cls)
    return again


@pytest.mark.parametrize("step", [sharper, squared, halved])
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_step_overridden_below_a_variant_is_what_runs(name, step):
    cls = step(VARIANTS[name])
    variant = cls(3, 5) if name == "dot_product" else made(cls, name)
    inputs = case("padding")
    shown = variant(**inputs, need_weights=True)
    assert (variant(**inputs)[0] - shown[0]).abs().max() < 1e-12
    assert (variant(**inputs)[0] - (shown[1] @ inputs["value"])).abs().max() < 1e-12 or name == "gated"


@pytest.mark.parametrize("part", ["other_scores", "temperature"])
def test_a_part_of_a_step_overridden_below_is_what_runs(part):
    replaced = {
        "other_scores": lambda self, query, key: 3 * query @ key.transpose(-1, -2),
        "temperature": property(lambda self: torch.full((3, 1, 1), 2.0, dtype=torch.float64)),
    }
    variant = made(type("Mine", (VARIANTS["cosine"],), {part: replaced[part]}), "cosine")
    inputs = case("plain")
    assert (variant(**inputs)[0] - variant(**inputs, need_weights=True)[0]).abs().max() < 1e-12


def test_a_reach_overridden_below_local_is_what_runs():
    def near(self, query, key, keep):
        return torch.eye(query.shape[-2], dtype=torch.bool)[None, None]

    variant = made(type("Itself", (VARIANTS["local"],), {"near": near}), "local")
    inputs = case("plain")
    assert (variant(**inputs)[0] - inputs["value"]).abs().max() < 1e-12


def test_a_step_replaced_on_one_instance_is_what_runs():
    variant, inputs = Variant(3, 5), case("plain")
    variant.mix = lambda weights: weights * 0
    assert not variant(**inputs)[0].any()


def test_dot_form_alone_gives_the_scores_on_both_paths():
    class Double(Variant):
        def dot_form(self, query, key, scaling):
            return 2 * query * scaling, key

    inputs = case("padding")
    expected = Variant(3, 5)(**inputs | {"scaling": 2 * 5**-0.5})[0]
    for plain in (True, False):
        assert (Double(3, 5)(**inputs, need_weights=plain)[0] - expected).abs().max() < 1e-12
    assert has_fused_path(Double)


def test_what_comes_after_the_weights_keeps_the_fused_path():
    class Negated(Variant):
        def output(self, context, query):
            return -context

    assert has_fused_path(Negated)
    inputs = case("plain")
    assert torch.equal(Negated(3, 5)(**inputs)[0], -Variant(3, 5)(**inputs)[0])


def test_each_built_in_variant_that_states_a_fused_path_takes_it():
    for name in BUILT_IN:
        cls = VARIANTS[name]
        inputs = case("plain") | {"scaling": 0.5}
        ran = has_fused_path(cls) and build(name, {}).fused(Call(**inputs)) is not None
        assert ran == (not cls.fused_path.startswith("no")), name
        assert issubclass(cls, Blend) or has_fused_path(cls)
