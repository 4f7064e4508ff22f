"""Models made of models are swapped inside, saved and reloaded; what cannot be is refused with its reason and cure."""

import re

import interpreter
import pytest
import tiny_models
import torch
from test_variant_stays import tiny_llava
from torch import nn
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    PreTrainedConfig,
    PreTrainedModel,
    SpeechEncoderDecoderConfig,
    SpeechEncoderDecoderModel,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.vit.modeling_vit import ViTModel

from hf_attn.attention import model_class_for, supported, swap_attention
from hf_attn.attention.variant import Variant


def bert(cls=BertModel):
    return tiny_models.tiny_model("bert", cls)


def decoder_config():
    config = tiny_models.tiny_config("bert")
    config.is_decoder = config.add_cross_attention = True
    return config


def pair(model_class, config_class, encoder):
    config = config_class.from_encoder_decoder_configs(tiny_models.tiny_config(encoder), decoder_config())
    config.decoder_start_token_id, config.pad_token_id = 1, 0
    torch.manual_seed(0)
    return model_class(config).eval()


IDS = torch.tensor([[5, 6, 7, 8, 9]])
PIXELS = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def vision_text():
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        tiny_models.tiny_config("vit"), tiny_models.tiny_config("bert"), projection_dim=8
    )
    torch.manual_seed(0)
    return VisionTextDualEncoderModel(config).eval()


WHOLES = {
    "vision encoder decoder": (
        lambda: pair(VisionEncoderDecoderModel, VisionEncoderDecoderConfig, "vit"),
        {"pixel_values": PIXELS, "decoder_input_ids": IDS},
    ),
    "encoder decoder": (
        lambda: pair(EncoderDecoderModel, EncoderDecoderConfig, "bert"),
        {"input_ids": IDS, "decoder_input_ids": IDS},
    ),
    "speech encoder decoder": (
        lambda: pair(SpeechEncoderDecoderModel, SpeechEncoderDecoderConfig, "wav2vec2"),
        {"input_values": torch.randn(1, 1600, generator=torch.Generator().manual_seed(0)), "decoder_input_ids": IDS},
    ),
    "dual encoder": (vision_text, {"input_ids": IDS, "pixel_values": PIXELS}),
    "llava": (tiny_llava, {"input_ids": IDS}),
}


def slots(model):
    return [name for name, module in model.named_modules() if isinstance(module, Variant)]


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


@pytest.mark.parametrize("include", ["", "decoder|text|language"])
@pytest.mark.parametrize("what", WHOLES)
def test_a_composite_model_is_swapped_inside_saved_and_reloaded(what, include, tmp_path):
    make, inputs = WHOLES[what]
    model = make()
    stock = tiny_models.outputs_of(model, inputs)
    assert supported(type(model))
    assert tiny_models.difference(tiny_models.outputs_of(swap_attention(model, "dot_product"), inputs), stock) < 1e-5
    swapped = swap_attention(model, "talking_heads", include)
    tiny_models.perturb(swapped)
    trained = tiny_models.outputs_of(swapped, inputs)
    assert tiny_models.difference(trained, stock) > 1e-4
    assert slots(swapped) and all(re.search(include, name) for name in slots(swapped))
    swapped.save_pretrained(tmp_path)
    again, info = type(swapped).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()) and slots(again) == slots(swapped)
    assert tiny_models.difference(tiny_models.outputs_of(again.eval(), inputs), trained) < 1e-6


def test_a_part_that_attends_itself_is_named_and_can_be_left_out(tmp_path):
    model = pair(SpeechEncoderDecoderModel, SpeechEncoderDecoderConfig, "wavlm")
    inputs = WHOLES["speech encoder decoder"][1]
    stock = tiny_models.outputs_of(model, inputs)
    with pytest.raises(ValueError, match=r"WavLMAttention computes its attention itself; leave encoder out by include"):
        swap_attention(model, "talking_heads")
    swapped = swap_attention(model, "talking_heads", r"^decoder\.")
    assert tiny_models.difference(tiny_models.outputs_of(swapped, inputs), stock) < 1e-5
    tiny_models.perturb(swapped)
    swapped.save_pretrained(tmp_path)
    again = type(swapped).from_pretrained(tmp_path).eval()
    trained = tiny_models.outputs_of(swapped, inputs)
    assert all(map(torch.equal, tiny_models.outputs_of(again, inputs), trained))


class OwnConfig(PreTrainedConfig):
    model_type = "own_wrapper"

    def __init__(self, inner=None, **kwargs):
        self.inner = BertConfig(**(inner or {})) if not isinstance(inner, BertConfig) else inner
        super().__init__(**kwargs)


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config.inner)
        self.score = nn.Linear(config.inner.hidden_size, 1)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, **kwargs):
        return (self.score(self.bert(input_ids, attention_mask).last_hidden_state),)


