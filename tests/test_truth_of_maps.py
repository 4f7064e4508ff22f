"""A map is of the layer, the function and the parameters that ran, or it is refused in words."""

import pytest
import tiny_models
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    AttentionInterface,
    AttentionMaskInterface,
    BambaConfig,
    BambaForCausalLM,
    BartForSequenceClassification,
    BertForSequenceClassification,
    CLIPModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from hf_attn.attention import attention_map, attention_rollout, swap_attention, watch_attention


@pytest.fixture
def bert():
    return tiny_models.tiny_model("bert", BertForSequenceClassification)


INPUTS = tiny_models.inputs_for(tiny_models.tiny_model("bert", BertForSequenceClassification))


def eager_maps(model: nn.Module, inputs: dict = INPUTS) -> torch.Tensor:
    """Return the weights that transformers itself gives."""
    model.set_attn_implementation("eager")
    with torch.no_grad():
        return torch.stack(model(**inputs, output_attentions=True).attentions)


def away_from_padding(maps: torch.Tensor) -> torch.Tensor:
    return maps * INPUTS["attention_mask"][:, None, :, None]


@pytest.mark.parametrize(("groups", "inner"), [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2)])
def test_layers_that_share_modules_in_groups_have_each_their_own_map(groups, inner):
    sizes = {"hidden_size": 32, "embedding_size": 16, "num_attention_heads": 4, "intermediate_size": 40}
    config = AlbertConfig(**sizes, vocab_size=99, num_hidden_layers=4, num_hidden_groups=groups, inner_group_num=inner)
    torch.manual_seed(0)
    model = AlbertModel(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3)
    found = attention_map(model, INPUTS)
    ran = []
    for layer in (module for module in model.modules() if type(module).__name__ == "AlbertAttention"):
        layer.register_forward_hook(lambda _, args, output: ran.append(output[1]))
    model.set_attn_implementation("eager")
    model(**INPUTS)
    assert len(ran) == len(found) == 4 * inner
    assert away_from_padding(found - torch.stack(ran)).abs().max() < 1e-5
    last = attention_map(model, INPUTS, layers=-1)[0]
    assert torch.allclose(last, found[-1], atol=1e-5)


@torch.no_grad()
def test_one_attention_layer_among_others_is_one_layer_in_each_step():
    config = BambaConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_layer_indices=[1],
        mamba_n_heads=8,
        mamba_d_head=8,
        mamba_d_state=8,
        pad_token_id=0,
    )
    model = BambaForCausalLM(config).eval()
    tokens = torch.arange(5, 11)[None]
    assert attention_map(model, tokens, layers=[-1]).shape == (1, 1, 4, 6, 6)
    with watch_attention(model) as watch:
        model.generate(tokens, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert [step.shape[-1] for step in watch.steps[0]] == [6, 7, 8] and list(watch.steps) == [0]


def test_a_module_without_configuration_can_be_watched(bert):
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = bert
            del bert.bert.encoder.layer[1]

        def forward(self, **inputs):
            return self.inner(**inputs)

    assert attention_map(Around(), INPUTS).shape == (1, 2, 4, 12, 12)


def test_a_model_on_flex_attention_has_its_softmax_maps(bert):
    bert.set_attn_implementation("flex_attention")
    found = attention_map(bert, INPUTS)
    assert away_from_padding(found - eager_maps(bert)).abs().max() < 1e-5


@pytest.fixture
def own_functions():
    """A function that is softmax attention in other words, and one that is not."""

    def spy(*args, **kwargs):
        return sdpa_attention_forward(*args, **kwargs)

    def sharp(module, query, *args, **kwargs):
        return sdpa_attention_forward(module, 3 * query, *args, **kwargs)

    for function in (spy, sharp):
        AttentionInterface.register(f"own_{function.__name__}", function)
        AttentionMaskInterface.register(f"own_{function.__name__}", sdpa_mask)
    yield
    for name in ("own_spy", "own_sharp"):
        del AttentionInterface._global_mapping[name], AttentionMaskInterface._global_mapping[name]


@pytest.mark.parametrize("options", [{}, {"rows": [0, -3]}, {"heads": [1]}])
def test_an_attention_function_of_the_users_is_mapped_if_it_is_softmax_else_refused(bert, own_functions, options):
    expected = attention_map(bert, INPUTS, **options)
    bert.set_attn_implementation("own_spy")
    assert torch.equal(attention_map(bert, INPUTS, **options), expected)
    bert.set_attn_implementation("own_sharp")
    with pytest.raises(ValueError, match="attends by a function of its own, sharp, whose weights are not softmax"):
        attention_map(bert, INPUTS, **options)


def test_layers_left_out_of_a_swap_do_not_lose_the_users_own_attention_function(bert, own_functions):
    bert.set_attn_implementation("own_sharp")
    with pytest.raises(ValueError, match=r"layer\.0.*'own_sharp', and layers that the variant leaves out would lose"):
        swap_attention(bert, "cosine", include=r"layer\.1\.")
    assert swap_attention(bert, "cosine").config.attn_variant == "cosine"


def test_output_attentions_gives_every_layer_where_only_some_have_the_variant(bert):
    swapped = swap_attention(bert, "sparsemax", include=r"layer\.1\.")
    found = swapped(**INPUTS, output_attentions=True).attentions
    expected = attention_map(swapped, INPUTS)
    assert len(found) == 2 and torch.allclose(torch.stack(found), expected, atol=1e-6)
    assert away_from_padding(found[0] - eager_maps(bert)[0]).abs().max() < 1e-5


def test_the_map_is_of_the_adapter_that_runs(bert):
    expected = attention_map(swap_attention(bert, "temperature"), INPUTS)
    targets = {"r": 2, "target_modules": ["query"], "task_type": "SEQ_CLS"}
    model = get_peft_model(
        swap_attention(bert, "temperature"), LoraConfig(**targets, modules_to_save=["hf_attn"])
    ).eval()
    for name, parameter in model.named_parameters():
        if "hf_attn.modules_to_save" in name:
            parameter.data.fill_(5.0)
    trained = attention_map(model, INPUTS)
    assert (trained - expected).abs().max() > 0.1
    with model.disable_adapter():
        assert torch.allclose(attention_map(model, INPUTS), expected, atol=1e-6)
    model.add_adapter("second", LoraConfig(**targets))
    model.set_adapter("second")
    assert torch.allclose(attention_map(model, INPUTS), expected, atol=1e-6)
    model.set_adapter("default")
    assert torch.allclose(attention_map(model, INPUTS), trained, atol=1e-6)


@pytest.mark.parametrize(("kind", "cls"), [("bart", BartForSequenceClassification), ("clip", CLIPModel)])
def test_layers_of_several_chains_are_not_rolled_out_as_one(kind, cls):
    model = tiny_models.tiny_model(kind, cls)
    with pytest.raises(ValueError, match="layers that do not follow each other .*give the part that is meant"):
        attention_rollout(model, tiny_models.inputs_for(model))


def test_the_part_that_is_meant_is_rolled_out():
    model = tiny_models.tiny_model("bart", BartForSequenceClassification)
    inputs = {key: value for key, value in tiny_models.inputs_for(model).items() if "decoder" not in key}
    rolled = attention_rollout(model.get_encoder(), inputs)
    assert torch.allclose(rolled.sum(-1)[inputs["attention_mask"].bool()], torch.tensor(1.0), atol=1e-5)
