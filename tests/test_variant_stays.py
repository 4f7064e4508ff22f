"""The variant is never dropped in silence: by a setting, by a part's methods, or by saving the whole around it."""

import copy
import io
import json
import pickle

import pytest
import tiny_models
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.bart.modeling_bart import BartForSequenceClassification
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.clip.modeling_clip import CLIPModel

from hf_attn.attention import model_class_for, swap_attention
from hf_attn.attention.dispatch import IMPLEMENTATION
from hf_attn.attention.variant import Variant


def tiny(name):
    classes = {"bert": BertForSequenceClassification, "bart": BartForSequenceClassification, "clip": CLIPModel}
    return tiny_models.tiny_model(name, classes[name])


def tiny_llava():
    text = LlamaConfig(
        vocab_size=99, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0
    )
    config = LlavaConfig(
        vision_config=tiny_models.tiny_config("clip_vision_model"), text_config=text, image_token_index=98
    )
    torch.manual_seed(0)
    return LlavaForConditionalGeneration(config).eval()


SETTINGS = {
    "outer": ("bert", lambda m: setattr(m.config, "_attn_implementation", "sdpa")),
    "eager": ("bert", lambda m: setattr(m.config, "_attn_implementation", "eager")),
    "inner model": ("bert", lambda m: m.bert.set_attn_implementation("sdpa")),
    "inner configuration": ("bert", lambda m: setattr(m.bert.config, "_attn_implementation", "sdpa")),
    "one layer": ("bert", lambda m: one_layer(m)),
    "decoder": ("bart", lambda m: m.model.decoder.set_attn_implementation("eager")),
    "tower": ("clip", lambda m: m.vision_model.set_attn_implementation("sdpa")),
    "tower's configuration": ("clip", lambda m: setattr(m.config.text_config, "_attn_implementation", "sdpa")),
}


def one_layer(model):
    layer = model.bert.encoder.layer[1].attention.self
    layer.config = copy.deepcopy(layer.config)
    layer.config._attn_implementation = "sdpa"


@pytest.mark.parametrize("what", SETTINGS)
def test_another_attention_set_afterwards_is_refused_at_the_call_and_can_be_taken_back(what):
    name, change = SETTINGS[what]
    model = swap_attention(tiny(name), "entmax15", mix=1.0)
    inputs = tiny_models.inputs_for(model)
    before = tiny_models.outputs_of(model, inputs)
    change(model)
    with pytest.raises(ValueError, match="has an attention variant, but its configuration was set to the attention"):
        model(**inputs)
    model.set_attn_implementation(IMPLEMENTATION)
    assert all(map(torch.equal, tiny_models.outputs_of(model, inputs), before))


def test_an_attribute_that_only_looks_like_the_setting_changes_nothing(tmp_path):
    model = swap_attention(tiny("bert"), "sparsemax")
    inputs = tiny_models.inputs_for(model)
    before = model(**inputs).logits
    model.config.attn_implementation = "sdpa"
    model.save_pretrained(tmp_path)
    assert torch.equal(model(**inputs).logits, before)
    assert torch.equal(type(model).from_pretrained(tmp_path)(**inputs).logits, before)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "torch.save": lambda m: torch.load(saved(m), weights_only=False),
    "config": lambda m: filled(type(m)(m.config), m),
    "_from_config": lambda m: filled(type(m)._from_config(m.config), m),
    "from_config": lambda m: filled(AutoModel.from_config(m.config), m),
}


def saved(model):
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return stream


def filled(new, model):
    new.load_state_dict(model.state_dict())
    return new.eval()


@pytest.mark.parametrize("how", COPIES)
def test_every_way_to_a_second_model_keeps_the_variant(how):
    model = swap_attention(tiny("bert").bert, "talking_heads")
    tiny_models.perturb(model)
    inputs = tiny_models.inputs_for(model)
    again = COPIES[how](model)
    assert type(again) is type(model)
    assert torch.equal(again(**inputs).last_hidden_state, model(**inputs).last_hidden_state)


def test_a_stock_configuration_gives_a_working_model():
    config = tiny_models.tiny_config("bert")
    cls = model_class_for(BertModel)
    for model in (cls(config), cls._from_config(config)):
        stock = BertModel(config).eval()
        stock.load_state_dict(model.state_dict())
        inputs = tiny_models.inputs_for(model)
        assert (model.eval()(**inputs).last_hidden_state - stock(**inputs).last_hidden_state).abs().max() < 1e-5
        assert model.config.attn_variant == "dot_product"
    assert type(config).__name__ == "BertConfig" and not hasattr(config, "attn_variant")


