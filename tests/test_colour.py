"""Colour operations, jitter and RandAugment against PIL."""

import pytest
import torch
from augmentation_batches import HEIGHT, WIDTH, as_pil, from_pil, made, photos
from PIL import ImageEnhance, ImageOps
from scipy import stats

from hf_attn.tasks.inputs.images.augmentation import RandAugment, colour, geometry

ENHANCED = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "sharpness": ImageEnhance.Sharpness,
}


@pytest.mark.parametrize("name", ENHANCED)
def test_factors_are_pils_enhancements(name):
    images, factors = photos(6), torch.tensor([0.0, 0.1, 0.7, 1.0, 1.4, 1.9])
    found = getattr(colour, name)(images, factors)
    for image, out, factor in zip(images, found, factors.tolist(), strict=True):
        expected = from_pil(ENHANCED[name](as_pil(image)).enhance(factor))
        assert (out.int() - expected.int()).abs().max() <= 1
    assert torch.equal(found[3], images[3])


POINTWISE = {
    "posterize": ([1.0, 4.0, 8.0], lambda image, bits: ImageOps.posterize(image, int(bits))),
    "solarize": ([0.0, 100.0, 256.0], ImageOps.solarize),
    "solarize_add": (
        [0.0, 60.0, 110.0],
        lambda image, add: image.point([min(255, i + int(add)) if i < 128 else i for i in range(256)] * 3),
    ),
    "invert": ([0.0], lambda image, _: ImageOps.invert(image)),
    "autocontrast": ([0.0, 0.0], lambda image, _: ImageOps.autocontrast(image)),
    "equalize": ([0.0, 0.0, 0.0], lambda image, _: ImageOps.equalize(image)),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_other_colour_operations_are_pils(name):
    strengths, reference = POINTWISE[name]
    images = photos(len(strengths))
    images[-1, 0] = 77  # a channel of one level
    found = getattr(colour, name)(images, torch.tensor(strengths))
    for image, out, strength in zip(images, found, strengths, strict=True):
        expected = from_pil(reference(as_pil(image), strength))
        assert (out.int() - expected.int()).abs().max() <= (1 if name == "autocontrast" else 0)


def test_posterize_to_no_bits_is_black():
    assert not colour.posterize(photos(1), torch.tensor([0.0])).any()


def test_jitter_of_v_multiplies_by_one_minus_v_to_one_plus_v():
    flat = torch.full((400, 3, 4, 4), 100, dtype=torch.uint8)
    levels = made(crop="none", hflip=0.0, color_jitter=0.4).change(flat, torch.arange(400))[:, 0, 0, 0].float()
    assert 59 <= levels.min() < 62 and 138 < levels.max() <= 140


def test_every_operation_is_drawn_alike_and_half_are_applied():
    operations, magnitudes = RandAugment.parse("rand-m9-n2-mstd0.5").draw(0, torch.arange(30_000))
    assert abs((operations >= 0).float().mean() - 0.5) < 0.01
    assert stats.chisquare(operations[operations >= 0].bincount(minlength=15)).pvalue > 1e-4
    assert abs(magnitudes.abs().mean() - 9) < 0.05 and magnitudes.abs().max() == 10
    assert abs((magnitudes < 0).float().mean() - 0.5) < 0.01


def test_notations_of_rand_augment():
    assert RandAugment.parse("rand-m7-n3-mstd0.5-inc1") == RandAugment(7, 3, 0.5, 0.5, True)
    assert RandAugment.parse("2,9") == RandAugment(9, 2, increasing=True) == made(rand_augment=(2.0, 9.0)).operations
    assert RandAugment.parse("rand") == RandAugment()


def test_each_row_gets_its_own_operations():
    images = photos(1).expand(15, -1, -1, -1).contiguous()
    operations, magnitudes = torch.arange(15)[:, None], torch.full((15, 1), 9.0)
    augment = RandAugment()
    moved = geometry.sample(
        images, augment.moves(operations, magnitudes, HEIGHT, WIDTH), geometry.affine(15), torch.zeros(3).byte()
    )
    found = augment.recolour(moved, operations, magnitudes)
    assert len({row.numpy().tobytes() for row in found}) == 15
