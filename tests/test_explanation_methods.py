"""Each method of explanation on each kind of model: shapes, signs, sums, and that it looks at what was learnt."""

import numpy as np
import pytest
import torch
from explained_models import KINDS, case_of, loaded

from hf_attn import InputError
from hf_attn.explain.methods import METHODS
from hf_attn.explain.shuffled import shuffled

TOKENS = KINDS[:4]
OF_ATTENTION = ("attention", "rollout", "flow", "value_norms", "value_zeroing", "grad_attention", "relevance")
REFUSED = (
    *((name, kind) for name in ("deep_lift", "grad_cam") for kind in (*TOKENS, "image")),
    *((name, "plain CNN") for name in OF_ATTENTION),
    *((name, "CNN with a head") for name in (*OF_ATTENTION, "deep_lift") if name != "attention"),
)
COMPLETE = ("integrated_gradients", "deep_lift", "kernel_shap", "partition_shap")
"""Their weights sum to the difference between the whole input and nothing of it."""
CELLS = [(name, kind) for name in METHODS for kind in KINDS if (name, kind) not in REFUSED]
QUICK = {"lime": {"samples": 60}, "kernel_shap": {"samples": 60}, "partition_shap": {"samples": 60}}


def explained(name, kind, case=None, **how):
    return METHODS[name].run(case or case_of(kind, **how), **QUICK.get(name, {}))


@pytest.mark.parametrize(("name", "kind"), CELLS)
def test_a_method_gives_each_part_a_weight_of_its_sign_and_the_same_again_in_batches_of_any_size(name, kind):
    found = explained(name, kind, batch_size=32)
    assert found.weights.shape == (len(found.parts),) and np.isfinite(found.weights).all()
    assert METHODS[name].signed or (found.weights >= 0).all()
    assert np.ptp(found.weights) > 0
    again = explained(name, kind, batch_size=3)
    np.testing.assert_allclose(again.weights, found.weights, rtol=2e-3, atol=2e-5 * np.abs(found.weights).max())


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_a_method_that_does_not_fit_a_model_says_so_and_what_does(name, kind):
    with pytest.raises(InputError, match="integrated_gradients|occlusion|relevance"):
        explained(name, kind)


@pytest.mark.parametrize(("name", "kind"), [cell for cell in CELLS if cell[0] in COMPLETE])
def test_the_weights_of_a_complete_method_sum_to_what_the_parts_together_change(name, kind):
    case = case_of(kind)
    found = explained(name, kind, case)
    if name.endswith("shap"):
        wanted = case.score - case.scores(np.zeros((1, len(case)), bool))[0]
    else:
        leaf = case.leaf()
        with torch.no_grad():
            ends = case.asked.logit(leaf.forward(torch.cat([leaf.baseline, leaf.value])))
        wanted = float(ends[1] - ends[0])
    assert found.weights.sum() == pytest.approx(wanted, rel=0.01)
    assert found.notes["completeness_error"] <= 0.01


@pytest.mark.parametrize(("name", "kind"), [cell for cell in CELLS if cell[0] not in ("random", "partition_shap")])
def test_a_method_looks_at_the_weights_of_the_model(name, kind):
    case = case_of(kind)
    if kind == "number" and name in ("value_zeroing", "rollout", "flow", "attention", "value_norms"):
        pytest.skip("the same encoder as of texts")
    other = explained(name, kind, case.in_model(shuffled(loaded(kind)[0], 1))).weights
    found = explained(name, kind, case).weights
    assert np.abs(found / np.abs(found).max() - other / np.abs(other).max()).max() > 0.02


@pytest.mark.parametrize("kind", [*TOKENS, "image"])
@pytest.mark.parametrize("name", ["attention", "rollout"])
def test_attention_and_rollout_share_out_one_whole_between_parts_and_tokens_that_are_none(name, kind):
    found = explained(name, kind)
    assert found.weights.sum() + sum(found.sinks.values()) == pytest.approx(1, abs=1e-5)
    assert len(found.sinks) == (1 if kind == "image" else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_left_in_its_mode_without_gradients_or_hooks(kind):
    model, _ = loaded(kind)
    model.train()
    try:
        for name in METHODS:
            if (name, kind) not in REFUSED:
                explained(name, kind)
        assert model.training and all(module.training for module in model.modules())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
        assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    finally:
        model.eval()


@pytest.mark.parametrize("name", [name for name in METHODS if (name, "text") not in REFUSED])
def test_the_difference_of_two_classes_and_a_named_class_are_explained(name):
    for how in ({"target": "payment"}, {"target": 1, "against": "other"}, {"against": None, "target": "2"}):
        found = explained(name, "text", **how)
        assert found.target == {1: "payment − other", "payment": "payment", "2": "other"}[how["target"]]
        assert found.unit == ("difference of logits" if how.get("against") else "probability")


def test_an_attribution_travels_as_json_with_the_places_of_its_parts():
    import json

    read = json.loads(explained("occlusion", "pair").to_json())
    assert [(part["name"], part["source"], part["span"]) for part in read["parts"]][:2] == [
        ("my", 0, [0, 2]), ("card", 0, [3, 7])
    ]  # fmt: skip
    assert {part["source"] for part in read["parts"]} == {0, 1} and read["method"] == "occlusion"
    boxes = json.loads(explained("occlusion", "image").to_json())["parts"]
    assert boxes[0]["box"] == [0, 0, 8, 8] and len(boxes) == 9
