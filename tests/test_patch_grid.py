"""Attention on the grid of patches: against loops in float64, fused against plain, and on the real ViT."""

import os
from pathlib import Path

import numpy as np
import pytest
import reference_attention
import tiny_models
import torch
from transformers import AutoModelForImageClassification
from transformers.models.clip.modeling_clip import CLIPModel

from hf_attn.attention import Variant, make_variant, swap_attention, variant_info
from hf_attn.attention.call import Call

HEADS, SIZE, BATCH = 2, 4, 2
SHARED = Path(os.environ.get("HF_ATTN_SHARED") or Path(__file__).parents[2] / "shared")
VIT = SHARED / "checkpoints/vit-tiny-patch16-224-in1k"
real = pytest.mark.skipif(not VIT.exists(), reason=f"the ViT checkpoint is not in {VIT}")

# Tokens, and the options of the variant: prefixes of 0, 1, 2 and 5 tokens, grids that cells divide or not, levels.
LAYOUTS = {
    "0+4·4": (16, {"window": 1, "pool": 2}),
    "1+3·3, cells cut": (10, {"window": 0, "pool": [2]}),
    "2+4·4": (18, {"window": 1, "pool": [2, 4]}),
    "5+3·3, cells of unequal cut": (14, {"window": 0, "pool": [2, 3]}),
    "1+2·5": (11, {"window": 1, "pool": 2, "grid": [2, 5]}),
    "2+5·3, one cell larger than the grid": (17, {"window": 1, "pool": [7], "grid": [5, 3]}),
}
MASKS = ["none", "keys", "pairs", "causal"]
FORMS = [(name, extra) for name in ("window", "focal") for extra in ({}, {"mix": 0.3}, {"init": "paper"})]
form = pytest.mark.parametrize(("name", "extra"), FORMS, ids=[f"{n} {e or ''}" for n, e in FORMS])
layout = pytest.mark.parametrize("where", LAYOUTS)


def build(name: str, where: str, extra: dict, dtype: torch.dtype = torch.float64) -> tuple[Variant, dict]:
    """Return a variant whose parameters are far from their start, and the options that it was made with."""
    options = {k: v for k, v in LAYOUTS[where][1].items() if name == "focal" or k != "pool"} | extra
    variant = make_variant(name, HEADS, SIZE, options)
    variant.reset_parameters()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in variant.parameters():
            parameter += 0.7 * torch.randn(parameter.shape, generator=random)
    return variant.to(dtype), options


