"""Classes that users derive, from an attention layer or from a model class with a variant, run as what they are."""

import copy
import pickle

import pytest
import tiny_models
import torch
from transformers import BertForSequenceClassification
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import BertSelfAttention, eager_attention_forward

from hf_attn.attention import (
    VARIANTS,
    attention_layers,
    attention_map,
    model_class_for,
    register_variant,
    swap_attention,
)
from hf_attn.attention.variant import Variant


class Renamed(BertSelfAttention):
    """Nothing of its own."""


class Doubled(BertSelfAttention):
    def forward(self, *args, **kwargs):
        context, *rest = super().forward(*args, **kwargs)
        return 2 * context, *rest


class NamesItsBase(BertSelfAttention):
    def forward(self, *args, **kwargs):
        context, *rest = BertSelfAttention.forward(self, *args, **kwargs)
        return 2 * context, *rest


class LooksUpByKey(BertSelfAttention):
    """As transformers' own layers did it before 5.0."""

    def forward(self, hidden_states, attention_mask=None, past_key_values=None, **kwargs):
        shape = (*hidden_states.shape[:-1], -1, self.attention_head_size)
        query, key, value = (f(hidden_states).view(shape).transpose(1, 2) for f in (self.query, self.key, self.value))
        attend = eager_attention_forward
        if self.config._attn_implementation != "eager":
            attend = ALL_ATTENTION_FUNCTIONS[self.config._attn_implementation]
        context, weights = attend(self, query, key, value, attention_mask, scaling=self.scaling, dropout=0.0)
        return context.flatten(-2), weights


class ByItself(BertSelfAttention):
    def forward(self, hidden_states, attention_mask=None, **kwargs):
        return self.value(hidden_states), None


class Shifted(model_class_for(BertForSequenceClassification)):
    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + 7
        return output


def bert(layer: type | None = None, which: slice = slice(None)) -> BertForSequenceClassification:
    """Return a tiny BERT, some of whose attention layers are of another class."""
    model = tiny_models.tiny_model("bert", BertForSequenceClassification)
    for block in model.bert.encoder.layer[which] if layer else ():
        block.attention.self.__class__ = layer
    return model


INPUTS = tiny_models.inputs_for(bert())


@pytest.mark.parametrize("layer", [Renamed, Doubled, NamesItsBase, LooksUpByKey])
@pytest.mark.parametrize("which", [slice(0, 1), slice(None)], ids=["one", "all"])
@torch.no_grad()
def test_a_layer_derived_from_one_that_dispatches_gets_the_variant(layer, which):
    model = bert(layer, which)
    found = swap_attention(model, "sparsemax")
    assert all("hf_attn" in block.attention.self._modules for block in found.bert.encoder.layer)
    expected = swap_attention(bert(), "sparsemax")
    for block, other in zip(expected.bert.encoder.layer, found.bert.encoder.layer, strict=True):
        if layer in (Doubled, NamesItsBase) and type(other.attention.self) is layer:
            block.attention.self.register_forward_hook(lambda _, args, output: (2 * output[0], *output[1:]))
    assert (found(**INPUTS).logits - expected(**INPUTS).logits).abs().max() < 1e-5
    assert (attention_map(found, INPUTS) - attention_map(expected, INPUTS)).abs().max() < 1e-5


@torch.no_grad()
def test_a_layer_whose_own_forward_looks_nothing_up_is_no_attention_layer():
    assert list(attention_layers(bert(ByItself, slice(0, 1)))) == ["bert.encoder.layer.1.attention.self"]


@pytest.mark.parametrize(
    "again",
    [lambda model: swap_attention(model, "sparsemax"), copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["swap", "deepcopy", "pickle"],
)
@torch.no_grad()
def test_a_subclass_of_a_variants_class_stays_itself(again):
    model = Shifted(tiny_models.tiny_config("bert")).eval()
    found = again(model)
    assert type(found) is Shifted and type(model) is Shifted
    plain = model_class_for(BertForSequenceClassification)(found.config).eval()
    plain.load_state_dict(found.state_dict())
    assert (found(**INPUTS).logits - plain(**INPUTS).logits - 7).abs().max() < 1e-5


def test_a_subclass_loads_what_it_saved_with_its_variant(tmp_path):
    model = swap_attention(Shifted(tiny_models.tiny_config("bert")).eval(), "cosine", mix=0.5)
    model.save_pretrained(tmp_path)
    found = Shifted.from_pretrained(tmp_path).eval()
    assert type(found) is Shifted and found.config.attn_variant == "cosine"
    assert torch.equal(found(**INPUTS).logits, model(**INPUTS).logits)


class NormalizesByModule(Variant):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.normalize = torch.nn.Softmax(-1)


class ScoresByParameter(Variant):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scores = torch.nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize(("cls", "what"), [(NormalizesByModule, "normalize"), (ScoresByParameter, "scores")])
def test_a_module_in_the_place_of_a_step_would_never_run_and_is_refused(cls, what):
    with pytest.raises(TypeError, match=rf"{cls.__name__}.{what} is a method.* would never run"):
        cls(2, 4)


@pytest.mark.parametrize("what", [torch.nn.Softmax, abs, "softmax"], ids=["module", "function", "name"])
def test_only_a_class_of_variants_is_registered(what):
    with pytest.raises(TypeError, match="expected a class that derives from hf_attn.Variant"):
        register_variant("no variant")(what)
    assert "no variant" not in VARIANTS


class Transposed(Variant):
    def normalize(self, scores, keep):
        return scores.softmax(-1).transpose(-1, -2)


class OneForAll(Variant):
    def mix(self, weights):
        return weights.mean(-2, keepdim=True)


class Flat(Variant):
    def normalize(self, scores, keep):
        return scores.softmax(-1).flatten(0, 1)


@pytest.mark.parametrize("cls", [Transposed, OneForAll, Flat])
def test_weights_of_another_shape_are_refused_not_broadcast(cls):
    query, key = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 5, 4)
    with pytest.raises(ValueError, match=f"{cls.__name__} gave weights of the shape .* with 3 queries and 5 keys"):
        cls(2, 4)(query, key, key)
