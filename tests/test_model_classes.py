"""Model classes: made for all that dispatches, filled from stock checkpoints, never silent about what they are not."""

import contextlib
import copy
import json

import interpreter
import pytest
import tiny_models
import torch
from test_architectures import REQUIRED, swappable
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, Trainer, TrainingArguments
from transformers.conversion_mapping import get_checkpoint_conversion_mapping
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.clip.modeling_clip import CLIPModel

from hf_attn.attention import VARIANTS, config_class_for, list_variants, model_class_for, supported, swap_attention
from hf_attn.attention.auto_classes import classes_of, mappings
from hf_attn.attention.variant import Variant


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


def slots(model: torch.nn.Module) -> dict[str, Variant]:
    return {name: module for name, module in model.named_modules() if isinstance(module, Variant)}


@pytest.fixture
def bert():
    return tiny_models.tiny_model("bert", BertForSequenceClassification)


def test_every_class_of_the_auto_mappings_that_dispatches_has_its_variant_class():
    made = 0
    for model_type, classes in tiny_models.model_classes().items():
        for base in filter(supported, classes):
            cls = model_class_for(base)
            assert issubclass(cls, base) and cls is model_class_for(base) is model_class_for(cls)
            assert cls.__name__ == "HfAttn" + base.__name__
            assert cls.config_class is config_class_for(base.config_class)
            assert cls.config_class.model_type == "hf_attn_" + base.config_class.model_type
            for table in mappings():
                if base in classes_of(table, base.config_class):
                    assert cls in classes_of(table, cls.config_class), (model_type, base, table)
            made += 1
    assert made > 500


def test_import_makes_the_model_types_known_without_loading_an_architecture():
    script = """
import sys, hf_attn
from transformers import AutoConfig, AutoModelForSequenceClassification
assert not [m for m in sys.modules if m.startswith("transformers.models.") and ".modeling_" in m and "auto" not in m]
config = AutoConfig.for_model("hf_attn_bert", attn_variant="cosine", num_hidden_layers=1)
print(type(config).__name__, type(AutoModelForSequenceClassification.from_config(config)).__name__)
for wrong in ("hf_attn_nonsense", "nonsense"):
    try:
        AutoConfig.for_model(wrong)
    except ValueError as error:
        assert wrong in str(error)
"""
    out = interpreter.run(["-c", script], check=True).stdout
    assert out.split() == ["HfAttnBertConfig", "HfAttnBertForSequenceClassification"]


def test_stock_checkpoints_fill_every_class_and_only_slots_are_new(tmp_path):
    names = {model_type: type(tiny_models.running()[model_type][0]).__name__ for model_type in swappable()}
    renamed = {key for key, name in names.items() if any(map(get_checkpoint_conversion_mapping, (key, name)))}
    assert len(renamed) > 10
    wrong, loadable = {}, set()
    chosen = {*REQUIRED, *sorted(renamed)[::3]}
    for i, model_type in enumerate(sorted(chosen)):
        model, inputs, stock = tiny_models.running()[model_type]
        model.save_pretrained(tmp_path / model_type)
        with contextlib.suppress(RuntimeError):
            again = type(model).from_pretrained(tmp_path / model_type)
            if tiny_models.difference(tiny_models.outputs_of(again, inputs), stock) < 1e-5:
                loadable.add(model_type)
        if model_type not in loadable:
            continue
        name = ("talking_heads", "gated", "general", "cosine")[i % 4]
        with tiny_models.poisoned_memory():
            swapped, info = model_class_for(type(model)).from_pretrained(
                tmp_path / model_type, attn_variant=name, output_loading_info=True
            )
        new = {key for key in swapped.state_dict() if ".hf_attn." in key}
        kept = all(torch.equal(value, swapped.state_dict()[key]) for key, value in model.state_dict().items())
        difference = tiny_models.difference(tiny_models.outputs_of(swapped, inputs), stock)
        others = {key: keys for key, keys in info.items() if keys and key != "missing_keys"}
        if set(info["missing_keys"]) != new or not new or others or not kept or difference > 1e-5:
            wrong[model_type] = (set(info["missing_keys"]) ^ new, others, kept, difference)
    assert not wrong
    assert set(REQUIRED) <= loadable and len(loadable) > len(chosen) - 5


