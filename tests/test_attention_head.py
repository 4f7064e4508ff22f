"""A pooling head on any image encoder: equations, layout of positions, new parameters, freezing, refusals."""

from types import SimpleNamespace

import pytest
import tiny_models
import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForImageClassification,
    BertConfig,
    BertForSequenceClassification,
    CLIPModel,
    SiglipModel,
    SwinModel,
    ViTForImageClassification,
    ViTModel,
)
from transformers.utils import is_timm_available

import hf_attn
from hf_attn import InputError, models
from hf_attn.attention.backbones import as_map, build_encoder, describe, grid_of_timm
from hf_attn.attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from hf_attn.attention.modeling_cifar_resnet import CifarResNetForImageClassification
from hf_attn.attention.pooling import HEADS
from hf_attn.models.trainable import head_modules

TASK = "image-classification"
NAMES = ["cat", "dog", "frog"]
ENCODERS = (
    "vit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "dinov3_convnext", "swin", "beit",
    "data2vec-vision", "siglip_vision_model", "clip_vision_model", "ijepa", "convnext", "convnextv2", "resnet",
    "regnet", "focalnet", "hiera", "mobilevit", "segformer", "vitdet", "hgnet_v2",
    "hf_attn_cifar_resnet", "hf_attn_vit",
)  # fmt: skip


def head_model(model_type: str, head="attention", **options) -> AttentionHeadForImageClassification:
    torch.manual_seed(0)
    config = HfAttnHeadConfig(tiny_models.tiny_config(model_type), head=head, num_labels=3, **options)
    return AttentionHeadForImageClassification(config).eval()


def images_for(model, seed=0) -> torch.Tensor:
    size = model.config.image_size or 64
    height, width = (size, size) if isinstance(size, int) else size
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def checkpoint(tmp_path):
    """Return the folder of a tiny pretrained ViT with 1,000 classes' head, here 7."""
    config = tiny_models.tiny_config("vit")
    config.num_labels = 7
    torch.manual_seed(1)
    model = ViTForImageClassification(config)
    model.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


# Features of any encoder.


@pytest.mark.parametrize("model_type", ["vit", "deit", "dinov2_with_registers", "siglip_vision_model", "ijepa"])
def test_patches_lie_row_by_row_after_the_prefix_on_oblong_images(model_type):
    encoder = build_encoder(tiny_models.tiny_config(model_type))
    prefix = {"vit": 1, "deit": 2, "dinov2_with_registers": 5}.get(model_type, 0)
    tokens = torch.randn(2, prefix + 2 * 5, 32)
    map_, before = as_map(tokens, encoder, (16, 40))  # patches of 8 pixels
    assert map_.shape == (2, 32, 2, 5) and torch.equal(before, tokens[:, :prefix])
    for row in range(2):
        for column in range(5):
            assert torch.equal(map_[:, :, row, column], tokens[:, prefix + 5 * row + column])


@pytest.mark.parametrize(
    ("size", "tokens", "grid"),
    [
        ((224, 160), 1 + 140, (14, 10)),
        ((64, 144), 1 + 36, (4, 9)),
        ((96, 96), 1 + 36, (6, 6)),
        ((64, 96), 1 + 23, None),
    ],
)
def test_a_grid_of_timm_has_one_stride_on_both_sides_or_is_not_guessed(size, tokens, grid):
    assert grid_of_timm(SimpleNamespace(num_prefix_tokens=1), tokens, size) == grid
    if grid:
        embedding = SimpleNamespace(dynamic_feat_size=lambda size: (grid[0], grid[1]))
        assert grid_of_timm(SimpleNamespace(num_prefix_tokens=1, patch_embed=embedding), tokens, size) == grid


@pytest.mark.parametrize("model_type", ["swin", "focalnet", "convnext", "resnet", "dinov3_convnext"])
def test_stages_are_laid_out_as_the_architecture_lays_them_out_itself(model_type):
    model = head_model(model_type, "jetley")
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        given = model.encode(images)
        outputs = model.backbone(images, output_hidden_states=True)
    own = getattr(outputs, "reshaped_hidden_states", outputs.hidden_states)
    assert len(given.stages) == 3 and given.stages[-1] is given.map
    for stage, expected in zip(given.stages[:-1], own[-3:-1], strict=True):
        assert torch.equal(stage, expected)
    assert given.map.shape == own[-1].shape


