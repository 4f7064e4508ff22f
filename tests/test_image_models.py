"""Every architecture that classifies images goes through the image recipe, or is refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from tiny_vision import classifiers, save_tiny_classifier
from tiny_vit import save_pictures
from transformers import AutoModelForImageClassification

import hf_attn
from hf_attn.attention import supported
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification

REFUSED = {
    "imagegpt": "ImageGPTImageProcessorPil does not run",
    "pp_lcnet": "gives BaseModelOutputWithNoAttention, which has no logits: give it a head, such as --head attention",
    "shieldgemma2": "ShieldGemma2ForImageClassification takes input_ids, not images alone",
    "siglip2": r"makes \(256, 768\) of uint8, not images \(3, height, width\) of one size, which this recipe needs",
}
CLASSIFIERS = classifiers()
TELLS_APART = {"convnext", "resnet", "swin", "vit"}
"""Where random weights tell images apart; in others the signal fades out in many untrained normalisations."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save_pictures(tmp_path_factory.mktemp("pictures"), train=4, test=2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a tiny model by its type; the test is skipped where a package is missing."""
    folder = tmp_path_factory.mktemp("models")

    def save(model_type):
        if not (folder / model_type).exists():
            try:
                save_tiny_classifier(model_type, folder / model_type)
            except ImportError as error:
                pytest.skip(" ".join(str(error).split())[:80])
        return folder / model_type

    return save


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures have tests of their own, and take as long as all else here."""
    monkeypatch.setattr("hf_attn.runs.folder.figures.draw", lambda *_, **__: [])


def trained(model, pictures, output, *options):
    """Two steps of training; returns what the run's predictions should be, and are, (rows, classes)."""
    given = ["--model", str(model), "--dataset", str(pictures), "--output_dir", str(output), "--precision", "no"]
    image_classification.main([*given, "--batch_size", "4", "--max_steps", "2", "--lr", "1e-3", *options])
    rows = hf_attn.predict(output, sorted(Path(pictures, "test").rglob("*.png")))
    again = np.array([[row["probabilities"][name] for name in ("blue", "green", "red")] for row in rows])
    return np.stack(pd.read_parquet(output / "predictions.parquet")["probabilities"]), again


@pytest.mark.parametrize("model_type", sorted(set(CLASSIFIERS) - set(REFUSED)))
def test_an_architecture_trains_and_predicts_as_scored(model_type, saved, pictures, tmp_path):
    expected, found = trained(saved(model_type), pictures, tmp_path / "run")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found, 0).max() > 0 or model_type not in TELLS_APART, "the same for every image"
    assert type(AutoModelForImageClassification.from_pretrained(tmp_path / "run")) is CLASSIFIERS[model_type]


@pytest.mark.parametrize("model_type", REFUSED)
def test_what_is_no_classifier_of_images_is_refused_in_one_line(model_type, saved, pictures, tmp_path):
    with pytest.raises(InputError, match=REFUSED[model_type]) as caught:
        trained(saved(model_type), pictures, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {".run.lock"}


@pytest.mark.parametrize("model_type", sorted(name for name, cls in CLASSIFIERS.items() if supported(cls)))
def test_entmax_trains_wherever_attention_dispatches(model_type, saved, pictures, tmp_path):
    if model_type in REFUSED:
        pytest.skip("refused without a variant as well")
    expected, found = trained(saved(model_type), pictures, tmp_path / "run", "--attention", "entmax15")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert hf_attn.load(tmp_path / "run", task="image-classification").config.attn_variant == "entmax15"


def test_a_variant_on_a_cnn_is_refused(saved, pictures, tmp_path):
    with pytest.raises(InputError, match="ResNetForImageClassification cannot take an attention variant"):
        trained(saved("resnet"), pictures, tmp_path / "run", "--attention", "entmax15")


@pytest.mark.parametrize("model_type", ["resnet", "swin", "pp_lcnet"])
def test_an_attention_head_goes_on_a_cnn_and_on_windows(model_type, saved, pictures, tmp_path):
    expected, found = trained(saved(model_type), pictures, tmp_path / "run", "--head", "attention")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("model_type", ["perceiver", "metaclip_2"])
def test_an_encoder_that_cannot_carry_a_head_is_refused(model_type, saved, pictures, tmp_path):
    with pytest.raises(InputError, match="cannot carry this head|has no encoder for it"):
        trained(saved(model_type), pictures, tmp_path / "run", "--head", "attention")


@pytest.mark.parametrize("model_type", ["clip", "hgnet_v2", "resnet", "siglip", "vit"])
@pytest.mark.parametrize("options", [("--linear_probe", "true"), ("--freeze", "encoder")], ids=["probe", "frozen"])
def test_a_probe_changes_the_head_alone_wherever_the_encoder_is(model_type, options, saved, pictures, tmp_path):
    expected, found = trained(saved(model_type), pictures, tmp_path / "run", *options)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    before, after = (load_file(folder / "model.safetensors") for folder in (saved(model_type), tmp_path / "run"))
    same = {name for name in before if before[name].shape == after[name].shape and before[name].equal(after[name])}
    changed = set(before) - same
    assert changed and all(name.startswith(("classifier", "fc.")) for name in changed), changed


@pytest.mark.parametrize("model_type", ["siglip", "swinv2", "vit"])
def test_lora_trains_adapters_and_the_head(model_type, saved, pictures, tmp_path):
    expected, found = trained(saved(model_type), pictures, tmp_path / "run", "--lora", "2")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    before, after = (load_file(folder / "model.safetensors") for folder in (saved(model_type), tmp_path / "run"))
    changed = {
        name for name in before if before[name].shape != after[name].shape or not before[name].equal(after[name])
    }
    adapted = {name.split(".")[-2] for name in changed} - {"classifier"}
    assert adapted in ({"query", "value"}, {"q_proj", "v_proj"})


@pytest.mark.parametrize("model_type", ["convnext", "perceiver", "swin", "textnet", "vit"])
def test_the_processor_of_an_architecture_takes_another_size(model_type, saved):
    from hf_attn.models import load_image_processor
    from hf_attn.tasks.inputs.images import Processing, set_image_size

    assert Processing(set_image_size(load_image_processor(saved(model_type)), 48)).size == (48, 48)


def test_an_encoder_whose_weights_are_not_there_is_refused(saved, pictures, tmp_path):
    """Of CLIP too, whose encoder is not where its base_model_prefix says."""
    import shutil

    from safetensors.torch import save_file

    folder = shutil.copytree(saved("clip"), tmp_path / "clip")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layers.0.mlp" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"its weights have no vision_model\.encoder\.layers\.0\.mlp.*no checkpoint of"
    ):
        trained(folder, pictures, tmp_path / "run")
