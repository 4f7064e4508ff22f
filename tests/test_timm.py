"""Models of timm, through transformers' wrapper; run where timm and its torchvision can be imported."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_models
import torch
from PIL import Image
from tiny_vit import save_pictures
from transformers import AutoImageProcessor, AutoModelForImageClassification, TimmWrapperConfig

import hf_attn
from hf_attn import models
from hf_attn.attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification
from hf_attn.tasks.inputs.images import Processing

timm = pytest.importorskip("timm", reason="timm is not installed")

TASK = "image-classification"


def save(model, folder, **cropping):
    """As timm's own models lie on the Hub: no model_type, no preprocessor_config.json; returns the folder."""
    from timm.models import save_for_hf

    save_for_hf(model, folder, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config.pop("model_args", None)
    config["pretrained_cfg"] |= cropping
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def vit():
    torch.manual_seed(0)
    return timm.create_model("test_vit").eval()


@pytest.fixture
def checkpoint(vit, tmp_path):
    return save(vit, tmp_path / "timm")


@pytest.mark.parametrize("crop", [{"crop_pct": 0.875}, {"crop_pct": 1.0}, {"crop_pct": 1.0, "crop_mode": "squash"}])
def test_pixels_are_those_of_timm_without_its_transforms(crop, vit, tmp_path):
    folder = save(vit, tmp_path / "timm", **crop)
    processing = Processing(models.load_image_processor(folder))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 126, 3), dtype=np.uint8))
    expected = AutoImageProcessor.from_pretrained(folder)(image)["pixel_values"]
    made = processing.normalize(torch.from_numpy(np.stack(processing.pixels([image]))))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_a_crop_that_cannot_be_imitated_is_refused(vit, tmp_path):
    with pytest.raises(InputError, match="timm's 'border' crop"):
        models.load_image_processor(save(vit, tmp_path / "timm", crop_mode="border"))


def test_logits_are_those_of_timm(vit, checkpoint):
    pixels = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(models.load(checkpoint, task=TASK)(pixels).logits, vit(pixels))


def test_a_model_of_one_size_takes_a_head_and_no_other_size(tmp_path):
    torch.manual_seed(0)
    folder = save(timm.create_model("vit_tiny_patch16_224", depth=1, num_heads=3).eval(), tmp_path / "timm")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_args": {"depth": 1}}))
    model = models.load(folder, task=TASK, labels=["cat", "dog"], head="cls")
    assert model(torch.rand(1, 3, 224, 224)).logits.shape == (1, 2)
    with pytest.raises(InputError, match="does not run on images of 96 × 96 pixels"):
        models.try_image(model, 96, 96)


def test_channels_come_first_whatever_timm_has():
    with tiny_models.quiet():
        config = TimmWrapperConfig(architecture="swin_tiny_patch4_window7_224", model_args={"depths": (1, 1, 1, 1)})
        config.pretrained_cfg = {"input_size": [3, 224, 224]}
        head = AttentionHeadForImageClassification(HfAttnHeadConfig(backbone_config=config, head="jetley")).eval()
    pixels = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        features, own = head.encode(pixels), head.backbone.timm_model.forward_features(pixels)
    assert torch.equal(features.map, own.movedim(-1, 1))
    assert [tuple(stage.shape[1:]) for stage in features.stages] == [(192, 28, 28), (384, 14, 14), (768, 7, 7)]


@pytest.mark.parametrize("head", [None, "attention", "cls"])
def test_a_model_of_timm_trains_and_predicts_as_scored(head, checkpoint, tmp_path):
    pictures, run = save_pictures(tmp_path / "pictures", train=4, test=2), tmp_path / "run"
    argv = ["--model", str(checkpoint), "--dataset", str(pictures), "--output_dir", str(run), "--max_steps", "2"]
    image_classification.main([*argv, "--precision", "no", *(["--head", head] if head else [])])
    scored = pd.read_parquet(run / "predictions.parquet")
    found = hf_attn.predict(run, sorted(Path(pictures, "test").rglob("*.png")))
    again = [[row["probabilities"][name] for name in ("blue", "green", "red")] for row in found]
    np.testing.assert_allclose(again, np.stack(scored["probabilities"]), atol=1e-5)
    assert "`pip install timm`" in (run / "README.md").read_text()
    saved = AutoModelForImageClassification.from_pretrained(run)
    assert isinstance(saved, AttentionHeadForImageClassification) == (head is not None)


def test_an_attention_variant_is_refused(checkpoint):
    with pytest.raises(InputError, match="cannot take an attention variant"):
        models.load(checkpoint, task=TASK, attention="entmax15")


def test_a_vgg_leaves_its_fully_connected_layers_behind():
    with torch.device("meta"), tiny_models.quiet():
        config = HfAttnHeadConfig(backbone_config=TimmWrapperConfig(architecture="vgg16"), num_labels=10)
        model = AttentionHeadForImageClassification(config)
        assert model(torch.empty(2, 3, 96, 96)).logits.shape == (2, 10)
    assert sum(parameter.numel() for parameter in model.backbone.parameters()) == 14_714_688
    assert not config.unused_parameters
