"""Crops, flips and affine moves against plain loops and PIL."""

import math

import pytest
import torch
from augmentation_batches import HEIGHT, WIDTH, as_pil, batch, from_pil, made, photos
from PIL import Image
from scipy import stats

from hf_attn.tasks.inputs.images.augmentation import RandAugment, geometry, uniform
from hf_attn.tasks.inputs.images.augmentation.rand_augment import OPERATIONS


def test_pad_crop_and_flip_are_the_plain_loop_over_pixels():
    augment, given = made(vflip=0.4), batch(rows=64)
    found, images = augment.change(given["pixels"], given["draws"]), given["pixels"]
    draws = given["draws"]
    flips, shifts = uniform(3, draws, 2, "flip").tolist(), uniform(3, draws, 2, "crop").tolist()

    def reflected(at, size):
        return -at if at < 0 else 2 * (size - 1) - at if at >= size else at

    seen = set()
    for image, out, flip, shift in zip(images.numpy(), found.numpy(), flips, shifts, strict=True):
        down, right = (
            int(u * (2 * (size // 8) + 1)) - size // 8 for u, size in zip(shift, (HEIGHT, WIDTH), strict=True)
        )
        seen.add((flip[0] < 0.5, flip[1] < 0.4))
        for y in range(0, HEIGHT, 3):
            for x in range(0, WIDTH, 3):
                at_y = HEIGHT - 1 - y if flip[1] < 0.4 else y
                at_x = WIDTH - 1 - x if flip[0] < 0.5 else x
                source = image[:, reflected(at_y + down, HEIGHT), reflected(at_x + right, WIDTH)]
                assert (out[:, y, x] == source).all()
    assert len(seen) == 4


def test_shifts_are_uniform_up_to_an_eighth():
    shift = (uniform(0, torch.arange(20_000), 1, "crop")[:, 0] * 11).floor().long() - 5
    assert (shift.min(), shift.max()) == (-5, 5)
    assert stats.chisquare((shift + 5).bincount()).pvalue > 1e-4


def test_resized_crops_have_the_areas_and_ratios_of_the_paper():
    numbers = uniform(0, torch.arange(20_000), 22)
    boxes = geometry.crop_boxes(numbers, 400, 400, (0.1, 0.5))
    top, left, tall, wide = boxes.unbind(1)
    assert (boxes >= 0).all() and (top + tall <= 400).all() and (left + wide <= 400).all()
    share, ratio = tall * wide / 160_000, wide / tall
    assert stats.kstest(share.numpy(), stats.uniform(0.1, 0.4).cdf).statistic < 0.02
    low, high = math.log(3 / 4), math.log(4 / 3)
    assert stats.kstest(ratio.log().numpy(), stats.uniform(low, high - low).cdf).statistic < 0.02
    place = (top / (400 - tall)).numpy()
    assert abs(place.mean() - 0.5) < 0.01 and place.min() < 0.01 and place.max() > 0.99


def test_crops_that_do_not_fit_are_the_whole_image():
    boxes = geometry.crop_boxes(uniform(0, torch.arange(50), 22), 8, 400, (0.9, 1.0))
    assert torch.equal(boxes, torch.tensor([0.0, 0.0, 8.0, 400.0]).expand(50, 4))


def test_resized_crops_are_pils_resize_of_the_box():
    given = batch(rows=24)
    found = made(crop="resized").change(given["pixels"], given["draws"])
    boxes = geometry.crop_boxes(uniform(3, given["draws"], 22, "crop"), HEIGHT, WIDTH, (0.35, 1.0))
    flips = uniform(3, given["draws"], 1, "flip")[:, 0] < 0.5
    for image, out, (top, left, tall, wide), flip in zip(given["pixels"], found, boxes.tolist(), flips, strict=True):
        box = (left, top, left + wide, top + tall)
        expected = from_pil(as_pil(image).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box))
        expected = expected.flip(-1) if flip else expected
        assert (out.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
@pytest.mark.parametrize("magnitude", [4.0, -9.0])
def test_moves_are_pils(name, magnitude):
    images, level = photos(2), magnitude / 10
    operations = torch.full((2, 1), OPERATIONS.index(name))
    maps = RandAugment().moves(operations, torch.full((2, 1), magnitude), HEIGHT, WIDTH)
    fill = (124, 116, 104)
    found = geometry.sample(images, maps, geometry.affine(2), torch.tensor(fill, dtype=torch.uint8))
    coefficients = {
        "shear_x": (1, 0.3 * level, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, 0.3 * level, 1, 0),
        "translate_x": (1, 0, 0.45 * level * WIDTH, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, 0.45 * level * HEIGHT),
    }
    for image, out in zip(images, found, strict=True):
        options = {"resample": Image.Resampling.BILINEAR, "fillcolor": fill}
        if name == "rotate":
            expected = as_pil(image).rotate(30 * level, **options)
        else:
            expected = as_pil(image).transform((WIDTH, HEIGHT), Image.Transform.AFFINE, coefficients[name], **options)
        off = (out.int() - from_pil(expected).int()).abs().amax(0)
        assert (off > 2).float().mean() < 0.002  # a pixel that falls on the very edge, on either side of it


def test_moves_one_after_the_other_are_one_map():
    images = photos(1, 64, 64)
    fill = torch.zeros(3, dtype=torch.uint8)
    first = geometry.rotation(torch.tensor([90.0]), 64, 64)
    then = geometry.affine(1, x=8.0)
    both = geometry.sample(images, geometry.after(first, then), geometry.affine(1), fill)
    step = geometry.sample(images, first, geometry.affine(1), fill)
    step = geometry.sample(step, then, geometry.affine(1), fill)
    assert torch.equal(both, step)