@pytest.mark.parametrize("model_type", ENCODERS)
def test_every_parameter_that_is_trained_has_a_gradient(model_type):
    for head in ("attention", "jetley"):
        try:
            model = head_model(model_type, head).train()
        except ValueError as error:
            assert head == "jetley" and "the head needs 3" in str(error)
            continue
        # Batch normalisation at one position needs more than one image.
        logits = model(images_for(model)).logits
        assert logits.shape == (2, 3)
        logits.square().sum().backward()
        new = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not new, (head, new)


@pytest.mark.parametrize("model_type", ["vit", "resnet", "swin"])
@pytest.mark.parametrize("head", ["attention", "multi_query", "jetley"])
def test_weights_over_positions_are_a_distribution_on_the_map(model_type, head):
    model = head_model(model_type, head).train()
    weights = model.attention_over_positions(images_for(model))
    queries = {"attention": 1, "multi_query": 4, "jetley": 3}[head]
    assert weights.shape[:2] == (2, queries) and weights.dim() == 4 and model.training
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(2, queries))
    assert (weights >= 0).all()


@pytest.mark.parametrize("head", ["mean", "cls", "se", "cbam"])
def test_a_head_without_weights_says_which_have_them(head):
    model = head_model("vit", head)
    with pytest.raises(ValueError, match="gives no weight to positions; these do: attention, multi_query, jetley"):
        model.attention_over_positions(images_for(model))


def test_what_is_known_of_an_encoder_is_saved_and_not_looked_for_again(monkeypatch, tmp_path):
    model = head_model("deit", "attention")
    assert (model.config.feature_channels, model.config.prefix_tokens) == ([32], 2)
    model.save_pretrained(tmp_path)
    monkeypatch.setattr("hf_attn.attention.modeling_attention_head.describe", None)
    AutoModelForImageClassification.from_pretrained(tmp_path)


# Loading.


@pytest.mark.parametrize("head", HEADS)
def test_load_keeps_the_pretrained_encoder_and_fills_the_head(checkpoint, head):
    reference = ViTModel.from_pretrained(checkpoint, add_pooling_layer=False).eval()
    with tiny_models.poisoned_memory():
        model = models.load(checkpoint, task=TASK, labels=NAMES, head=head)
    assert type(model) is AttentionHeadForImageClassification and not model.training
    assert model.config.id2label == dict(enumerate(NAMES))
    state = model.backbone.state_dict()
    assert state.keys() == reference.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in reference.state_dict().items())
    assert all(parameter.isfinite().all() and parameter.abs().max() < 10 for parameter in model.parameters())
    assert model.classifier.linear.weight.std() < 0.1 and not model.classifier.linear.bias.any()


def test_load_without_labels_takes_the_names_of_the_checkpoint(checkpoint):
    assert models.load(checkpoint, task=TASK, head="mean").config.num_labels == 7


def test_load_puts_a_variant_below_the_head_and_a_saved_model_comes_back(checkpoint, tmp_path):
    model = hf_attn.load(checkpoint, task=TASK, labels=NAMES, attention="entmax15", head="multi_query",
                         head_kwargs={"num_queries": 2})  # fmt: skip
    assert type(model.backbone).__name__ == "HfAttnViTModel" and model.config.head_kwargs == {"num_queries": 2}
    model.save_pretrained(tmp_path / "saved")
    assert str(checkpoint) not in (tmp_path / "saved" / "config.json").read_text()
    images = images_for(model)
    with tiny_models.poisoned_memory():
        again = models.load(tmp_path / "saved", task=TASK)
    assert torch.equal(again(images).logits, model(images).logits)
    weights = hf_attn.attention_map(again, {"pixel_values": images}, layers=[-1])
    assert again.backbone.config.attn_variant == "entmax15" and torch.allclose(weights.sum(-1), torch.ones(()))


def test_a_saved_head_takes_new_labels_or_another_head(checkpoint, tmp_path):
    model = models.load(checkpoint, task=TASK, labels=NAMES, head="attention")
    model.save_pretrained(tmp_path / "saved")
    relabelled = models.load(tmp_path / "saved", task=TASK, labels=["a", "b"])
    assert relabelled.classifier.linear.weight.shape == (2, 32)
    other = models.load(tmp_path / "saved", task=TASK, head="mean", attention="cosine")
    assert other.config.head == "mean" and other.config.num_labels == 3
    images = images_for(model)
    torch.testing.assert_close(other.encode(images).map, model.encode(images).map, atol=1e-5, rtol=0)