def test_trained_slots_of_every_architecture_act_and_come_back_bit_for_bit(tmp_path):
    wrong, checked = {}, 0
    for i, model_type in enumerate(swappable()):
        model, inputs, stock = tiny_models.running()[model_type]
        if model_type not in REQUIRED and i % 5:
            continue
        swapped = swap_attention(model, "talking_heads")
        tiny_models.perturb(swapped)
        trained = tiny_models.outputs_of(swapped, inputs)
        folder = tmp_path / model_type
        with contextlib.suppress(RuntimeError):
            model.save_pretrained(folder)
            again = type(model).from_pretrained(folder)
            if not all(map(torch.equal, tiny_models.outputs_of(again, inputs), stock)):
                continue
            swapped.save_pretrained(folder)
            loaded, info = type(swapped).from_pretrained(folder, output_loading_info=True)
            state = loaded.state_dict()
            same = all(torch.equal(value, state[key]) for key, value in swapped.state_dict().items())
            same = same and tiny_models.difference(tiny_models.outputs_of(loaded, inputs), trained) < 1e-6
            if any(info.values()) or not same or tiny_models.difference(trained, stock) < 1e-4:
                wrong[model_type] = (info, same, tiny_models.difference(trained, stock))
            checked += 1
    assert not wrong
    assert checked > 40


@pytest.mark.parametrize("name", list_variants())
def test_new_parameters_start_as_the_variant_says_whatever_the_memory_held(bert, tmp_path, name):
    model = tiny_models.tiny_model("vit") if VARIANTS[name].needs_patches else bert
    model.save_pretrained(tmp_path)
    torch.manual_seed(0)
    with tiny_models.poisoned_memory():
        loaded = model_class_for(type(model)).from_pretrained(tmp_path, attn_variant=name, attn_variant_kwargs=None)
    for slot in slots(loaded).values():
        assert all(parameter.isfinite().all() and parameter.abs().max() < 6 for parameter in slot.parameters())
        fresh = copy.deepcopy(slot)
        fresh.reset_parameters()
        for (key, parameter), start in zip(slot.named_parameters(), fresh.parameters(), strict=True):
            random = key in ("query_projection", "key_projection", "score")
            assert random or torch.equal(parameter, start), key


def test_trained_slots_are_kept_and_only_missing_ones_are_started(bert, tmp_path):
    swapped = swap_attention(bert, "talking_heads")
    tiny_models.perturb(swapped)
    swapped.save_pretrained(tmp_path)
    with tiny_models.poisoned_memory():
        loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in swapped.state_dict().items())


def test_swap_shares_weights_and_leaves_the_original_as_it_was(bert):
    inputs = tiny_models.inputs_for(bert)
    before, keys, config = tiny_models.outputs_of(bert, inputs), list(bert.state_dict()), bert.config.to_dict()
    swapped = swap_attention(bert, "entmax15", mix=0.5)
    assert type(bert) is BertForSequenceClassification and type(swapped) is model_class_for(type(bert))
    assert list(bert.state_dict()) == keys and bert.config.to_dict() == config
    assert torch.equal(tiny_models.outputs_of(bert, inputs)[0], before[0])
    assert not torch.equal(tiny_models.outputs_of(swapped, inputs)[0], before[0])
    own = dict(swapped.named_parameters())
    assert all(own[key] is parameter for key, parameter in bert.named_parameters())
    assert {key for key in own if key not in keys} == {f"{name}.beta" for name in slots(swapped)}
    with torch.no_grad():
        own["classifier.bias"] += 1
    assert torch.equal(tiny_models.outputs_of(bert, inputs)[0], before[0] + 1)


def test_a_second_swap_replaces_the_first(bert):
    first = swap_attention(bert, "talking_heads")
    second = swap_attention(first, "cosine", include=r"layer\.1\.")
    assert {type(slot).name for slot in slots(first).values()} == {"talking_heads"} and len(slots(first)) == 2
    assert [(name, slot.name) for name, slot in slots(second).items()] == [
        ("bert.encoder.layer.1.attention.self.hf_attn", "cosine")
    ]
    assert (second.config.attn_variant, second.config.attn_variant_include) == ("cosine", r"layer\.1\.")
    assert first.config.attn_variant == "talking_heads"


def test_include_chooses_layers_or_a_tower():
    model = tiny_models.tiny_model("clip", CLIPModel)
    inputs = tiny_models.inputs_for(model)
    swapped = swap_attention(model, "entmax15", include=r"^vision_model\.")
    assert slots(swapped) and all(name.startswith("vision_model.") for name in slots(swapped))
    stock, ours = model(**inputs), swapped(**inputs)
    assert (stock.text_embeds - ours.text_embeds).abs().max() < 1e-6
    assert (stock.image_embeds - ours.image_embeds).abs().max() > 1e-4


