"""A forward that was replaced on the instance runs the copy with its variant after a swap, or is refused in words."""

import functools
import types

import pytest
import tiny_models
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from accelerate.utils import convert_outputs_to_fp32
from transformers.models.bert.modeling_bert import BertForSequenceClassification

from hf_attn.attention import swap_attention


class Counted:
    """A callable object around a function, as users write them."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


def closed(function):
    def forward(*args, **kwargs):
        return function(*args, **kwargs)

    return forward


def compiled(function):
    return torch.compile(function, backend="eager")


def replace(wrap):
    return lambda model: setattr(model, "forward", wrap(model.forward))


def replace_below(wrap):
    return lambda model: setattr(model.bert.encoder, "forward", wrap(model.bert.encoder.forward))


def replace_layers(wrap):
    def change(model):
        for layer in model.bert.encoder.layer:
            layer.attention.self.forward = wrap(layer.attention.self.forward)

    return change


def as_accelerate_prepares(model):
    model._original_forward = model.forward
    inner = torch.autocast("cpu", torch.bfloat16, enabled=False)(model.forward.__func__)
    model.forward = types.MethodType(convert_outputs_to_fp32(inner), model)


REPLACED = {
    "compiled": replace(compiled),
    "compiled in closure": replace(lambda f: closed(compiled(f))),
    "closure": replace(closed),
    "partial": replace(lambda f: functools.partial(f, return_dict=True)),
    "object": replace(Counted),
    "object of compiled": replace(lambda f: Counted(compiled(f))),
    "autocast": replace(torch.autocast("cpu", torch.bfloat16, enabled=False)),
    "part compiled": replace_below(compiled),
    "part closure": replace_below(closed),
    "layers compiled": replace_layers(compiled),
    "layers closure": replace_layers(closed),
    "model.compile": lambda model: model.compile(backend="eager"),
    "accelerate hook": lambda model: add_hook_to_module(model, AlignDevicesHook(execution_device="cpu")),
    "accelerate hook on layers": lambda model: [
        add_hook_to_module(layer.attention.self, AlignDevicesHook(execution_device="cpu"))
        for layer in model.bert.encoder.layer
    ],
    "accelerate prepare": as_accelerate_prepares,
}


@pytest.fixture
def bert():
    return tiny_models.tiny_model("bert", BertForSequenceClassification)


@pytest.mark.parametrize("what", REPLACED)
def test_a_replaced_forward_runs_the_variant_and_the_original_stays(bert, what):
    inputs = tiny_models.inputs_for(bert)
    stock = bert(**inputs).logits
    expected = swap_attention(bert, "sparsemax")(**inputs).logits
    assert (expected - stock).abs().max() > 1e-3
    torch._dynamo.reset()
    REPLACED[what](bert)
    swapped = swap_attention(bert, "sparsemax")
    assert (swapped(**inputs).logits - expected).abs().max() < 1e-6
    assert (bert(**inputs).logits - stock).abs().max() < 1e-6


def test_a_compiled_forward_stays_compiled_with_its_backend(bert):
    compilations = []

    def backend(graph, example):
        compilations.append(graph)
        return graph.forward

    bert.forward = torch.compile(bert.forward, backend=backend)
    torch._dynamo.reset()
    swap_attention(bert, "cosine")(**tiny_models.inputs_for(bert))
    assert compilations


MODEL = None


def by_global_name(*args, **kwargs):
    return MODEL(*args, **kwargs)


def test_what_goes_on_running_the_original_is_refused_in_words(bert):
    global MODEL
    MODEL = bert.forward
    bert.forward = by_global_name
    with pytest.raises(ValueError, match=r"BertForSequenceClassification\.forward was replaced .*global name 'MODEL'"):
        swap_attention(bert, "cosine")


def test_a_graph_recorded_of_the_original_is_refused(bert):
    recorded = bert(**tiny_models.inputs_for(bert)).logits

    def replay(*args, **kwargs):
        return recorded if not bert.training else None

    bert.forward = replay
    with pytest.raises(ValueError, match=r"forward was replaced .*holds 'recorded', a Tensor"):
        swap_attention(bert, "cosine")


def test_an_attention_layer_that_never_looks_the_variant_up_is_refused(bert):
    layer = bert.bert.encoder.layer[1].attention.self
    layer.forward = types.MethodType(lambda self, hidden_states, *args, **kwargs: (hidden_states, None), layer)
    with pytest.raises(ValueError, match=r"layer\.1\.attention\.self\.forward was replaced .*no attention variant"):
        swap_attention(bert, "cosine")
