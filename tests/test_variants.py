"""Each variant against loops in float64, against other libraries, and its fused path against its plain one."""

import os

import numpy as np
import pytest
import reference_attention
import torch

from hf_attn.attention import VARIANTS, Variant, list_variants, make_variant, register_variant, variant_info
from hf_attn.attention.call import Call
from hf_attn.attention.normalizers import Blend, entmax15, sparsemax
from hf_attn.attention.softmax_path import product_context, softmax_context

BATCH, HEADS, QUERIES, KEYS, SIZE = 2, 3, 4, 6, 5
BUILT_IN = list_variants()
OPTIONS = {
    "local": {"window": 1, "global_tokens": 1},
    "additive": {"attn_dim": 3},
    "window": {"window": 0},
    "focal": {"window": 0, "pool": [2]},
}
# Every variant, and those that replace softmax also as a blend.
FORMS = [(name, {}) for name in BUILT_IN]
FORMS += [(name, {"mix": 0.0}) for name in BUILT_IN if issubclass(VARIANTS[name], Blend)]
form = pytest.mark.parametrize(("name", "extra"), FORMS, ids=[f"{n}{'-mix' * bool(e)}" for n, e in FORMS])

CASES = ["plain", "padding", "causal", "cross", "cache", "bias", "masked_row", "scaling"]


def build(name: str, extra: dict, dtype: torch.dtype = torch.float64, seed: int = 0) -> Variant:
    """Return a variant whose parameters are far from their start, so that every term of it matters."""
    variant = make_variant(name, HEADS, SIZE, {**OPTIONS.get(name, {}), **extra})
    variant.reset_parameters()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in variant.parameters():
            parameter += torch.randn(parameter.shape, generator=random) * 0.5
    return variant.to(dtype)


def case(which: str, dtype: torch.dtype = torch.float64, seed: int = 1) -> dict:
    """Return query, key, value, bias, keep and scaling of one situation."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    queries = QUERIES if which in ("cross", "cache") else KEYS
    inputs = {
        "query": 1.5 * normal(BATCH, HEADS, queries, SIZE),
        "key": 1.5 * normal(BATCH, HEADS, KEYS, SIZE),
        "value": normal(BATCH, HEADS, KEYS, SIZE),
        "bias": None,
        "keep": None,
        "scaling": 1.0 if which == "scaling" else None,
    }
    padding = torch.ones(BATCH, 1, 1, KEYS, dtype=torch.bool)
    padding[1, ..., 3:] = False
    if which in ("padding", "cross", "bias"):
        inputs["keep"] = padding
    if which == "causal":
        inputs["keep"] = torch.ones(KEYS, KEYS, dtype=torch.bool).tril()[None, None] & padding
    if which == "cache":
        inputs["keep"] = torch.ones(QUERIES, KEYS, dtype=torch.bool).tril(KEYS - QUERIES)[None, None]
    if which == "bias":
        inputs["bias"] = normal(1, HEADS, KEYS, KEYS)
    if which == "masked_row":
        inputs["keep"] = torch.rand(BATCH, 1, KEYS, KEYS, generator=random) > 0.4
        inputs["keep"][0, :, 2] = False
        inputs["keep"][1] = False
    return inputs


def cases_of(name: str) -> list[str]:
    apart = ("cross", "cache") if VARIANTS[name].needs_patches else ()  # refused: two places for one token
    return [which for which in CASES if which not in apart and (which != "bias" or VARIANTS[name].accepts_bias)]


def stand_in(variant: Variant, which: str) -> None:
    """Tell a variant what layer it is in, as a swap does."""
    variant.causal, variant.crosses = which in ("causal", "cache"), which == "cross"


def expected(name: str, variant: Variant, inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return context and weights by the loops."""
    shape = (*inputs["query"].shape[:3], inputs["key"].shape[2])
    keep = torch.ones(shape, dtype=torch.bool) if inputs["keep"] is None else inputs["keep"].expand(shape)
    bias = torch.zeros(shape, dtype=torch.float64) if inputs["bias"] is None else inputs["bias"].expand(shape)
    parameters = {key: p.detach().numpy() for key, p in variant.named_parameters()}
    arrays = [inputs[key].detach().numpy() for key in ("query", "key", "value")]
    return reference_attention.attend(
        name,
        *arrays,
        parameters,
        bias.numpy(),
        keep.numpy(),
        inputs["scaling"] or SIZE**-0.5,
        causal=variant.causal,
        crosses=variant.crosses,
        **(OPTIONS[name] if name in ("local", "window", "focal") else {}),
    )


@form
def test_variant_equals_loop_in_float64(name, extra):
    variant = build(name, extra)
    for which in cases_of(name):
        inputs = case(which)
        stand_in(variant, which)
        context, weights = variant(**inputs, need_weights=True)
        reference_context, reference_weights = expected(name, variant, inputs)
        assert np.abs(weights.detach().numpy() - reference_weights).max() < 1e-12, which
        assert np.abs(context.detach().numpy() - reference_context).max() < 1e-12, which


