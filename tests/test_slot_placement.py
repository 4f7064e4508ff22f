"""A slot stands on the device and in the type of its own layer; a model that was spread out gives what it gave."""

import pytest
import tiny_models
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from transformers.models.bert.modeling_bert import BertForSequenceClassification

from hf_attn.attention import swap_attention
from hf_attn.attention.variant import Variant


@pytest.fixture
def bert():
    return tiny_models.tiny_model("bert", BertForSequenceClassification)


def slots(model):
    return [module for module in model.modules() if isinstance(module, Variant)]


PARTS = {"bert.embeddings": "cpu", "bert.encoder": "disk", "bert.pooler": "cpu", "classifier": "cpu"}
SPREAD = {
    "cpu_offload": lambda m, folder: cpu_offload(m, "cpu"),
    "disk_offload": lambda m, folder: disk_offload(m, str(folder), "cpu"),
    "layers on disk": lambda m, folder: dispatch_model(m, PARTS, "cpu", offload_dir=str(folder), force_hooks=True),
    "all in place": lambda m, folder: dispatch_model(m, {"": "cpu"}, "cpu", force_hooks=True),
}


@pytest.mark.parametrize("how", SPREAD)
@pytest.mark.parametrize("variant", ["sparsemax", "talking_heads", "gated"])
def test_an_offloaded_model_gives_the_logits_of_one_in_memory(bert, tmp_path, how, variant):
    inputs = tiny_models.inputs_for(bert)
    plain = swap_attention(bert, variant)
    tiny_models.perturb(plain)
    expected = plain(**inputs).logits
    spread = tiny_models.tiny_model("bert", BertForSequenceClassification)
    SPREAD[how](spread, tmp_path)
    swapped = swap_attention(spread, variant)
    assert len(slots(swapped)) == 2 and not any(p.is_meta for slot in slots(swapped) for p in slot.parameters())
    tiny_models.perturb(swapped)
    for _ in range(2):
        with torch.no_grad():
            assert (swapped(**inputs).logits - expected).abs().max() < 1e-6


@pytest.mark.parametrize("how", ["cpu_offload", "disk_offload"])
def test_an_offloaded_variant_is_saved_whole(bert, tmp_path, how):
    inputs = tiny_models.inputs_for(bert)
    SPREAD[how](bert, tmp_path)
    swapped = swap_attention(bert, "talking_heads")
    tiny_models.perturb(swapped)
    with torch.no_grad():
        expected = swapped(**inputs).logits
    swapped.hf_device_map = {"": "cpu" if how == "cpu_offload" else "disk"}
    swapped.save_pretrained(tmp_path / "model")
    again, info = type(swapped).from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(info.values())
    assert (again.eval()(**inputs).logits - expected).abs().max() < 1e-6


def test_a_saved_variant_loads_with_its_layers_on_disk(bert, tmp_path):
    inputs = tiny_models.inputs_for(bert)
    swapped = swap_attention(bert, "talking_heads")
    tiny_models.perturb(swapped)
    swapped.save_pretrained(tmp_path / "model")
    again = type(swapped).from_pretrained(tmp_path / "model", device_map=PARTS, offload_folder=tmp_path / "offload")
    with torch.no_grad():
        assert (again(**inputs).logits - swapped(**inputs).logits).abs().max() < 1e-6


def test_each_slot_has_the_type_of_its_own_layer(bert):
    bert.bert.encoder.layer[1].attention.self.to(torch.bfloat16)
    types = [next(slot.parameters()).dtype for slot in slots(swap_attention(bert, "gated"))]
    assert types == [torch.float32, torch.bfloat16]


def test_the_type_of_stored_bytes_is_no_type_to_compute_in(bert):
    for layer, stored in zip(bert.bert.encoder.layer, (torch.int8, torch.float8_e4m3fn), strict=True):
        for part in (layer.attention.self.query, layer.attention.self.key, layer.attention.self.value):
            part.weight = torch.nn.Parameter(part.weight.to(stored), requires_grad=False)
    types = {parameter.dtype for slot in slots(swap_attention(bert, "gated")) for parameter in slot.parameters()}
    assert types == {torch.float32}


def test_slots_of_a_layer_without_memory_have_none_whatever_the_first_parameter_is(bert):
    bert.bert.embeddings.to("meta")
    one, two = slots(swap_attention(bert, "gated"))
    assert not any(parameter.is_meta for slot in (one, two) for parameter in slot.parameters())
    bert.bert.encoder.layer[1].to("meta")
    one, two = slots(swap_attention(bert, "gated"))
    assert not next(one.parameters()).is_meta and next(two.parameters()).is_meta