def swap_part(model, name, *args, **kwargs):
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, swap_attention(model.get_submodule(name), *args, **kwargs))
    return model


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: tiny("bert"), "bert"),
        (lambda: tiny("bart"), "model.decoder"),
        (lambda: tiny("clip"), "vision_model"),
        (tiny_llava, "model.language_model"),
    ],
    ids=["head", "decoder", "tower", "language model"],
)
@pytest.mark.parametrize("variant", ["sparsemax", "talking_heads"])
def test_a_swapped_part_comes_back_with_the_whole(make, part, variant, tmp_path):
    whole = swap_part(make(), part, variant)
    tiny_models.perturb(whole)
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8]])} if "language" in part else tiny_models.inputs_for(whole)
    before, stock = tiny_models.outputs_of(whole, inputs), type(whole)
    layers = [name for name, module in whole.named_modules() if isinstance(module, Variant)]
    whole.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["attn_variant"] == variant
    again, info = model_class_for(stock).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert [name for name, module in again.named_modules() if isinstance(module, Variant)] == layers
    assert all(map(torch.equal, tiny_models.outputs_of(again.eval(), inputs), before))
    assert all(map(torch.equal, tiny_models.outputs_of(whole, inputs), before))


def test_parts_with_different_variants_are_refused_before_anything_is_written(tmp_path):
    model = swap_part(swap_part(tiny("clip"), "vision_model", "sparsemax"), "text_model", "cosine")
    with pytest.raises(ValueError, match="cannot be saved whole: its parts have different attention variants"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_continuous_batching_is_refused_with_its_reason():
    from transformers import LlamaForCausalLM

    model = swap_attention(LlamaForCausalLM(tiny_llava().config.text_config), "cosine")
    with pytest.raises(ValueError, match=r"cannot read the paged cache of continuous batching: call generate\(\)"):
        model.generate_batch([[5, 6, 7]], max_new_tokens=2)


@pytest.mark.parametrize("asked", ["eager", "sdpa", "flash_attention_2"])
def test_another_attention_asked_for_at_loading_is_left_out_with_a_word(asked, tmp_path, caplog):
    model = swap_attention(tiny("bert"), "cosine")
    tiny_models.perturb(model)
    model.save_pretrained(tmp_path)
    inputs = tiny_models.inputs_for(model)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert "attn_implementation" not in caplog.text
    caplog.clear()
    other = AutoModel.from_pretrained(tmp_path, attn_implementation=asked)
    assert (
        f"HfAttnBertModel runs the attention variant 'cosine': attn_implementation='{asked}' is left out" in caplog.text
    )
    one, two = (tiny_models.outputs_of(m.eval(), inputs)[0] for m in (loaded, other))
    assert torch.equal(one, two)


def test_layers_that_lose_their_variant_to_a_second_swap_are_told(caplog):
    model = swap_attention(tiny("bert"), "cosine", include=r"layer\.0\.")
    swapped = swap_attention(model, "gated", include=r"layer\.1\.")
    assert [type(slot).__name__ for slot in swapped.modules() if isinstance(slot, Variant)] == ["Gated"]
    assert (
        "softmax is back on layers that had one before (1, such as bert.encoder.layer.0.attention.self)" in caplog.text
    )
    caplog.clear()
    swap_attention(swapped, "cosine")
    swap_attention(swapped, "cosine", include=r"layer\.1\.")
    assert "softmax is back" not in caplog.text


@pytest.fixture
def adapted(tmp_path):
    """A model of PEFT, of whose base a part was swapped; its inputs and what it gives."""
    from peft import LoraConfig, get_peft_model

    tiny("bert").save_pretrained(tmp_path / "stock")
    base = BertForSequenceClassification.from_pretrained(tmp_path / "stock")
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", init_lora_weights=False)).eval()
    base.bert = swap_attention(base.bert, "cosine")
    tiny_models.perturb(model)
    inputs = tiny_models.inputs_for(base)
    return model, inputs, tiny_models.outputs_of(model, inputs)


def test_an_adapter_on_a_part_with_a_variant_says_that_its_base_is_not_saved(adapted, tmp_path, caplog):
    from peft import PeftModel

    model, inputs, before = adapted
    model.save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text())
    assert config["base_model_name_or_path"].startswith("unsaved cosine variant of ")
    assert "unload().save_pretrained(folder)" in caplog.text
    model.unload().save_pretrained(tmp_path / "base")
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    again = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert all(map(torch.equal, tiny_models.outputs_of(again, inputs), before))


def test_a_part_with_a_variant_stays_one_when_an_adapter_is_merged(adapted, tmp_path):
    model, inputs, before = adapted
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged").eval()
    assert again.config.attn_variant == "cosine"
    assert tiny_models.difference(tiny_models.outputs_of(again, inputs), before) < 1e-5