def test_what_cannot_be_is_refused_in_words(bert):
    for arguments, message in (
        (("cosin",), "unknown attention variant 'cosin'"),
        (
            ("cosine", r"layer\.9\."),
            r"matches none of the 2 attention layers of .*, from bert.encoder.layer.0.attention.self",
        ),
        (("cosine", "("), "is no regular expression"),
    ):
        with pytest.raises(ValueError, match=message):
            swap_attention(bert, *arguments)
    with pytest.raises(ValueError, match="has no option windows"):
        swap_attention(bert, "local", windows=3)
    swapped = swap_attention(bert, "cosine")
    with pytest.raises(ValueError, match="runs the attention variant 'cosine', not 'sdpa'"):
        swapped.set_attn_implementation("sdpa")


def test_no_argument_of_from_pretrained_puts_another_attention_in(bert, tmp_path):
    swapped = swap_attention(bert, "sparsemax")
    swapped.save_pretrained(tmp_path)
    inputs = tiny_models.inputs_for(bert)
    for implementation in ("sdpa", "eager"):
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, attn_implementation=implementation)
        assert torch.equal(tiny_models.outputs_of(loaded, inputs)[0], tiny_models.outputs_of(swapped, inputs)[0])


def test_a_saved_config_names_variant_code_and_own_model_type(bert, tmp_path):
    swap_attention(bert, "local", include="layer", window=3).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "hf_attn_bert"
    assert config["architectures"] == ["HfAttnBertForSequenceClassification"]
    assert config["attn_variant"] == "local" and config["attn_variant_kwargs"] == {"window": 3}
    assert config["attn_variant_include"] == "layer"
    assert config["auto_map"] == {
        "AutoConfig": "modeling_hf_attn.HfAttnBertConfig",
        "AutoModelForSequenceClassification": "modeling_hf_attn.HfAttnBertForSequenceClassification",
    }
    assert isinstance(AutoConfig.from_pretrained(tmp_path), config_class_for(type(bert.config)))
    assert isinstance(AutoModel.from_pretrained(tmp_path), model_class_for(type(bert.bert)))


def test_task_heads_take_a_base_checkpoint_and_the_base_takes_theirs(tmp_path):
    model = tiny_models.tiny_model("roberta")
    base = swap_attention(model.roberta, "general")
    tiny_models.perturb(base)
    base.save_pretrained(tmp_path / "base")
    headed, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", output_loading_info=True)
    assert info["missing_keys"] and all(key.startswith("classifier") for key in info["missing_keys"])
    headed.save_pretrained(tmp_path / "headed")
    again = AutoModel.from_pretrained(tmp_path / "headed")
    inputs = tiny_models.inputs_for(model)
    assert torch.equal(again(**inputs).last_hidden_state, base(**inputs).last_hidden_state)


class Rows(torch.utils.data.Dataset):
    """Eight texts of unequal lengths."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.ids = torch.randint(5, 90, (8, 10), generator=random)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict:
        return {"input_ids": self.ids[i], "attention_mask": (torch.arange(10) < 4 + i % 5).long(), "labels": i % 2}


@pytest.mark.parametrize("name", ["bert", "distilbert", "modernbert"])
def test_trainer_accumulates_the_gradient_of_one_batch(tmp_path, name):
    gradients = []
    for batch, accumulation in ((8, 1), (2, 4)):
        model = tiny_models.tiny_model(name)
        assert "Classification" in type(model).__name__
        swapped = swap_attention(model, "cosine")
        arguments = TrainingArguments(
            tmp_path,
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            learning_rate=1.0,
            optim="sgd",
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        before = {key: value.detach().clone() for key, value in swapped.named_parameters()}
        for module in swapped.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        swapped.config.attention_probs_dropout_prob = 0.0
        for slot_holder in swapped.modules():
            if hasattr(slot_holder, "attention_dropout"):
                slot_holder.attention_dropout = 0.0
        Trainer(swapped, arguments, train_dataset=Rows()).train()
        gradients.append({key: before[key] - value.detach() for key, value in swapped.named_parameters()})
    worst = max((gradients[0][key] - gradients[1][key]).abs().max().item() for key in gradients[0])
    assert worst < 1e-5
    assert max(value.abs().max().item() for value in gradients[0].values()) > 1e-3


def test_every_variant_has_the_facts_that_the_list_shows():
    for name, cls in VARIANTS.items():
        assert cls.__doc__ and cls.equation and cls.source and cls.parameters_per_layer and cls.cost, name
