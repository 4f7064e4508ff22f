"""A derived class belongs to its base itself: classes of one name, of two libraries or two runs of a cell, are two."""

import copy
import pickle

import pytest
import tiny_models
import torch
from transformers import AutoConfig, BertConfig, BertModel, ViTConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.models.vit.modeling_vit import ViTModel

from hf_attn.attention import config_class_for, model_class_for, swap_attention

INPUTS = {"input_ids": torch.tensor([[5, 6, 7, 8]])}


def named(name: str, base: type, **namespace) -> type:
    """Define a class as a cell of a notebook does, again and again under one name."""
    return type(base)(name, (base,), {"__module__": "__main__", **namespace})


def scaled(factor: float, name: str = "BertModel") -> type:
    def forward(self, *args, **kwargs):
        output = BertModel.forward(self, *args, **kwargs)
        output.last_hidden_state = output.last_hidden_state * factor
        return output

    return named(name, BertModel, forward=forward)


def hidden(cls: type) -> tuple[torch.Tensor, torch.nn.Module]:
    torch.manual_seed(0)
    model = swap_attention(cls(tiny_models.tiny_config("bert")).eval(), "sparsemax")
    return model(**INPUTS).last_hidden_state, model


@pytest.mark.parametrize("name", ["BertModel", "MyModel"])
def test_classes_of_one_name_run_their_own_forward(name, tmp_path):
    plain, _ = hidden(BertModel)
    for factor in (2.0, 3.0):
        cls = scaled(factor, name)
        found, model = hidden(cls)
        assert torch.equal(found, plain * factor)
        assert isinstance(model, cls) and model_class_for(cls) is type(model)
        model.save_pretrained(tmp_path / str(factor))
        again = model_class_for(cls).from_pretrained(tmp_path / str(factor)).eval()
        assert torch.equal(again(**INPUTS).last_hidden_state, found)
        assert torch.equal(copy.deepcopy(model)(**INPUTS).last_hidden_state, found)
    assert torch.equal(hidden(BertModel)[0], plain)
    assert model_class_for(BertModel).__name__ == "HfAttnBertModel"


def test_configurations_of_one_name_keep_their_own_fields_and_only_the_known_one_is_registered():
    first, second = (named("BertConfig", BertConfig, gain=gain) for gain in (1, 2))
    assert config_class_for(first).gain == 1 and config_class_for(second).gain == 2
    assert config_class_for(BertConfig).__name__ == "HfAttnBertConfig"
    assert type(AutoConfig.for_model("hf_attn_bert")) is config_class_for(BertConfig)


def test_each_class_of_one_name_gives_its_own_attentions():
    silent = named("BertModel", BertModel, _can_record_outputs={})
    for cls, layers in ((BertModel, 2), (silent, 0), (BertModel, 2)):
        _, model = hidden(cls)
        output = BertModel.forward(model, **INPUTS, output_attentions=True)
        assert len(output.get("attentions") or ()) == layers


def test_key_renames_are_those_of_the_base_class_not_of_its_name():
    config = tiny_models.tiny_config("vit")
    assert get_model_conversion_mapping(model_class_for(ViTModel)(config))
    own = named("ViTModel", ViTModel)
    assert len(get_model_conversion_mapping(model_class_for(own)(config))) == len(
        get_model_conversion_mapping(own(config))
    )


def test_a_class_is_pickled_as_what_it_is_made_of():
    config = config_class_for(ViTConfig)(hidden_size=8)
    again = pickle.loads(pickle.dumps(config))
    assert type(again) is type(config) and again.to_dict() == config.to_dict()
