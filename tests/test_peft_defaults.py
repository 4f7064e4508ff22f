"""PEFT's tables by model type know a variant as its base; ``--lora`` without targets finds the layers of each."""

import copy
import warnings
from itertools import product

import interpreter
import pytest
import tiny_models
import torch
from peft import (
    AdaLoraConfig,
    AdaptionPromptConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    OFTConfig,
    PrefixTuningConfig,
    VeraConfig,
    get_peft_model,
)
from peft.utils import constants
from transformers import AutoModelForCausalLM, ResNetConfig, ResNetForImageClassification, RwkvConfig, RwkvForCausalLM

import hf_attn
from hf_attn import models
from hf_attn.errors import InputError

METHODS = {
    "lora": LoraConfig(r=2),
    "adalora": AdaLoraConfig(total_step=9),
    "ia3": IA3Config(),
    "vera": VeraConfig(r=2),
    "layer norms": LNTuningConfig(),
    "oft": OFTConfig(oft_block_size=4),
}
KNOWN = (
    "bert",
    "roberta",
    "electra",
    "layoutlm",
    "t5",
    "bart",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "opt",
    "llama",
    "qwen3",
    "phi",
)
UNKNOWN = {("bert", "layer norms"), ("gpt2", "oft")}  # to PEFT itself
REFUSING = ("bloom", "falcon", "deberta-v2")  # which take no variant


@pytest.fixture(autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


def tiny(model_type: str, variant: str | None = None) -> torch.nn.Module:
    cls = tiny_models.classes_of(model_type)[0]
    model = tiny_models.tiny_model(model_type, cls)
    return hf_attn.swap_attention(model, variant) if variant else model


def adapted(model: torch.nn.Module) -> set[str]:
    return {name.partition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}


@pytest.mark.parametrize("order", ["import hf_attn, peft", "import peft, hf_attn"])
def test_every_table_of_peft_knows_each_of_our_model_types_as_its_base(order):
    code = f"""
{order}
from peft.tuners.adaption_prompt import config
from peft.utils import constants
found = 0
for module in (constants, config):
    for name, table in vars(module).items():
        if name.startswith("TRANSFORMERS_MODEL") and isinstance(table, dict):
            for key in [key for key in table if not key.startswith("hf_attn_")]:
                assert table["hf_attn_" + key] == table[key], (name, key)
                found += 1
print(found)
"""
    assert int(interpreter.run(["-c", code], check=True).stdout) > 500


@pytest.mark.parametrize(
    ("model_type", "method"), sorted({*product(["bert", "t5", "gpt2", "llama"], METHODS)} - UNKNOWN)
)
def test_a_method_of_peft_without_targets_adapts_the_same_layers(model_type, method):
    names = []
    for variant in (None, "cosine"):
        model = get_peft_model(tiny(model_type, variant), copy.deepcopy(METHODS[method]))
        names.append({name for name, p in model.named_parameters() if p.requires_grad and ".hf_attn." not in name})
    assert names[0] == names[1] and names[0]


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("llama", AdaptionPromptConfig(adapter_len=2, adapter_layers=1)),
        ("gpt2", AdaptionPromptConfig(adapter_len=2, adapter_layers=1)),
        ("gpt2", PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")),
    ],
)
def test_prompts_that_need_the_architecture_find_it(model_type, config):
    cls, outputs = AutoModelForCausalLM._model_mapping[tiny_models.CONFIG_MAPPING[model_type]], []
    for variant in (None, "dot_product"):
        model = tiny_models.tiny_model(model_type, cls)
        model = hf_attn.swap_attention(model, variant) if variant else model
        torch.manual_seed(0)
        outputs.append(get_peft_model(model, copy.copy(config)).eval()(input_ids=torch.tensor([[5, 6, 7]])).logits)
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", [None, "talking_heads"])
@pytest.mark.parametrize("model_type", KNOWN + REFUSING)
def test_lora_without_targets_finds_layers_that_peft_knows_and_merges(model_type, variant):
    if variant and model_type in REFUSING:
        pytest.skip("takes no variant")
    model = tiny(model_type, variant)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        lora = models.add_lora(model, models.Lora(rank=2)).eval()
    assert not [w for w in told if "fan_in" in str(w.message)]
    layers = {name.rpartition(".")[2] for name in adapted(lora)}
    assert layers and layers <= set(constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING[model_type])
    assert variant is None or any(".hf_attn." in name for name, p in lora.named_parameters() if p.requires_grad)
    with torch.no_grad():
        for name, parameter in lora.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    inputs = tiny_models.inputs_for(model)
    with torch.no_grad():
        before, merged = lora(**inputs)[0], models.merge_lora(lora).eval()(**inputs)[0]
    torch.testing.assert_close(merged, before, atol=1e-4, rtol=1e-4)


def test_gpt2s_update_is_the_product_of_its_two_parts():
    model = tiny("gpt2", "cosine")
    weight = model.transformer.h[0].attn.c_attn.weight.detach().clone()
    lora = models.add_lora(model, models.Lora(rank=2, alpha=6))
    layer = lora.base_model.model.transformer.h[0].attn.c_attn
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    update = 3 * (b.double() @ a.double()).T.detach()  # Conv1D keeps (inputs, outputs)
    merged = models.merge_lora(lora).transformer.h[0].attn.c_attn.weight
    torch.testing.assert_close(merged.double(), weight.double() + update, atol=1e-5, rtol=0)


def test_layers_without_a_query_are_peft_s_choice():
    model = RwkvForCausalLM(RwkvConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32))
    layers = {name.rpartition(".")[2] for name in adapted(models.add_lora(model, models.Lora(rank=2)))}
    assert layers == set(constants.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING["rwkv"])


def test_an_architecture_that_peft_does_not_know_is_said_in_one_line():
    model = ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1]))
    with pytest.raises(InputError) as error:
        models.add_lora(model, models.Lora())
    assert str(error.value) == (
        "PEFT has no targets for ResNetForImageClassification: name some by --lora_targets; it has 1"
    )
