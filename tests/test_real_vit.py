"""The real ViT-Ti/16 on a real photograph: a portrait in uniform that matplotlib carries."""

import os
from pathlib import Path

import matplotlib
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, ViTForImageClassification

import hf_attn

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared")).resolve()
CHECKPOINT = SHARED / "checkpoints/vit-tiny-patch16-224-in1k"
PHOTO = Path(matplotlib.get_data_path(), "sample_data/grace_hopper.jpg")

pytestmark = pytest.mark.skipif(not CHECKPOINT.is_dir(), reason=f"no checkpoint at {CHECKPOINT}")


def test_the_photograph_is_classified_as_transformers_does_it_and_rightly():
    processor = AutoImageProcessor.from_pretrained(CHECKPOINT, backend="pil")
    model = ViTForImageClassification.from_pretrained(CHECKPOINT).eval()
    with torch.no_grad():
        logits = model(**processor(Image.open(PHOTO).convert("RGB"), return_tensors="pt")).logits[0]
    found = hf_attn.predict(CHECKPOINT, [PHOTO], top_k=5)[0]
    assert found["label"] == model.config.id2label[int(logits.argmax())] == "military uniform"
    assert found["score"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in hf_attn.list_variants() if hf_attn.variant_info(name).identity == "yes"]
)
def test_identity_variants_change_no_logit(name):
    processor = AutoImageProcessor.from_pretrained(CHECKPOINT, backend="pil")
    inputs = processor(Image.open(PHOTO).convert("RGB"), return_tensors="pt")
    plain = ViTForImageClassification.from_pretrained(CHECKPOINT).eval()
    converted = hf_attn.load(CHECKPOINT, task="image-classification", attention=name).eval()
    with torch.no_grad():
        difference = (converted(**inputs).logits - plain(**inputs).logits).abs().max()
    assert difference <= 1e-5


def test_the_class_token_and_the_rollout_are_distributions_over_the_patches():
    processor = AutoImageProcessor.from_pretrained(CHECKPOINT, backend="pil")
    inputs = processor(Image.open(PHOTO).convert("RGB"), return_tensors="pt")
    model = ViTForImageClassification.from_pretrained(CHECKPOINT).eval()
    rolled = hf_attn.attention_rollout(model, inputs)
    assert rolled.shape == (1, 197, 197)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(1, 197), atol=1e-4, rtol=0)
    with torch.no_grad():
        model.set_attn_implementation("eager")
        weights = model(**inputs, output_attentions=True).attentions
    expected = torch.eye(197, dtype=torch.float64)
    for layer in weights:
        expected = (layer[0].double().mean(0) + torch.eye(197, dtype=torch.float64)) / 2 @ expected
    torch.testing.assert_close(rolled[0].double(), expected, atol=1e-5, rtol=0)