@form
def test_fused_path_equals_plain_path_forward_and_backward(name, extra):
    variant = build(name, extra)
    for which in cases_of(name):
        results = []
        stand_in(variant, which)
        for plain in (True, False):
            inputs = case(which)
            tensors = [
                inputs[key].requires_grad_() for key in ("query", "key", "value", "bias") if inputs[key] is not None
            ]
            context, _ = variant(**inputs, need_weights=plain)
            wanted = [*tensors, *variant.parameters()]
            gradients = torch.autograd.grad(context.square().sum(), wanted, allow_unused=True)
            results.append((context, *gradients))
        for plain, fused in zip(*results, strict=True):
            assert (plain is None) == (fused is None), which
            assert plain is None or (plain - fused).abs().max() < 1e-10, which


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("which", CASES)
def test_the_path_of_products_equals_the_kernel_forward_and_backward(which, dtype, tolerance):
    results = []
    for path, kind in ((product_context, dtype), (softmax_context, torch.float64)):
        inputs = case(which)
        scaling = inputs.pop("scaling") or SIZE**-0.5
        inputs = {name: x if name == "keep" or x is None else x.to(kind) for name, x in inputs.items()}
        tensors = [x.requires_grad_() for name, x in inputs.items() if name != "keep" and x is not None]
        context = path(**inputs | {"query": inputs["query"] * scaling}, dropout=0.0)
        assert context.dtype == kind
        results.append((context, *torch.autograd.grad(context.square().sum(), tensors)))
    for found, expected in zip(*results, strict=True):
        assert (found - expected).abs().max() < tolerance * max(1.0, expected.abs().max())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_training_in_bf16_on_a_cpu_takes_products_whatever_autocast_says(dropout):
    inputs = [x.to(torch.bfloat16).requires_grad_() for x in list(case("plain").values())[:3]]
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        found = softmax_context(*inputs, None, None, dropout)
        torch.manual_seed(0)
        assert torch.equal(found, product_context(*inputs, None, None, dropout))
    assert found.dtype == torch.bfloat16


def test_the_list_says_which_variants_have_a_fused_path():
    for name, extra in FORMS:
        inputs = case("padding") | {"scaling": 0.5}
        ran = build(name, extra).fused(Call(**inputs)) is not None
        assert ran == (not variant_info(name).fused.startswith("no")), name


@form
def test_gradients_are_the_derivatives(name, extra):
    variant = build(name, extra)
    for which in ("padding", "masked_row", *(["bias"] if variant.accepts_bias else [])):
        inputs = case(which)
        names = [key for key in ("query", "key", "value", "bias") if inputs[key] is not None]
        tensors = [inputs[key].requires_grad_() for key in names]

        def context(*values, names=names, inputs=inputs):
            given = inputs | dict(zip(names, values[: len(names)], strict=True))
            parameters = dict(zip(dict(variant.named_parameters()), values[len(names) :], strict=True))
            return torch.func.functional_call(variant, parameters, (), {**given, "need_weights": True})[0]

        assert torch.autograd.gradcheck(context, (*tensors, *variant.parameters()), fast_mode=True), which


@form
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_fully_masked_rows_give_zero_and_finite_gradients(name, extra, dtype):
    variant = build(name, extra, dtype)
    for plain in (True, False):
        inputs = case("masked_row", dtype)
        tensors = [inputs[key].requires_grad_() for key in ("query", "key", "value")]
        context, weights = variant(**inputs, need_weights=plain)
        assert not context[1].any() and not context[0, :, 2].any()
        gradients = torch.autograd.grad(
            context.float().square().sum(), [*tensors, *variant.parameters()], allow_unused=True
        )
        assert all(g is None or g.isfinite().all() for g in gradients)
        if plain and variant.normalized:
            kept = inputs["keep"].expand_as(weights).any(-1)
            if name in ("local", "window"):
                kept = kept & (weights.sum(-1) > 0)
            assert weights.dtype == torch.float32
            assert (weights.sum(-1)[kept] - 1).abs().max() < 1e-5


@form
def test_asked_rows_equal_those_of_all(name, extra):
    variant, inputs = build(name, extra), case("causal")
    inputs.pop("value")
    rows = torch.tensor([4, 1])
    assert (
        variant.weights(Call(**inputs))[:, :, rows] - variant.weights(Call(**inputs, rows=rows))
    ).abs().max() < 1e-14


@pytest.mark.parametrize(("name", "extra"), [(n, e) for n, e in FORMS if VARIANTS[n].identity or e])
def test_identity_start_is_softmax_attention(name, extra):
    variant = make_variant(name, HEADS, SIZE, {**OPTIONS.get(name, {}), **extra})
    variant.reset_parameters()
    for which in cases_of(name):
        inputs = case(which, torch.float32)
        stand_in(variant, which)
        for plain in (True, False):
            got = variant(**inputs, need_weights=plain)[0]
            assert (got - Variant(HEADS, SIZE)(**inputs)[0]).abs().max() < 1e-6, which


