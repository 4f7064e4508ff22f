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
from hf_attn.data import Processing
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification

timm = pytest.importorskip("timm", reason="timm is not installed")

TASK = "image-classification"


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny ViT as timm's own models lie on the Hub: no model_type, no preprocessor_config.json."""
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = timm.create_model("test_vit").eval()
    save_for_hf(model, tmp_path / "timm", safe_serialization=True)
    path = tmp_path / "timm" / "config.json"
    config = json.loads(path.read_text())
    config.pop("model_args", None)
    path.write_text(json.dumps(config))
    return model, tmp_path / "timm"


@pytest.mark.parametrize("crop", [{"crop_pct": 0.875}, {"crop_pct": 1.0}, {"crop_pct": 1.0, "crop_mode": "squash"}])
def test_pixels_are_those_of_timm_without_its_transforms(crop, checkpoint):
    _, folder = checkpoint
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"] |= crop
    (folder / "config.json").write_text(json.dumps(config))
    processing = Processing(models.load_image_processor(folder))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 126, 3), dtype=np.uint8))
    expected = AutoImageProcessor.from_pretrained(folder)(image)["pixel_values"]
    made = processing.normalize(torch.from_numpy(np.stack(processing.pixels([image]))))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_a_crop_that_cannot_be_imitated_is_refused(checkpoint):
    _, folder = checkpoint
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["crop_mode"] = "border"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="timm's 'border' crop"):
        models.load_image_processor(folder)


def test_logits_are_those_of_timm(checkpoint):
    model, folder = checkpoint
    pixels = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(models.load(folder, task=TASK)(pixels).logits, model(pixels))


@pytest.mark.parametrize("head", [None, "attention", "cls"])
def test_a_model_of_timm_trains_and_predicts_as_scored(head, checkpoint, tmp_path):
    _, folder = checkpoint
    pictures, run = save_pictures(tmp_path / "pictures", train=4, test=2), tmp_path / "run"
    argv = ["--model", str(folder), "--dataset", str(pictures), "--output_dir", str(run), "--max_steps", "2"]
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
        models.load(checkpoint[1], task=TASK, attention="entmax15")


def test_a_vgg_leaves_its_fully_connected_layers_behind():
    with torch.device("meta"), tiny_models.quiet():
        config = HfAttnHeadConfig(backbone_config=TimmWrapperConfig(architecture="vgg16"), num_labels=10)
        model = AttentionHeadForImageClassification(config)
        assert model(torch.empty(2, 3, 96, 96)).logits.shape == (2, 10)
    assert sum(parameter.numel() for parameter in model.backbone.parameters()) == 14_714_688
    assert not config.unused_parameters