def test_a_saved_variant_or_cifar_resnet_takes_a_head(checkpoint, tmp_path):
    variant = models.load(checkpoint, task=TASK, labels=NAMES, attention="talking_heads")
    tiny_models.perturb(variant)
    variant.save_pretrained(tmp_path / "variant")
    model = models.load(tmp_path / "variant", task=TASK, head="cls")
    images = images_for(model)
    with torch.no_grad():
        expected = variant.vit(images).last_hidden_state[:, :1]
        torch.testing.assert_close(model.encode(images).prefix, expected)

    resnet = tiny_models.tiny_model("hf_attn_cifar_resnet", CifarResNetForImageClassification)
    resnet.save_pretrained(tmp_path / "resnet")
    model = models.load(tmp_path / "resnet", task=TASK, labels=NAMES, head="cbam")
    with torch.no_grad():
        torch.testing.assert_close(model.encode(images).map, resnet.resnet(images).last_hidden_state)


@pytest.mark.parametrize(("model_type", "cls"), [("siglip", SiglipModel), ("clip", CLIPModel)])
def test_of_two_towers_the_head_takes_the_one_that_sees(model_type, cls, tmp_path):
    whole = cls(tiny_models.tiny_config(model_type)).eval()
    whole.save_pretrained(tmp_path)
    plain = models.load(tmp_path, task=TASK, labels=NAMES)
    assert plain.config.num_labels == 3 and type(plain).__name__.endswith("ForImageClassification")
    model = models.load(tmp_path, task=TASK, labels=NAMES, head="attention")
    images = images_for(model)
    with torch.no_grad():
        expected = whole.vision_model(images).last_hidden_state
        given = model.encode(images)
    tokens = torch.cat([given.prefix, given.map.flatten(2).transpose(1, 2)], 1)
    torch.testing.assert_close(tokens, expected)


def test_the_loss_is_that_of_the_problem():
    model = head_model("vit", "mean")
    images, labels = images_for(model), torch.tensor([2, 0])
    outputs = model(images, labels=labels)
    torch.testing.assert_close(outputs.loss, F.cross_entropy(outputs.logits, labels))
    model.config.problem_type = "multi_label_classification"
    several = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    expected = F.binary_cross_entropy_with_logits(outputs.logits, several)
    torch.testing.assert_close(model(images, labels=several).loss, expected)
    model.config.problem_type = "regression"
    torch.testing.assert_close(model(images, labels=several).loss, F.mse_loss(outputs.logits, several))
    assert model.accepts_loss_kwargs is False


def test_the_encoders_maps_are_given_where_they_are_asked_for():
    model = head_model("vit", "jetley")
    images = images_for(model)
    assert model(images).hidden_states is None and model(images).attentions is None
    assert len(model(images, output_hidden_states=True).hidden_states) == 3
    model.set_attn_implementation("eager")
    assert model(images, output_attentions=True).attentions[0].shape == (2, 4, 17, 17)


def test_a_variant_below_a_head_refuses_another_attention_function():
    model = head_model("hf_attn_vit")
    with pytest.raises(ValueError, match="runs the attention variant"):
        model.set_attn_implementation("sdpa")


def test_a_precision_is_that_of_encoder_and_head(checkpoint):
    model = models.load(checkpoint, task=TASK, labels=NAMES, head="multi_query", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model(images_for(model).bfloat16()).logits.dtype == torch.bfloat16


# Training.


def test_freezing_the_encoder_leaves_the_head():
    model = head_model("vit")
    assert head_modules(model) == ["pooling", "classifier"]
    models.freeze(model, "encoder")
    trained = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"pooling", "classifier"}


@pytest.mark.parametrize("model_type", ["resnet", "hf_attn_cifar_resnet"])
def test_a_frozen_encoder_keeps_its_running_statistics(model_type):
    model = head_model(model_type)
    models.freeze(model, "encoder")
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    model(images_for(model)).logits.sum().backward()
    assert model.training and model.pooling.training and not model.backbone.training
    assert before and all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_batch_norms_that_are_frozen_stay_still_and_the_others_do_not():
    model = head_model("resnet")
    models.freeze(model, r"backbone\.embedder\.")
    before = {name: buffer.clone() for name, buffer in model.named_buffers() if "running" in name}
    model.train()(images_for(model))
    moved = {name.split(".")[1] for name, buffer in model.named_buffers() if "running" in name
             and not torch.equal(before[name], buffer)}  # fmt: skip
    assert moved == {"encoder"}