def tensors(tokens: int, mask: str, dtype: torch.dtype = torch.float64) -> dict:
    """Return query, key, value and keep; in the masks by keys and by pairs, the second example masks whole cells."""
    random = torch.Generator().manual_seed(1)
    query, key, value = 1.5 * torch.randn(3, BATCH, HEADS, tokens, SIZE, generator=random, dtype=torch.float64)
    keep = None
    if mask == "keys":
        keep = torch.rand(BATCH, 1, 1, tokens, generator=random) > 0.4
        keep[1, ..., : tokens // 2] = False
        keep[1, ..., -1] = True
    if mask == "pairs":
        keep = torch.rand(BATCH, 1, tokens, tokens, generator=random) > 0.5
        keep[0, :, 3] = False
        keep[1, ..., tokens // 2 :] = False
        keep[1, :, -1] = False
    if mask == "causal":
        keep = torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril()
    return {"query": query.to(dtype), "key": key.to(dtype), "value": value.to(dtype), "keep": keep}


def expected(name: str, variant: Variant, options: dict, inputs: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return context and weights by the loops."""
    shape = (*inputs["query"].shape[:3], inputs["key"].shape[2])
    keep = np.ones(shape, bool) if inputs["keep"] is None else inputs["keep"].expand(shape).numpy()
    parameters = {key: parameter.detach().numpy() for key, parameter in variant.named_parameters()}
    arrays = [inputs[key].numpy() for key in ("query", "key", "value")]
    placed = {key: value for key, value in options.items() if key in ("window", "pool", "grid")}
    return reference_attention.attend(name, *arrays, parameters, np.zeros(shape), keep, SIZE**-0.5, **placed)


@form
@layout
def test_variant_equals_loop_in_float64(name, extra, where):
    variant, options = build(name, where, extra)
    for mask in MASKS:
        inputs = tensors(LAYOUTS[where][0], mask)
        context, weights = variant(**inputs, need_weights=True)
        reference_context, reference_weights = expected(name, variant, options, inputs)
        assert np.abs(weights.detach().numpy() - reference_weights).max() < 1e-12, mask
        assert np.abs(context.detach().numpy() - reference_context).max() < 1e-12, mask


@form
@layout
def test_fused_path_equals_plain_path_forward_and_backward(name, extra, where):
    variant, _ = build(name, where, extra)
    for mask in MASKS:
        results = []
        for plain in (True, False):
            inputs = tensors(LAYOUTS[where][0], mask)
            wanted = [inputs[key].requires_grad_() for key in ("query", "key", "value")] + [*variant.parameters()]
            context, _ = variant(**inputs, need_weights=plain)
            results.append((context, *torch.autograd.grad(context.square().sum(), wanted)))
        assert max((a - b).abs().max().item() for a, b in zip(*results, strict=True)) < 1e-10, mask


def test_the_fused_path_runs_unless_the_mask_differs_from_query_to_query():
    for name, extra in FORMS:
        variant, _ = build(name, "2+4·4", extra)
        for mask in MASKS:
            ran = variant.fused(Call(**tensors(18, mask), scaling=0.5)) is not None
            assert ran == (name == "window" or mask in ("none", "keys")), (name, mask)


@form
@layout
def test_rows_sum_to_one_unless_nothing_in_reach_is_kept(name, extra, where):
    variant, _ = build(name, where, extra)
    for mask in MASKS:
        inputs = tensors(LAYOUTS[where][0], mask)
        context, weights = variant(**inputs, need_weights=True)
        kept = torch.ones(()) if inputs["keep"] is None else inputs["keep"].any(-1).expand(weights.shape[:3])
        kept = kept.bool().expand(weights.shape[:3])
        assert not context[~kept].any() and not weights[~kept].any()
        if inputs["keep"] is not None:
            assert not weights[~inputs["keep"].expand_as(weights)].any()
        sums = weights.sum(-1)[kept]
        if name == "window" and mask in ("keys", "pairs"):  # a patch may have neighbours that are all masked
            sums = sums[sums > 0] if variant.beta is None else sums.new_ones(1)
        assert (sums - 1).abs().max() < 1e-12, mask


@form
@layout
def test_gradients_are_the_derivatives(name, extra, where):
    variant, _ = build(name, where, extra)
    for mask in ("none", "keys", "pairs"):
        inputs = tensors(LAYOUTS[where][0], mask)
        given = [inputs[key].requires_grad_() for key in ("query", "key", "value")]

        def context(query, key, value, *values, keep=inputs["keep"]):
            parameters = dict(zip(dict(variant.named_parameters()), values, strict=True))
            arguments = {"query": query, "key": key, "value": value, "keep": keep, "need_weights": True}
            return torch.func.functional_call(variant, parameters, (), arguments)[0]

        assert torch.autograd.gradcheck(context, (*given, *variant.parameters()), fast_mode=True), mask


@form
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_and_masked_rows_stay_finite_forward_and_backward(name, extra, dtype):
    variant, _ = build(name, "1+3·3, cells cut", extra, dtype)
    for mask in MASKS:
        for plain in (True, False):
            inputs = tensors(10, mask, dtype)
            wanted = [inputs[key].requires_grad_() for key in ("query", "key", "value")] + [*variant.parameters()]
            context = variant(**inputs, need_weights=plain)[0]
            assert context.dtype == dtype and context.isfinite().all()
            assert all(g.isfinite().all() for g in torch.autograd.grad(context.float().square().sum(), wanted))


@pytest.mark.parametrize("name", ["window", "focal"])
def test_compile_makes_one_graph_for_images_of_any_size(name):
    variant, _ = build(name, "0+4·4", {})
    torch._dynamo.reset()
    compiled = torch.compile(variant, fullgraph=True, backend="aot_eager")
    for tokens in (17, 37, 26):
        inputs = tensors(tokens, "none")
        assert (compiled(**inputs)[0] - variant(**inputs)[0]).abs().max() < 1e-12


def test_a_window_as_wide_as_the_grid_is_softmax_attention():
    inputs = tensors(18, "keys")
    wide = make_variant("window", HEADS, SIZE, {"window": 3, "init": "paper"})
    assert (wide(**inputs)[0] - Variant(HEADS, SIZE)(**inputs)[0]).abs().max() < 1e-14


def test_the_paper_start_of_focal_is_the_mean_of_each_cell_and_differs_from_softmax():
    focal = make_variant("focal", HEADS, SIZE, {"init": "paper", "window": 0}).double()
    focal.reset_parameters()
    inputs = tensors(17, "none")
    weights = focal(**inputs, need_weights=True)[1]
    far = weights[:, :, 1, [11, 12, 15, 16]]  # the cell of 2·2 patches at the other corner of 1 + 4·4
    assert (far - far[..., :1]).abs().max() < 1e-15 and far.min() > 0
    assert (focal(**inputs)[0] - Variant(HEADS, SIZE)(**inputs)[0]).abs().max() > 1e-2


def test_what_is_no_grid_is_refused_in_words():
    query = torch.randn(1, HEADS, 9, SIZE)
    cross = torch.randn(1, HEADS, 4, SIZE)
    many = torch.randn(1, HEADS, 5 * 5 + 8 + 9, SIZE)
    oblong = torch.randn(1, HEADS, 20 * 20 + 30, SIZE)
    for name in ("window", "focal"):
        variant = make_variant(name, HEADS, SIZE, None)
        variant.reset_parameters()
        with pytest.raises(ValueError, match="9 queries and 4 keys do not stand on one grid"):
            variant(query, cross, cross)
        with pytest.raises(ValueError, match="430 tokens are no square grid .* give grid="):
            variant(oblong, oblong, oblong)
        variant(many, many, many)
        with pytest.raises(ValueError, match="9 tokens are no grid of 4 rows and 3 columns"):
            make_variant(name, HEADS, SIZE, {"grid": [4, 3]})(query, query, query)
        with pytest.raises(ValueError, match=r"window=-1: .*grid=\[4\]: expected \[rows, columns\]"):
            make_variant(name, HEADS, SIZE, {"window": -1, "grid": [4]})
    for pool in (1, [], [2, 0], "2", 2.5, True):
        with pytest.raises(ValueError, match="pool="):
            make_variant("focal", HEADS, SIZE, {"pool": pool})
    with pytest.raises(ValueError, match="'focal' cannot honour a bias"):
        variant(query, query, query, bias=torch.zeros(1, 1, 9, 9))


def test_the_list_says_what_they_need():
    assert variant_info("window").refuses == "models without patches"
    assert variant_info("focal").refuses.endswith("; models without patches")
    assert (variant_info("window").identity, variant_info("focal").identity) == ("yes", "yes")


def test_the_vision_tower_of_two_takes_what_the_text_tower_cannot():
    with tiny_models.quiet():
        model = tiny_models.tiny_model("clip", CLIPModel)
        inputs = tiny_models.inputs_for(model)
        with pytest.raises(ValueError, match="CLIPModel cannot take .* 'focal' on text_model.*CLIPTextConfig"):
            swap_attention(model, "focal")
        swapped = swap_attention(model, "focal", include="vision_model")
        assert (
            tiny_models.difference(tiny_models.outputs_of(swapped, inputs), tiny_models.outputs_of(model, inputs))
            < 1e-5
        )


@real
@pytest.mark.parametrize(("name", "options"), [("focal", {}), ("window", {})])
def test_the_real_vit_keeps_its_logits_and_comes_back_bit_for_bit(tmp_path, name, options):
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    stock = AutoModelForImageClassification.from_pretrained(VIT).eval()
    model = swap_attention(stock, name, **options)
    with torch.no_grad():
        logits = stock(images).logits
        assert (model(images).logits - logits).abs().max() <= 1e-5
        tiny_models.perturb(model)
        trained = model(images).logits
        assert (trained - logits).abs().max() > 1e-2
        model.save_pretrained(tmp_path)
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
        assert torch.equal(loaded(images).logits, trained)
    assert loaded.config.attn_variant == name
    assert {"patch_grid.py", "grid.py"} <= {path.name for path in tmp_path.iterdir()}


@real
def test_the_real_vit_learns_through_focal_at_another_resolution():
    # Not the last layer: of it only the class token is read, which attends to all in any case.
    stock = AutoModelForImageClassification.from_pretrained(VIT)
    model = swap_attention(stock, "focal", include=r"layers?\.5\.").train()
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    model(images, interpolate_pos_encoding=True).logits.square().mean().backward()
    slots = {key: parameter.grad for key, parameter in model.named_parameters() if ".hf_attn." in key}
    assert len(slots) == 2 and all(g.isfinite().all() for g in slots.values())
    assert next(g for key, g in slots.items() if key.endswith("beta")).abs().max() > 0
