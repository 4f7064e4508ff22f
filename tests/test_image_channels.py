"""Images are read in colour: a model for another number of channels is refused in one line, wherever it is met."""

import pytest
import torch
from tiny_vit import save_pictures
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
MODELS = {
    "vit": (ViTForImageClassification, ViTConfig, {**SMALL, "image_size": 32, "patch_size": 8}),
    "resnet": (
        ResNetForImageClassification,
        ResNetConfig,
        {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]},
    ),
    "swin": (
        SwinForImageClassification,
        SwinConfig,
        {"image_size": 32, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 1], "window_size": 4},
    ),
    "convnext": (
        ConvNextForImageClassification,
        ConvNextConfig,
        {"hidden_sizes": [8, 8], "depths": [1, 1], "num_stages": 2},
    ),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return save_pictures(tmp_path_factory.mktemp("pictures"), train=3, test=1)


@pytest.fixture(params=MODELS)
def save(request, tmp_path):
    def saved(channels, normalized=3):
        cls, config, sizes = MODELS[request.param]
        torch.manual_seed(0)
        cls(config(num_channels=channels, num_labels=3, **sizes)).save_pretrained(tmp_path / "model")
        mean = [0.5] * normalized
        processor = ViTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=mean, image_std=mean)
        processor.save_pretrained(tmp_path / "model")
        return str(tmp_path / "model")

    return saved


@pytest.mark.parametrize(("channels", "said"), [(1, "1 channel,"), (4, "4 channels,"), (2, "2 channels,")])
def test_other_channels_are_refused_in_one_line(channels, said, save, pictures, tmp_path):
    model = save(channels)
    picture = str(next(pictures.glob("test/*/*")))
    argv = ["--model", model, "--dataset", str(pictures), "--output_dir", str(tmp_path / "run")]
    for meet in (lambda: image_classification.main(argv), lambda: hf_attn.predict(model, [picture])):
        with pytest.raises(InputError, match=f"takes images of {said} and images are read in colour") as raised:
            meet()
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("save", ["vit"], indirect=True)
def test_a_processor_for_grey_images_is_refused_in_one_line(save, pictures, tmp_path):
    argv = ["--model", save(1, normalized=1), "--dataset", str(pictures), "--output_dir", str(tmp_path / "run")]
    with pytest.raises(InputError, match="ViTImageProcessorPil does not run on an image in colour: .* got 1") as raised:
        image_classification.main(argv)
    assert "\n" not in str(raised.value)


def test_grey_pictures_are_what_a_model_for_colour_images_takes(save, tmp_path):
    from PIL import Image

    model, grey = save(3), Image.linear_gradient("L").resize((40, 40))
    grey.save(tmp_path / "grey.png")
    Image.merge("RGB", [grey] * 3).save(tmp_path / "colour.png")
    one, other = hf_attn.predict(model, [str(tmp_path / "grey.png"), str(tmp_path / "colour.png")])
    assert one == other
