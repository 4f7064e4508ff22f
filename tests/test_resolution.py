"""A model set to another image size computes what its own interpolation does, and is saved as a native one."""

import inspect
import os
from pathlib import Path

import pytest
import tiny_models
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForImageClassification,
    BeitForImageClassification,
    SwinForImageClassification,
    ViTForImageClassification,
)

from hf_attn import InputError, models
from hf_attn.attention import swap_attention
from hf_attn.attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from hf_attn.models import set_image_size, try_image

SHARED = Path(os.environ.get("HF_ATTN_SHARED") or Path(__file__).parents[2] / "shared")
VIT = SHARED / "checkpoints" / "vit-tiny-patch16-224-in1k"
INTERPOLATING = ("vit", "deit", "dinov2", "dinov2_with_registers", "siglip_vision_model", "clip_vision_model", "ijepa")
FREE = ("convnext", "resnet", "swin", "dinov3_vit", "dinov3_convnext", "focalnet", "mobilevit", "segformer")
SIZE = 48


def tiny(model_type: str) -> torch.nn.Module:
    config = tiny_models.tiny_config(model_type)
    cls = AutoModelForImageClassification._model_mapping.get(type(config), None)
    cls = cls or AutoModel._model_mapping[CONFIG_MAPPING[model_type]]
    cls = cls[0] if isinstance(cls, tuple) else cls
    torch.manual_seed(0)
    model = cls(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "position" in name:
                parameter.normal_()
    return model


def output(model, images: torch.Tensor, interpolate: bool = False) -> torch.Tensor:
    accepts = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
    with torch.no_grad():
        return model(images, **({"interpolate_pos_encoding": True} if interpolate and accepts else {}))[0]


@pytest.mark.skipif(not VIT.exists(), reason=f"{VIT} is missing")
def test_the_real_vit_at_96_pixels_is_a_native_model_of_its_own_interpolation(tmp_path):
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    expected = output(ViTForImageClassification.from_pretrained(VIT).eval(), images, interpolate=True)
    model = ViTForImageClassification.from_pretrained(VIT).eval()
    assert set_image_size(model, 96) is model
    torch.testing.assert_close(output(model, images), expected, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    again = ViTForImageClassification.from_pretrained(tmp_path).eval()
    assert again.config.image_size == 96
    assert again.vit.embeddings.position_embeddings.shape == (1, 37, 192)
    assert torch.equal(output(again, images), output(model, images))


@pytest.mark.parametrize("model_type", INTERPOLATING + FREE)
def test_outputs_are_those_of_the_architectures_own_interpolation(model_type, tmp_path):
    model, images = tiny(model_type), torch.randn(2, 3, SIZE, SIZE)
    expected = None if model_type == "clip_vision_model" else output(model, images, interpolate=True)
    if expected is None:  # CLIP checks the size before it looks at the flag
        with torch.no_grad():
            expected = model(images, interpolate_pos_encoding=True)[0]
    set_image_size(model, SIZE)
    torch.testing.assert_close(output(model, images), expected, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    assert torch.equal(output(again, images), output(model, images))
    assert getattr(again.config, "image_size", SIZE) == SIZE


def test_an_oblong_size_keeps_rows_and_columns_apart(tmp_path):
    model, images = tiny("vit"), torch.randn(2, 3, 32, 64)
    expected = output(model, images, interpolate=True)
    torch.testing.assert_close(output(set_image_size(model, (32, 64)), images), expected, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    assert torch.equal(output(type(model).from_pretrained(tmp_path).eval(), images), output(model, images))


def test_as_many_patches_in_another_shape_are_interpolated_too():
    model, images = tiny("vit"), torch.randn(2, 3, 16, 64)  # 2 × 8 patches, where there were 4 × 4
    expected = output(model, images, interpolate=True)
    torch.testing.assert_close(output(set_image_size(model, (16, 64)), images), expected, atol=1e-5, rtol=0)


def test_a_variant_and_a_head_keep_their_weights_and_what_is_frozen(tmp_path):
    variant = swap_attention(tiny("vit"), "cosine")
    tiny_models.perturb(variant)
    images = torch.randn(2, 3, SIZE, SIZE)
    expected = output(variant, images, interpolate=True)
    torch.testing.assert_close(output(set_image_size(variant, SIZE), images), expected, atol=1e-5, rtol=0)
    assert variant.config.model_type == "hf_attn_vit"

    head = AttentionHeadForImageClassification(HfAttnHeadConfig(variant.config, head="multi_query")).eval()
    head.backbone.embeddings.position_embeddings.requires_grad_(False)
    small = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = head(small, interpolate_pos_encoding=True).logits
    set_image_size(head, 32)
    torch.testing.assert_close(output(head, small), expected, atol=1e-5, rtol=0)
    assert head.config.image_size == 32 and head.config.backbone_config is head.backbone.config
    assert not head.backbone.embeddings.position_embeddings.requires_grad
    assert head.classifier.linear.weight.requires_grad
    head.save_pretrained(tmp_path)
    assert torch.equal(output(models.load(tmp_path, task="image-classification"), small), output(head, small))


def test_weights_outside_the_table_are_shared_and_the_random_state_is_left_alone():
    model = tiny("vit")
    pointer, state = model.classifier.weight.data_ptr(), torch.get_rng_state()
    set_image_size(model, SIZE)
    assert model.classifier.weight.data_ptr() == pointer and torch.equal(torch.get_rng_state(), state)
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in model.parameters())


def test_a_bare_encoder_without_pooling_stays_without():
    config = tiny_models.tiny_config("vit")
    encoder = set_image_size(AutoModel._model_mapping[type(config)](config, add_pooling_layer=False), SIZE)
    assert encoder.pooler is None and encoder.config.image_size == SIZE


def test_bf16_stays_bf16():
    model = set_image_size(tiny("dinov2").to(torch.bfloat16), SIZE)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (50, "50 pixels are no multiple of its patches of 8: the nearest that fit are 48 or 56"),
        ((48, 5), "5 pixels are no multiple of its patches of 8: the nearest that fit are 8"),
        (0, "0 pixels are no multiple"),
    ],
)
def test_a_size_that_is_no_multiple_of_the_patch_is_refused_with_the_nearest(size, words):
    with pytest.raises(InputError, match=words):
        set_image_size(tiny("vit"), size)


def test_tables_of_relative_positions_are_refused_by_name_and_the_model_is_left_alone():
    config = tiny_models.tiny_config("beit")
    config.use_relative_position_bias = True
    model = BeitForImageClassification(config).eval()
    with pytest.raises(
        InputError, match=r"BeitForImageClassification .* 48 × 48 .*relative_position.* made for 32 × 32"
    ):
        set_image_size(model, SIZE)
    assert model.config.image_size == 32
    output(model, torch.randn(2, 3, 32, 32))


def test_a_size_at_which_the_architecture_does_not_run_is_refused_before_anything_changes():
    model = tiny("swin")  # windows of 4; at 8 pixels its last map is 2 × 2
    with pytest.raises(InputError, match="does not run on images of 8 × 8 pixels .* or its own, 32 × 32"):
        set_image_size(model, 8)
    assert model.config.image_size == 32


def test_absolute_positions_of_swin_are_interpolated_too():
    config = tiny_models.tiny_config("swin")
    config.use_absolute_embeddings = True
    model, images = SwinForImageClassification(config).eval(), torch.randn(2, 3, SIZE, SIZE)
    expected = output(model, images, interpolate=True)
    torch.testing.assert_close(output(set_image_size(model, SIZE), images), expected, atol=1e-5, rtol=0)


def test_a_grid_of_a_variant_that_belongs_to_the_old_size_is_refused():
    model = swap_attention(tiny("vit"), "window", grid=[4, 4])
    with pytest.raises(InputError, match="grid="):
        set_image_size(model, SIZE)


def test_a_variant_that_the_architecture_cannot_honour_is_refused_on_one_image():
    model = swap_attention(tiny("swin"), "linear").train()
    with pytest.raises(InputError, match="cannot honour a bias on the scores"):
        try_image(model, 32, 32)
    assert model.training