@pytest.mark.parametrize(("ours", "theirs"), [(sparsemax, "sparsemax"), (entmax15, "entmax15")])
def test_sparse_normalizers_equal_the_entmax_package(ours, theirs):
    theirs = getattr(pytest.importorskip("entmax"), theirs)
    random = torch.Generator().manual_seed(0)
    for scale in (0.3, 3.0, 30.0):
        scores = scale * torch.randn(40, 17, generator=random, dtype=torch.float64)
        direction = torch.randn(40, 17, generator=random, dtype=torch.float64)
        results = []
        for function in (lambda x: ours(x), lambda x: theirs(x, dim=-1)):
            given = scores.clone().requires_grad_()
            weights = function(given)
            results.append((weights, torch.autograd.grad((weights * direction).sum(), given)[0]))
        for mine, other in zip(*results, strict=True):
            assert (mine - other).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
@pytest.mark.parametrize("masked", [1, 2, 3, 9])
def test_masked_keys_give_no_nan_and_the_weights_of_the_rest(name, masked):
    ours = {"sparsemax": sparsemax, "entmax15": entmax15}[name]
    theirs = getattr(pytest.importorskip("entmax"), name)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        scores = torch.randn(8, 12, generator=torch.Generator().manual_seed(0)).to(dtype)
        scores[:, 12 - masked :] = torch.finfo(dtype).min
        scores.requires_grad_()
        weights = ours(scores)
        (gradient,) = torch.autograd.grad((weights * torch.arange(12.0)).sum(), scores)
        assert gradient.isfinite().all() and not gradient[:, 12 - masked :].any()
        assert not weights[:, 12 - masked :].any()
        if dtype is torch.float32:
            assert (weights[:, : 12 - masked] - theirs(scores[:, : 12 - masked], dim=-1)).abs().max() < 1e-6


@pytest.fixture(scope="module")
def keras():
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras")


@pytest.mark.parametrize("masked", [False, True])
def test_dot_product_equals_keras_attention(keras, masked):
    inputs = case("padding" if masked else "plain", torch.float32) | {"scaling": 1.0}
    context, weights = Variant(HEADS, SIZE)(**inputs, need_weights=True)
    layer = keras.layers.Attention()
    for h in range(HEADS):
        theirs = keras_attend(layer, inputs, h)
        assert (context[:, h] - theirs[0]).abs().max() < 1e-5
        assert (weights[:, h] - theirs[1]).abs().max() < 1e-5


@pytest.mark.parametrize("masked", [False, True])
def test_additive_equals_keras_additive_attention(keras, masked):
    # Keras compares the inputs themselves, Σ w tanh(q + k): ours with projections W = I.
    inputs = case("padding" if masked else "plain", torch.float32)
    variant = make_variant("additive", HEADS, SIZE, {"attn_dim": SIZE, "mix": 1.0})
    variant.reset_parameters()
    with torch.no_grad():
        variant.query_projection.copy_(torch.eye(SIZE).expand(HEADS, -1, -1))
        variant.key_projection.copy_(torch.eye(SIZE).expand(HEADS, -1, -1))
    context, weights = variant(**inputs, need_weights=True)
    for h in range(HEADS):
        layer = keras.layers.AdditiveAttention()
        layer.build([(None, None, SIZE)] * 3)
        layer.scale.assign(variant.score[h].detach())
        theirs = keras_attend(layer, inputs, h)
        assert (context[:, h] - theirs[0]).abs().max() < 1e-5
        assert (weights[:, h] - theirs[1]).abs().max() < 1e-5


def keras_attend(layer, inputs: dict, head: int) -> tuple[torch.Tensor, torch.Tensor]:
    query, key, value = (inputs[name][:, head] for name in ("query", "key", "value"))
    mask = None if inputs["keep"] is None else [None, inputs["keep"][:, 0, 0]]
    return layer([query, value, key], mask=mask, return_attention_scores=True)


def test_bias_is_refused_by_name_where_it_cannot_be_honoured():
    with pytest.raises(ValueError, match="'linear' cannot honour a bias"):
        build("linear", {})(**case("bias"))


def test_unknown_names_and_options_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="unknown attention variant 'cosin': expected one of .*cosine"):
        make_variant("cosin", 2, 4, None)
    with pytest.raises(ValueError, match="'cosine' has no option windows: it takes mix=None, init='identity'"):
        make_variant("cosine", 2, 4, {"windows": 3})
    with pytest.raises(ValueError, match="init='papr': expected one of identity, paper"):
        make_variant("cosine", 2, 4, {"init": "papr"})
    with pytest.raises(ValueError, match="window=-1"):
        make_variant("local", 2, 4, {"window": -1})


def test_a_name_belongs_to_one_class():
    class Other(Variant):
        """Not cosine."""

    with pytest.raises(ValueError, match="'cosine' is already"):
        register_variant("cosine")(Other)


def test_dropout_acts_on_the_weights_and_keeps_their_mean():
    torch.manual_seed(0)
    for name, extra in FORMS:
        variant, inputs = build(name, extra, torch.float32), case("padding", torch.float32)
        still = variant(**inputs)[0]
        with torch.no_grad():
            mean = torch.stack([variant(**inputs, dropout=0.3)[0] for _ in range(600)]).mean(0)
        assert not torch.equal(variant(**inputs, dropout=0.3)[0], still), name
        assert (mean - still).abs().max() < 0.35, name