class OwnAutoModel(OwnModel):
    def __init__(self, config):
        PreTrainedModel.__init__(self, config)
        self.bert = AutoModel.from_config(config.inner)
        self.score = nn.Linear(config.inner.hidden_size, 1)
        self.post_init()


@pytest.mark.parametrize("cls", [OwnModel, OwnAutoModel])
def test_a_users_own_model_around_another_is_swapped_saved_and_reloaded(cls, tmp_path):
    torch.manual_seed(0)
    model = cls(OwnConfig(inner=tiny_models.tiny_config("bert").to_dict())).eval()
    inputs = {"input_ids": IDS}
    swapped = swap_attention(model, "talking_heads")
    tiny_models.perturb(swapped)
    trained = tiny_models.outputs_of(swapped, inputs)
    assert tiny_models.difference(trained, tiny_models.outputs_of(model, inputs)) > 1e-4
    swapped.save_pretrained(tmp_path)
    again = model_class_for(cls).from_pretrained(tmp_path).eval()
    assert all(map(torch.equal, tiny_models.outputs_of(again, inputs), trained))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.text, self.image = bert(), tiny_models.tiny_model("vit", ViTModel)

    def forward(self, input_ids, pixel_values):
        return self.text(input_ids).last_hidden_state.mean(), self.image(pixel_values).last_hidden_state.mean()


def test_the_models_inside_a_plain_module_are_swapped_and_it_stays_as_it_was():
    model = Plain().eval()
    stock = model(IDS, PIXELS)
    both, one = swap_attention(model, "sparsemax"), swap_attention(model, "sparsemax", r"^image\.")
    assert type(both) is Plain and len(slots(both)) == 4 and len(slots(one)) == 2 and not slots(model)
    text = swap_attention(model.text, "sparsemax")(IDS).last_hidden_state.mean()
    assert torch.equal(both(IDS, PIXELS)[0], text) and torch.equal(one(IDS, PIXELS)[0], stock[0])
    assert not torch.equal(one(IDS, PIXELS)[1], stock[1])
    assert all(a is b for a, b in zip(model.text.parameters(), one.text.parameters(), strict=True))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda m: torch.compile(m, backend="eager")])
def test_a_wrapper_gives_the_wrapped_variant(wrap):
    model = bert(BertForSequenceClassification)
    inputs = tiny_models.inputs_for(model)
    expected = swap_attention(model, "sparsemax")(**inputs).logits
    torch._dynamo.reset()
    wrapped = wrap(model)
    swapped = swap_attention(wrapped, "sparsemax")
    assert type(swapped) is type(wrapped) and len(slots(swapped)) == 2 and not slots(wrapped)
    assert (swapped(**inputs).logits - expected).abs().max() < 1e-6


def test_what_a_swap_would_break_is_refused_with_the_cure():
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(bert(BertForSequenceClassification), LoraConfig(target_modules=["query"]))
    with pytest.raises(ValueError, match="holds adapters of PEFT.* into the base model first"):
        swap_attention(adapted, "cosine")
    injected = bert(BertForSequenceClassification)
    injected._hf_peft_config_loaded = True  # as add_adapter leaves it
    with pytest.raises(ValueError, match="holds adapters of PEFT"):
        swap_attention(injected, "cosine")
    with pytest.raises(ValueError, match="Linear holds no model of transformers"):
        swap_attention(nn.Linear(2, 2), "cosine")
    with pytest.raises(ValueError, match="takes a model, not str"):
        swap_attention("bert-base-uncased", "cosine")


MODES = ("save", "load")


def test_a_users_own_registered_model_is_loaded_by_the_auto_classes_in_a_new_process(tmp_path):
    program = """
import sys, torch, hf_attn
from transformers import AutoConfig, AutoModel, BertConfig, BertModel
class OwnConfig(BertConfig):
    model_type = "own_bert"
class OwnModel(BertModel):
    config_class = OwnConfig
AutoConfig.register("own_bert", OwnConfig)
AutoModel.register(OwnConfig, OwnModel)
folder, ids = sys.argv[1], torch.tensor([[5, 6, 7, 8]])
if sys.argv[2] == "save":
    config = OwnConfig(vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=40)
    hf_attn.swap_attention(OwnModel(config), "sparsemax").save_pretrained(folder)
model = AutoModel.from_pretrained(folder).eval()
assert isinstance(model, OwnModel) and model.config.attn_variant == "sparsemax"
print("sum", model(ids).last_hidden_state.abs().sum().item())
"""
    runs = [interpreter.run(["-c", program, tmp_path, mode], check=True).stdout for mode in MODES]
    assert runs[0] == runs[1] and "sum" in runs[0]
