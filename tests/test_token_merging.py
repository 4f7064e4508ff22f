"""Token merging (ToMe) against a plain loop in float64, on every architecture that takes it, and on the real ViT."""

import io
import os
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_model
from transformers import (
    AutoModelForImageClassification,
    BertModel,
    DeiTForImageClassificationWithTeacher,
    Dinov2ForImageClassification,
    Dinov2WithRegistersForImageClassification,
    SwinForImageClassification,
    ViTForImageClassification,
    ViTMSNForImageClassification,
)

from hf_attn import attention_map, swap_attention
from hf_attn.errors import InputError
from hf_attn.models.vision.drop_path import add_drop_path
from hf_attn.models.vision.token_matching import match
from hf_attn.models.vision.token_merging import merge_tokens, merged_tokens

SHARED = Path(os.environ.get("HF_ATTN_SHARED", Path(__file__).parents[1] / "../shared")).resolve()
VIT = SHARED / "checkpoints/vit-tiny-patch16-224-in1k"
CIFAR = SHARED / "data/cifar10/test.parquet"
CLASSES = {
    "vit": ViTForImageClassification,
    "vit_msn": ViTMSNForImageClassification,
    "deit": DeiTForImageClassificationWithTeacher,
    "dinov2": Dinov2ForImageClassification,
    "dinov2_with_registers": Dinov2WithRegistersForImageClassification,
}
FIRST = {"deit": 2, "dinov2_with_registers": 5}
R = 3