def test_a_frozen_encoder_runs_without_dropout():
    config = tiny_models.tiny_config("vit")
    config.hidden_dropout_prob = 0.5
    model = AttentionHeadForImageClassification(HfAttnHeadConfig(config, head="mean", num_labels=2))
    images = images_for(model)
    models.freeze(model, "encoder")
    model.train()
    assert torch.equal(model(images).logits, model(images).logits)


def test_gradient_checkpointing_gives_equal_gradients():
    gradients = []
    for checkpointing in (False, True):
        model = head_model("vit").train()
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert any(getattr(module, "gradient_checkpointing", False) for module in model.backbone.modules())
        model(images_for(model)).logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)
    assert not head_model("convnext").supports_gradient_checkpointing


def test_lora_trains_adapters_and_head_alone(checkpoint):
    model = models.load(checkpoint, task=TASK, labels=NAMES, head="multi_query")
    images = images_for(model)
    expected = model(images).logits
    adapted = models.add_lora(model, models.Lora(rank=2))
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert all("lora_" in name or "pooling" in name or "classifier" in name for name in trained)
    torch.testing.assert_close(adapted(images).logits, expected)
    assert type(models.merge_lora(adapted)) is AttentionHeadForImageClassification


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"head": "avg"}, "head 'avg': expected one of attention, mean, cls, multi_query, jetley, se, cbam"),
        ({"head": "mean", "task": "text-classification"}, "takes no pooling head, only image-classification does"),
        ({"head_kwargs": {"gated": True}}, "need a head, one of attention"),
        (
            {"head": "attention", "head_kwargs": {"heads": 2}},
            "has no option heads: it takes attention_dim=128, g",
        ),
        ({"head": "se", "head_kwargs": {"heads": 2}}, "heads"),
        ({"head": "multi_query", "head_kwargs": {"num_heads": 5}}, "divide the 32 channels"),
        ({"head": "mean", "attention": "nothing"}, "nothing"),
    ],
)
def test_what_a_head_cannot_be_is_refused_in_words(checkpoint, arguments, words):
    with pytest.raises(InputError, match=words):
        models.load(checkpoint, **{"task": TASK, "labels": NAMES} | arguments)


def test_attention_below_a_head_can_be_swapped(checkpoint, tmp_path):
    model = models.load(checkpoint, task=TASK, labels=NAMES, head="attention")
    images = images_for(model)
    swapped = hf_attn.swap_attention(model, "focal")
    assert (
        model.backbone.config.model_type == "vit" and swapped.classifier.linear.weight is model.classifier.linear.weight
    )
    with torch.no_grad():
        torch.testing.assert_close(swapped(images).logits, model(images).logits, atol=1e-5, rtol=0)
        tiny_models.perturb(swapped)
        swapped.save_pretrained(tmp_path)
        again = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
        assert again.config.backbone_config.attn_variant == "focal"
        assert torch.equal(again(images).logits, swapped(images).logits)
    with pytest.raises(InputError, match="not saved .* processor="):
        hf_attn.predict(swapped, [torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()])


def test_a_class_token_is_refused_where_there_is_none(tmp_path):
    SwinModel(tiny_models.tiny_config("swin")).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="swin has no class token; expected one of attention, mean, multi_query"):
        models.load(tmp_path, task=TASK, labels=NAMES, head="cls")


def test_what_does_not_see_images_is_refused(tmp_path):
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="backbone 'bert' cannot carry this head"):
        models.load(tmp_path, task=TASK, labels=NAMES, head="mean")
    for model_type in ("vit_mae", "siglip2_vision_model"):
        with pytest.raises(ValueError, match="cannot carry this head"):
            describe(tiny_models.tiny_config(model_type), 1)


@pytest.mark.skipif(is_timm_available(), reason="timm is there")
def test_a_missing_library_is_named(tmp_path):
    with pytest.raises(ValueError, match="'timm_wrapper': .* requires the timm library"):
        head_model("timm_wrapper")
    (tmp_path / "config.json").write_text('{"architecture": "vgg16", "pretrained_cfg": {"input_size": [3, 224, 224]}}')
    with pytest.raises(InputError, match="requires the timm library"):
        models.load_image_processor(tmp_path)


def test_weights_of_another_encoder_are_refused(checkpoint):
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layernorm_before" not in k and "layers.1" not in k},
              checkpoint / "model.safetensors", metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(InputError, match="its weights have no"):
        models.load(checkpoint, task=TASK, labels=NAMES, head="mean")
