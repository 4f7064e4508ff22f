"""Processing: the pixels are those of the checkpoint's own image processor."""

import numpy as np
import pytest
import torch
import transformers
from bad_images import picture

from hf_attn.tasks.inputs.images import Processing, set_image_size

SIZES = [(50, 70), (300, 210), (224, 224), (7, 3), (1, 1), (640, 480), (33, 500)]
PROCESSORS = [
    "ViTImageProcessorPil",
    "DeiTImageProcessorPil",
    "ConvNextImageProcessorPil",
    "BeitImageProcessorPil",
    "SiglipImageProcessorPil",
    "BitImageProcessorPil",
    "CLIPImageProcessorPil",
    "EfficientNetImageProcessorPil",
    "LevitImageProcessorPil",
    "MobileNetV2ImageProcessorPil",
    "MobileViTImageProcessorPil",
    "PoolFormerImageProcessorPil",
    "PvtImageProcessorPil",
    "SegformerImageProcessorPil",
]


def make(name, **kwargs):
    return getattr(transformers, name)(**kwargs)


@pytest.mark.parametrize("name", PROCESSORS)
def test_normalised_pixels_are_the_processors_own(name):
    processor = make(name)
    images = [picture(seed, size=size) for seed, size in enumerate(SIZES)]
    split = Processing(processor)
    pixels = split.pixels(images)
    assert all(one.dtype == np.uint8 and one.shape == (3, *split.size) for one in pixels)
    made = split.normalize(torch.from_numpy(np.stack(pixels)))
    expected = torch.tensor(np.stack(processor(images=images)["pixel_values"]))
    assert made.dtype == torch.float32
    assert (made - expected).abs().max() <= 1e-6


@pytest.mark.parametrize("name", PROCESSORS[:6])
@pytest.mark.parametrize(
    "switched_off", [{"do_normalize": False}, {"do_rescale": False}, {"do_rescale": False, "do_normalize": False}]
)
def test_steps_that_are_switched_off_stay_off(name, switched_off):
    processor = make(name, **switched_off)
    images = [picture(seed, size=size) for seed, size in enumerate(SIZES[:2])]
    split = Processing(processor)
    made = split.normalize(torch.from_numpy(np.stack(split.pixels(images)))).numpy()
    expected = np.stack(processor(images=images)["pixel_values"])
    assert np.abs(made - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_mean_and_std_are_those_of_a_loop():
    processor = make("ViTImageProcessorPil", image_mean=[0.1, 0.5, 0.9], image_std=[0.3, 1.0, 2.0])
    pixels = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    made = Processing(processor).normalize(pixels)
    for index in np.ndindex(2, 3, 4, 5):
        mean, std = ([0.1, 0.5, 0.9], [0.3, 1.0, 2.0])
        expected = (int(pixels[index]) / 255 - mean[index[1]]) / std[index[1]]
        assert abs(made[index].item() - expected) <= 1e-6


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [96, 384])
def test_another_size_is_made(name, size):
    processor = make(name)
    before = processor.to_dict()
    changed = set_image_size(processor, size)
    assert Processing(changed).size == (size, size)
    assert processor.to_dict() == before


def test_the_share_that_the_crop_keeps_stays_the_same(tmp_path):
    bit = make("BitImageProcessorPil", size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    changed = set_image_size(bit, 112)
    assert changed.to_dict()["size"] == {"shortest_edge": 128}
    assert changed.to_dict()["crop_size"] == {"height": 112, "width": 112}
    assert set_image_size(make("DeiTImageProcessorPil"), 112).to_dict()["size"] == {"height": 128, "width": 128}
    changed.save_pretrained(tmp_path)
    loaded = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert Processing(loaded).settings == Processing(changed).settings