def images(rows=2, dtype=torch.float32):
    return torch.randn(rows, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.fixture(params=CLASSES)
def model(request):
    return tiny_model(request.param, CLASSES[request.param])


@pytest.fixture
def vit():
    return tiny_model("vit", ViTForImageClassification)


def block_by_hand(block, x, size, heads, first, r):
    """One block on one image, one token at a time: x (tokens, dim) and size, lists of float64 vectors and numbers."""
    attention, scale = block.attention, block.attention.scaling
    normed = block.layernorm_before(torch.stack(x))
    q, k, v = (getattr(attention, name)(normed).unflatten(-1, (heads, -1)) for name in ("q_proj", "k_proj", "v_proj"))
    contexts = []
    for i in range(len(x)):
        parts = []
        for h in range(heads):
            scores = torch.stack([q[i, h] @ k[j, h] * scale + torch.tensor(size[j]).log() for j in range(len(x))])
            weights = scores.exp() / scores.exp().sum()
            parts.append(sum(weights[j] * v[j, h] for j in range(len(x))))
        contexts.append(torch.cat(parts))
    x = [token + attention.o_proj(context) for token, context in zip(x, contexts, strict=True)]
    keys = [k[j].mean(0) / k[j].mean(0).norm() for j in range(len(x))]
    ties = []
    for i in range(first, len(x), 2):
        near = max(range(first + 1, len(x), 2), key=lambda j: float(keys[i] @ keys[j]))
        ties.append((float(keys[i] @ keys[near]), i, near))
    groups = {j: [j] for j in range(len(x))}
    for _, i, near in sorted(ties, reverse=True)[: min(r, (len(x) - first) // 2)]:
        groups[near] += groups.pop(i)
    x = [sum(size[j] * x[j] for j in group) / sum(size[j] for j in group) for group in groups.values()]
    size = [sum(size[j] for j in group) for group in groups.values()]
    return [token + block.mlp(block.layernorm_after(token)) for token in x], size


def test_every_block_is_the_plain_loop_in_float64(vit):
    vit.double()
    pixels, heads = images(dtype=torch.float64), vit.config.num_attention_heads
    with torch.no_grad(), merged_tokens(vit, R) as merged:
        found = vit(pixels, output_hidden_states=True).hidden_states
        sizes = [block.left for block in merged.blocks]
        for row in range(len(pixels)):
            x, size = list(found[0][row]), [1.0] * found[0].shape[1]
            merged.remove()
            for number, block in enumerate(vit.vit.layers):
                x, size = block_by_hand(block, x, size, heads, 1, R)
                torch.testing.assert_close(sizes[number][row].tolist(), size)
                torch.testing.assert_close(found[number + 1][row], torch.stack(x), rtol=1e-6, atol=1e-6)


def test_no_token_merged_is_the_plain_model_exactly(model):
    plain = model(images()).logits
    with merged_tokens(model, 0):
        assert torch.equal(model(images()).logits, plain)


def test_tokens_after_each_block_and_the_first_ones_are_kept(model):
    first = FIRST.get(model.config.model_type, 1)
    plain = model(images()).logits
    with merged_tokens(model, R) as merged:
        output = model(images(), output_hidden_states=True)
        before = output.hidden_states[0].shape[1]
        expected = [before - R, before - 2 * R]
        assert merged.tokens == expected
        assert [state.shape[1] for state in output.hidden_states[1:3]] == expected
        for block in merged.blocks:
            assert (block.left[:, :first] == 1).all()
            assert (block.left.sum(1) == before).all()
    assert output.logits.shape == plain.shape and not torch.equal(output.logits, plain)
    assert torch.equal(model(images()).logits, plain)


def test_first_tokens_are_the_class_token_distillation_and_registers(model):
    """What the model puts before its patches is as long as token merging takes it to be."""
    side = model.config.image_size // model.config.patch_size
    with torch.no_grad(), merged_tokens(model, 1) as merged:
        model(images())
        tokens = merged.tokens[0] + 1
    assert tokens - side * side == FIRST.get(model.config.model_type, 1)


def test_more_than_half_is_never_merged(vit):
    with merged_tokens(vit, 10_000) as merged:
        vit(images())
    patches = (vit.config.image_size // vit.config.patch_size) ** 2
    assert merged.tokens == [1 + patches - patches // 2, 1 + patches - patches // 2 - patches // 4]


def test_equal_tokens_merge_without_a_trace():
    """An image of one colour, without positions: all patches are alike, and merging them changes nothing."""
    model = tiny_model("vit", ViTForImageClassification).double()
    torch.nn.init.zeros_(model.vit.embeddings.position_embeddings)
    pixels = torch.full((2, 3, 32, 32), 0.3, dtype=torch.float64)
    plain = model(pixels).logits
    with merged_tokens(model, 5):
        torch.testing.assert_close(model(pixels).logits, plain, rtol=1e-6, atol=1e-6)


def test_merging_undone_gives_each_token_its_groups_mean():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 9, 4, generator=random, dtype=torch.float64)
    size = torch.randint(1, 4, (3, 9), generator=random).double()
    merging = match(torch.randn(3, 9, 5, generator=random), size, 2, 1)
    merged = merging.merge(x)
    torch.testing.assert_close(merging.merge(merging.unmerge(merged)), merged)
    torch.testing.assert_close((merged * merging.size[..., None]).sum(1), (x * size[..., None]).sum(1))


def test_gradients_flow_through_merging(vit):
    vit.double()
    pixels = images(1, torch.float64)
    with merged_tokens(vit, 2):
        hidden = vit.vit.embeddings(pixels).detach().requires_grad_()

        def blocks(x):
            for layer in vit.vit.layers:
                x = layer(x, None)
            return x.sum(1)

        assert torch.autograd.gradcheck(blocks, hidden, fast_mode=True)
        loss = vit.train()(pixels, labels=torch.tensor([1])).loss
        loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in vit.parameters())


def test_gradient_checkpointing_changes_no_gradient(vit):
    vit.train()
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            vit.gradient_checkpointing_enable()
        vit.zero_grad()
        with merged_tokens(vit, R):
            vit(images(), labels=torch.tensor([0, 1])).loss.backward()
        gradients.append([p.grad.clone() for p in vit.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_functions_agree(vit, implementation):
    with merged_tokens(vit, R):
        expected = vit(images()).logits
        vit.set_attn_implementation(implementation)
        torch.testing.assert_close(vit(images()).logits, expected)


@pytest.mark.parametrize("variant", [None, "dot_product", "entmax15"])
def test_half_precision_merges_in_training_too(vit, variant):
    model = (swap_attention(vit, variant) if variant else vit).train()
    with merged_tokens(model, R), torch.autocast("cpu", torch.bfloat16):
        loss = model(images(), labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters())
    with merged_tokens(model.bfloat16(), R):
        assert model(images(dtype=torch.bfloat16)).logits.isfinite().all()


@pytest.mark.parametrize("variant", ["dot_product", "cosine", "gated", "talking_heads", "temperature"])
def test_identity_variants_merge_as_the_plain_model(vit, variant):
    with merged_tokens(vit, R):
        expected = vit(images()).logits
    swapped = swap_attention(vit, variant)
    with merged_tokens(swapped, R):
        torch.testing.assert_close(swapped(images()).logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", ["entmax15", "sparsemax", "sigmoid"])
def test_other_normalisations_take_the_sizes_as_a_bias(vit, variant):
    swapped = swap_attention(vit, variant)
    plain = swapped(images()).logits
    with merged_tokens(swapped, R) as merged:
        found = swapped(images()).logits
    assert found.isfinite().all() and not torch.equal(found, plain) and merged.tokens[-1] == 17 - 2 * R


@pytest.mark.parametrize(("variant", "word"), [("linear", "takes no bias"), ("local", "places"), ("window", "places")])
def test_variants_that_cannot_are_refused(vit, variant, word):
    with pytest.raises(InputError, match=word):
        merge_tokens(swap_attention(vit, variant), R)


@pytest.mark.parametrize(("model_type", "cls"), [("swin", SwinForImageClassification), ("bert", BertModel)])
def test_other_architectures_are_refused(model_type, cls):
    with pytest.raises(InputError, match=f"not {model_type}"):
        merge_tokens(tiny_model(model_type, cls), R)


def test_a_negative_number_is_refused(vit):
    with pytest.raises(InputError, match="-1"):
        merge_tokens(vit, -1)


def test_attention_maps_show_the_merged_tokens(vit):
    with merged_tokens(vit, R):
        maps = attention_map(vit, {"pixel_values": images()})
    assert [tuple(m.shape[-2:]) for m in maps] == [(17, 17), (17 - R, 17 - R)]
    assert all(torch.allclose(m.sum(-1), torch.ones(())) for m in maps)


def test_hidden_states_are_the_merged_ones_though_they_were_asked_for_before(vit):
    vit(images(), output_hidden_states=True)
    with merged_tokens(vit, R):
        assert [h.shape[1] for h in vit(images(), output_hidden_states=True).hidden_states[1:]] == [17 - R, 17 - 2 * R]


def test_drop_path_and_merging_go_together_in_either_order(vit):
    vit.train()
    for first, second in ((add_drop_path, merge_tokens), (merge_tokens, add_drop_path)):
        handles = [add(vit, 0.5 if add is add_drop_path else R) for add in (first, second)]
        torch.manual_seed(0)
        assert vit(images(), output_hidden_states=True).hidden_states[-1].shape[1] == 17 - 2 * R
        for handle in handles:
            handle.remove()


def test_the_state_dict_stays_as_it_is(vit):
    before = list(vit.state_dict())
    with merged_tokens(vit, R):
        assert list(vit.state_dict()) == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in vit.modules() if "ViT" in type(m).__name__)


@pytest.mark.parametrize(("r", "agreement", "last"), [(4, 0.75, 149), (8, 0.65, 101), (13, 0.5, 41)])
def test_the_real_vit_sees_the_same_in_fewer_tokens(r, agreement, last):
    if not VIT.is_dir() or not CIFAR.is_file():
        pytest.skip(f"{VIT} or {CIFAR} is missing")
    pixels, plain = photographs()
    model = AutoModelForImageClassification.from_pretrained(VIT).eval()
    with torch.no_grad(), merged_tokens(model, r) as merged:
        found = model(pixels).logits
    assert merged.tokens[-1] == last
    assert (found.argmax(-1) == plain.argmax(-1)).float().mean() >= agreement
    assert torch.nn.functional.cosine_similarity(found, plain).mean() > agreement


_kept = {}


def photographs(rows=16):
    """CIFAR-10 test images at 224 pixels, and the real ViT's logits."""
    if not _kept:
        import pandas as pd
        from PIL import Image

        column = pd.read_parquet(CIFAR).iloc[:rows]["image"]
        decoded = [Image.open(io.BytesIO(image["bytes"])).convert("RGB").resize((224, 224), 3) for image in column]
        levels = torch.stack(
            [torch.frombuffer(bytearray(i.tobytes()), dtype=torch.uint8).view(224, 224, 3) for i in decoded]
        )
        pixels = levels.permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            _kept["both"] = pixels, AutoModelForImageClassification.from_pretrained(VIT).eval()(pixels).logits
    return _kept["both"]
