"""Attention maps: equal to eager's, only what was asked for, and nothing else of the model changed."""

import copy

import pytest
import tiny_models
import torch
from test_architectures import REQUIRED, swappable

from hf_attn.attention import VARIANTS, attention_layers, attention_map, list_variants, swap_attention, watch_attention
from hf_attn.attention.variant import Variant


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


def build(model_type: str, dtype: torch.dtype = torch.float64) -> tuple[torch.nn.Module, dict]:
    model = tiny_models.tiny_model(model_type).to(dtype)
    inputs = tiny_models.inputs_for(model)
    return model, {key: x.to(dtype) if x.is_floating_point() else x for key, x in inputs.items()}


def eager(model: torch.nn.Module, inputs: dict) -> tuple[torch.Tensor, ...]:
    """Return the attentions of transformers' own eager implementation, (batch, heads, queries, keys) a layer."""
    reference = copy.deepcopy(model)
    reference.set_attn_implementation("eager")
    with torch.no_grad():
        output = reference(**inputs, output_attentions=True)
    return output.get("encoder_attentions") or output.attentions


ENCODERS = ["albert", "bert", "camembert", "deit", "dinov2", "distilbert", "electra", "modernbert", "roberta", "vit"]
ENCODERS += ["wav2vec2", "hubert", "xlm-roberta", "clip_vision_model", "vivit"]


@pytest.mark.parametrize("model_type", ENCODERS)
def test_maps_of_a_stock_model_equal_eager_attentions(model_type):
    model, inputs = build(model_type)
    maps, reference = attention_map(model, inputs), eager(model, inputs)
    valid = inputs["attention_mask"].bool() if "attention_mask" in inputs else None
    assert len(maps) == len(reference)
    for ours, theirs in zip(maps, reference, strict=True):
        difference = (ours - theirs).abs()
        if valid is not None:  # what a padded query attends to is nobody's business
            difference = difference.amax((1, 3))[valid]
        assert difference.max() <= 1e-6
    first, single = build(model_type, torch.float32)
    assert (attention_map(first, single, layers=[0])[0] - eager(first, single)[0]).abs().max() <= 1e-6


def test_maps_of_window_attention_are_a_list_that_equals_eager():
    model, inputs = build("swin")
    maps, reference = attention_map(model, inputs), eager(model, inputs)
    assert isinstance(maps, list) and [m.shape for m in maps] == [m.shape for m in reference]
    assert max((a - b).abs().max().item() for a, b in zip(maps, reference, strict=True)) <= 1e-6


@pytest.mark.parametrize("name", list_variants())
def test_maps_of_a_variant_equal_its_output_attentions_and_rows_sum_to_one(name):
    model, inputs = build("vit" if VARIANTS[name].needs_patches else "bert")
    swapped = swap_attention(model, name)
    tiny_models.perturb(swapped)
    maps = attention_map(swapped, inputs)
    with torch.no_grad():
        reported = swapped(**inputs, output_attentions=True).attentions
    tokens = 17 if VARIANTS[name].needs_patches else 12
    assert maps.shape == (2, 2, 4, tokens, tokens) and len(reported) == 2
    assert (maps - torch.stack(reported)).abs().max() < 1e-12
    if not VARIANTS[name].needs_patches:
        assert not maps[:, 1, :, :, 7:].any()
    if VARIANTS[name].normalized:
        assert (maps.sum(-1) - 1).abs().max() < 1e-6
    else:
        assert (maps.sum(-1) - 1).abs().max() > 1e-2


def test_only_asked_layers_heads_and_rows_are_computed(monkeypatch):
    model, inputs = build("bert")
    everything = attention_map(model, inputs)
    computed = []
    scores = Variant.scores

    def counted(self, query, key, scaling):
        computed.append((query.shape, key.shape))
        return scores(self, query, key, scaling)

    monkeypatch.setattr(Variant, "scores", counted)
    rows = attention_map(model, inputs, layers=[-1], rows=[0, -1])
    assert computed == [((2, 4, 2, 8), (2, 4, 12, 8))]
    assert rows.shape == (1, 2, 4, 2, 12)
    assert (rows[0] - everything[1][:, :, [0, -1]]).abs().max() < 1e-12
    chosen = attention_map(model, inputs, layers=[1, 0], heads=[-1, 0])
    assert (chosen - everything[[1, 0]][:, :, [3, 0]]).abs().max() < 1e-12


