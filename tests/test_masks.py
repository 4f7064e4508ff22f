"""Masks of a user's own, (batch, 1, queries, keys): boolean, or of 0 and -∞ to be added to the scores."""

import pytest
import tiny_models
import torch
from transformers.models.llama.modeling_llama import LlamaForCausalLM

from hf_attn.attention import VARIANTS, list_variants, swap_attention

LENGTH, PADDED = 7, 3
FLAT = [name for name in list_variants() if not VARIANTS[name].needs_patches]
LEAST = {"least": torch.finfo(torch.float32).min, "infinite": -torch.inf}


def trained(name):
    model = swap_attention(tiny_models.tiny_model("llama", LlamaForCausalLM), name)
    tiny_models.perturb(model)
    return model


def inputs():
    """Ids of a padded row and a full one, and which keys each query may attend to."""
    ids = torch.randint(3, 90, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    keep = torch.ones(2, 1, LENGTH, LENGTH, dtype=torch.bool).tril()
    keep[0, :, PADDED:, :PADDED] = False
    positions = torch.arange(LENGTH).expand(2, LENGTH)
    return ids, keep, positions


@pytest.mark.parametrize("least", LEAST)
@pytest.mark.parametrize("name", FLAT)
@torch.no_grad()
def test_a_float_mask_is_what_the_boolean_one_is(name, least):
    model, (ids, keep, positions) = trained(name), inputs()
    added = torch.zeros(keep.shape).masked_fill(~keep, LEAST[least])
    expected = model(ids, attention_mask=keep, position_ids=positions).logits
    found = model(ids, attention_mask=added, position_ids=positions).logits
    assert (found - expected).abs().max() < 1e-6
    alone = model(ids[:1, PADDED:], position_ids=positions[:1, PADDED:]).logits
    assert (found[:1, PADDED:] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("name", [name for name in FLAT if not VARIANTS[name].accepts_bias])
def test_a_float_mask_that_weighs_keys_is_refused_where_it_cannot_be_honoured(name):
    model, (ids, keep, positions) = trained(name), inputs()
    added = torch.zeros(keep.shape).masked_fill(~keep, -torch.inf)
    added[..., 1] -= 1
    with pytest.raises(ValueError, match=f"'{name}' cannot honour a bias on the scores"):
        model(ids, attention_mask=added, position_ids=positions)
