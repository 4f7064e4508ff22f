"""Each colour operation of RandAugment at each magnitude: what PIL gives at the strength that timm's notation means."""

import pytest
import torch
from augmentation_batches import as_pil, from_pil, photos
from PIL import ImageEnhance, ImageOps

from hf_attn.tasks.inputs.images.augmentation import RandAugment
from hf_attn.tasks.inputs.images.augmentation.rand_augment import COLOURS, MOVES, OPERATIONS

ENHANCED = {
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}
PLAIN = {"autocontrast": ImageOps.autocontrast, "equalize": ImageOps.equalize, "invert": ImageOps.invert}


def reference(name, image, magnitude, increasing):
    """PIL at timm's strength (auto_augment.py): magnitudes of 10, the sign only where changes go both ways."""
    level = abs(magnitude) / 10
    if name in PLAIN:
        return PLAIN[name](image)
    if name in ENHANCED:
        factor = max(0.1, 1 + 0.9 * magnitude / 10) if increasing else 0.1 + 1.8 * level
        return ENHANCED[name](image).enhance(factor)
    if name == "posterize":
        bits = 4 - int(4 * level) if increasing else int(4 * level)
        return ImageOps.posterize(image, bits) if bits else image.point(lambda _: 0)
    if name == "solarize":
        return ImageOps.solarize(image, 256 - int(256 * level) if increasing else int(256 * level))
    added = min(128, int(110 * level))
    return image.point([min(255, value + added) if value < 128 else value for value in range(256)] * 3)


@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_operation_is_pils_at_the_strength_of_timm(name, increasing):
    magnitudes = [-10.0, -6.0, -2.5, 0.0, 3.0, 7.5, 9.0, 10.0]
    images = photos(len(magnitudes))
    operations = torch.full((len(magnitudes), 1), OPERATIONS.index(name))
    augment = RandAugment(increasing=increasing)
    found = augment.recolour(images, operations, torch.tensor(magnitudes)[:, None])
    off_by = 0 if name in ("posterize", "solarize", "solarize_add", "invert", "equalize") else 1
    for image, out, magnitude in zip(images, found, magnitudes, strict=True):
        expected = from_pil(reference(name, as_pil(image), magnitude, increasing))
        assert (out.int() - expected.int()).abs().max() <= off_by


def test_operations_follow_in_the_order_in_which_they_were_drawn_and_others_leave_the_image():
    images = photos(3)
    operations = torch.tensor([[OPERATIONS.index("invert"), OPERATIONS.index("solarize")], [-1, -1], [-1, -1]])
    operations[1] = operations[0].flip(0)
    operations[2] = torch.tensor([OPERATIONS.index("rotate"), -1])
    magnitudes = torch.full((3, 2), 5.0)
    found = RandAugment().recolour(images, operations, magnitudes)
    inverted = ImageOps.invert(as_pil(images[0]))
    assert torch.equal(found[0], from_pil(ImageOps.solarize(inverted, 128)))
    assert torch.equal(found[1], from_pil(ImageOps.invert(ImageOps.solarize(as_pil(images[1]), 128))))
    assert torch.equal(found[2], images[2]) and not torch.equal(found[0], images[0])


def test_the_operations_are_timms_fifteen():
    assert sorted(OPERATIONS) == sorted([*ENHANCED, *PLAIN, "posterize", "solarize", "solarize_add", *MOVES])