@pytest.mark.parametrize("variant", [None, "cosine", "entmax15", "talking_heads"])
def test_a_watched_model_gives_the_same_output_and_gradient_on_its_own_path(variant):
    model, inputs = build("bert", torch.float32)
    model = swap_attention(model, variant) if variant else model
    results = []
    for watched in (False, True):
        model.zero_grad()
        if watched:
            with watch_attention(model, layers=[0], rows=[0]) as watch:
                logits = model(**inputs).logits
            assert set(watch.maps) == {0}
        else:
            logits = model(**inputs).logits
        logits.square().sum().backward()
        results.append([logits, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert model.config._attn_implementation == ("hf_attn_v1" if variant else "sdpa")


def test_capture_off_costs_no_second_computation(monkeypatch):
    model, inputs = build("bert")
    swapped = swap_attention(model, "cosine")
    monkeypatch.setattr(Variant, "weights", lambda *a, **k: pytest.fail("weights were made"))
    with torch.no_grad():
        swapped(**inputs)
        model(**inputs)


def test_maps_are_taken_before_dropout_and_carry_gradients():
    model, inputs = build("bert", torch.float32)
    model.config.attention_probs_dropout_prob = 0.5
    for layer in attention_layers(model).values():
        layer.dropout.p = 0.5
    calm = attention_map(model, inputs)
    model.train()
    assert torch.equal(attention_map(model, inputs), calm) and model.training
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in attention_layers(model).values():
        layer.dropout.p = 0.5
    with watch_attention(model, layers=[0]) as watch:
        model(**inputs)
    assert (watch.maps[0] - calm[0]).abs().max() < 1e-6
    watch.maps[0][:, :, 0].square().sum().backward()
    assert model.bert.encoder.layer[0].attention.self.query.weight.grad.abs().max() > 0


def test_a_shared_layer_gives_a_map_for_every_time_it_runs():
    model, inputs = build("albert")
    assert len(attention_layers(model)) == 1
    maps = attention_map(model, inputs)
    assert len(maps) == model.config.num_hidden_layers == 2
    assert (attention_map(model, inputs, layers=[1])[0] - maps[1]).abs().max() < 1e-12
    assert (attention_map(model, inputs, layers=[-1])[0] - maps[1]).abs().max() < 1e-12


def test_every_architecture_can_be_watched_as_stock_and_as_variant():
    wrong = {}
    for i, model_type in enumerate(swappable()):
        if model_type not in REQUIRED and i % 6:
            continue
        model, inputs, stock = tiny_models.running()[model_type]
        swapped = swap_attention(model, "cosine")
        for watched in (model, swapped):
            maps = attention_map(watched, inputs)
            sums = torch.cat([m.sum(-1).flatten() for m in maps])
            sums = sums[sums > 1e-6]  # queries without a key: padding on the left of a causal mask
            if not len(maps) or (sums - 1).abs().max() > 1e-4:
                wrong[model_type] = (len(maps), sums)
        if tiny_models.difference(tiny_models.outputs_of(model, inputs), stock) > 0:
            wrong[model_type] = "changed"
    assert not wrong


@pytest.mark.parametrize("model_type", ["siglip_vision_model", "yolos", "videomae", "gpt2", "opt"])
def test_output_attentions_works_where_the_flag_is_not_passed_on(model_type):
    model, inputs = build(model_type)
    swapped = swap_attention(model, "dot_product")
    with torch.no_grad():
        reported = swapped(**inputs, output_attentions=True).attentions
    reference = eager(model, inputs)
    assert len(reported) == len(reference) > 0
    valid = inputs["attention_mask"].bool() if "attention_mask" in inputs else None
    for ours, theirs in zip(reported, reference, strict=True):
        difference = (ours - theirs).abs()
        assert (difference if valid is None else difference.amax((1, 3))[valid]).max() <= 1e-6


def test_bad_indices_are_refused_in_words():
    model, inputs = build("bert")
    for arguments, message in (
        ({"layers": [2]}, r"layers=\[2\]: there are 2, so 2 must be from -2 to 1"),
        ({"heads": [-5]}, r"heads=\[-5\]: there are 4"),
        ({"rows": [12]}, r"rows=\[12\]: there are 12"),
    ):
        with pytest.raises(ValueError, match=message):
            attention_map(model, inputs, **arguments)
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match="Deberta.* cannot be watched"):
        attention_map(tiny_models.tiny_model("deberta", tiny_models.classes_of("deberta")[0]), inputs)


def test_a_model_of_peft_and_a_compiled_one_can_be_watched():
    from peft import LoraConfig, get_peft_model

    model, inputs = build("bert", torch.float32)
    swapped = swap_attention(model, "talking_heads")
    tiny_models.perturb(swapped)
    maps = attention_map(swapped, inputs)
    adapted = get_peft_model(
        copy.deepcopy(swapped), LoraConfig(target_modules=["query"], modules_to_save=["hf_attn"])
    ).eval()
    assert (attention_map(adapted, inputs) - maps).abs().max() < 1e-6
    compiled = torch.compile(swapped, backend="eager")
    before = compiled(**inputs).logits
    assert (attention_map(compiled, inputs) - maps).abs().max() < 1e-6
    assert torch.equal(compiled(**inputs).logits, before)
