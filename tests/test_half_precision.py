"""Every variant in fp16, bf16 and fp32, plain and fused, on inputs at the edge: finite, and near float64."""

import pytest
import torch

from hf_attn.attention import Variant, list_variants, make_variant
from hf_attn.attention.normalizers import Blend

BATCH, HEADS, TOKENS, SIZE = 2, 2, 17, 16
FORMS = [(name, {}) for name in list_variants()]
FORMS += [(name, {"mix": 0.3}) for name in list_variants() if isinstance(make_variant(name, 2, 4, None), Blend)]
ZERO_KEYS = "a static cache's unfilled places"
SITUATIONS = {
    "plain": (1.0, slice(0, 0), None),
    ZERO_KEYS: (1.0, slice(9, None), None),
    "masked zero keys": (1.0, slice(9, None), "padding"),
    "masked rows": (1.0, slice(0, 0), "rows"),
    "large scores": (60.0, slice(0, 0), None),
    "scores beyond fp16": (200.0, slice(0, 0), None),
    "tiny": (1e-4, slice(0, 0), None),
}
TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 0.15}


def build(name: str, extra: dict, dtype: torch.dtype) -> tuple[Variant, Variant]:
    """Return a variant away from its start in ``dtype``, and the same numbers in float64."""
    variants = [make_variant(name, HEADS, SIZE, extra) for _ in range(2)]
    random = torch.Generator().manual_seed(1)
    for variant in variants:
        variant.reset_parameters()
    with torch.no_grad():
        for parameter, same in zip(*(variant.parameters() for variant in variants), strict=True):
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
            same.copy_(parameter.to(dtype))
    return variants[0].to(dtype), variants[1].double()


def inputs_of(situation: str, dtype: torch.dtype) -> tuple[list[torch.Tensor], torch.Tensor | None]:
    scale, zeros, masked = SITUATIONS[situation]
    random = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(BATCH, HEADS, TOKENS, SIZE, generator=random) for _ in range(3))
    query, key = query * scale, key * scale
    key[:, :, zeros] = 0
    keep = None
    if masked:
        keep = torch.ones(BATCH, 1, 1, TOKENS, dtype=torch.bool)
        keep[:, ..., 9:] = False
        keep[0] &= masked != "rows"
    return [tensor.to(dtype) for tensor in (query, key, value)], keep


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("name", "extra"), FORMS, ids=[f"{n}{'-mix' * bool(e)}" for n, e in FORMS])
def test_context_and_gradients_are_finite_and_near_float64(name, extra, dtype):
    for situation in SITUATIONS:
        variant, reference = build(name, extra, dtype)
        tensors, keep = inputs_of(situation, dtype)
        expected = reference(*(tensor.double() for tensor in tensors), keep=keep, need_weights=True)[0]
        for plain in (True, False):
            given = [tensor.clone().requires_grad_() for tensor in tensors]
            context = variant(*given, keep=keep, need_weights=plain)[0]
            wanted = given if SITUATIONS[situation][0] > 1 else [*given, *variant.parameters()]
            gradients = torch.autograd.grad(context.float().square().sum(), wanted, allow_unused=True)
            assert context.dtype == dtype and context.isfinite().all(), situation
            assert all(g is None or g.isfinite().all() for g in gradients), situation
            if SITUATIONS[situation][0] <= 1:  # larger scores are hard choices, which rounding of the inputs turns
                assert (context.double() - expected).abs().max() < TOLERANCE[dtype], situation


def test_under_autocast_fp16_inputs_are_compared_in_fp32():
    variant, reference = build("entmax15", {}, torch.float16)
    tensors, _ = inputs_of("scores beyond fp16", torch.float16)
    with torch.autocast("cpu", torch.bfloat16):
        found = variant(*tensors)[0]
    expected = reference(*(tensor.double() for tensor in tensors))[0]
    assert (found.double() - expected).abs().max() < 2e-2


def test_a_key_of_zeros_scores_zero_by_cosine():
    variant = make_variant("cosine", HEADS, SIZE, {"init": "paper"})
    variant.reset_parameters()
    for dtype in TOLERANCE:
        tensors, _ = inputs_of(ZERO_KEYS, dtype)
        scores = variant.to(dtype).scores(tensors[0], tensors[1], 1.0)
        assert not scores[..., 9:].any() and scores[..., :9].abs().min() > 0
