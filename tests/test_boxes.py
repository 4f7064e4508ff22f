"""Where boxes lie, and what share of the labels they take, against plain loops in double precision."""

import math

import pytest
import torch
from augmentation_batches import HEIGHT, WIDTH, batch, made, normalize

from hf_attn.tasks.inputs.images.augmentation import geometry, mixing, uniform
from hf_attn.tasks.inputs.images.augmentation.draws import beta

DRAWS = torch.arange(200)
SIDES = [(40, 56), (56, 40), (224, 224)]


def rounded(value):
    return int(round(value))


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_the_box_of_a_resized_crop_is_that_of_a_plain_loop(height, width):
    """Szegedy et al. 2015, as torchvision has it: ten tries, then a corner uniform over where the box fits."""
    numbers = uniform(3, DRAWS, 22, "crop")
    found = geometry.crop_boxes(numbers, height, width, (0.2, 0.9)).tolist()
    seen = set()
    for row, box in zip(numbers.double().tolist(), found, strict=True):
        for area, aspect in zip(row[:10], row[10:20], strict=True):
            pixels = (0.2 + area * 0.7) * height * width
            ratio = math.exp(math.log(3 / 4) + aspect * (math.log(4 / 3) - math.log(3 / 4)))
            tall, wide = rounded(math.sqrt(pixels / ratio)), rounded(math.sqrt(pixels * ratio))
            if 0 < tall <= height and 0 < wide <= width:
                break
        else:
            tall, wide = height, width
        top, left = int(row[20] * (height - tall + 1)), int(row[21] * (width - wide + 1))
        assert box == [top, left, tall, wide]
        seen.add((top, left))
    assert len(seen) > 100


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_the_box_of_random_erasing_is_that_of_a_plain_loop(height, width):
    """Zhong et al. 2020, algorithm 1."""
    found = mixing.erasing_boxes(3, DRAWS, 0.7, height, width).tolist()
    numbers = uniform(3, DRAWS, 23, "erase").double().tolist()
    for row, box in zip(numbers, found, strict=True):
        for area, aspect in zip(row[3:13], row[13:23], strict=True):
            pixels = (0.02 + area * (1 / 3 - 0.02)) * height * width
            ratio = math.exp(math.log(0.3) + aspect * (math.log(1 / 0.3) - math.log(0.3)))
            tall, wide = rounded(math.sqrt(pixels * ratio)), rounded(math.sqrt(pixels / ratio))
            if tall < height and wide < width:
                break
        else:
            tall = 0
        if row[0] >= 0.7 or not tall:
            assert box == [0, 0, 0, 0]
            continue
        top, left = int(row[1] * (height - tall + 1)), int(row[2] * (width - wide + 1))
        assert box == [top, left, top + tall, left + wide]


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_the_box_of_cutmix_is_that_of_a_plain_loop(height, width):
    """Yun et al. 2019, section 3.1: the centre is uniform, and the box is cut at the borders."""
    kept, centre = beta(1.0, 3, DRAWS, "lambda"), uniform(3, DRAWS, 2, "box")
    found = mixing.cutmix_boxes(kept, centre, height, width)
    shares = mixing.kept_share(found, height, width).tolist()
    for share, (y, x), box, left_over in zip(kept.tolist(), centre.tolist(), found.tolist(), shares, strict=True):
        half = [int(math.sqrt(1 - share) * side) // 2 for side in (height, width)]
        middle = int(y * height), int(x * width)
        expected = [max(0, middle[0] - half[0]), max(0, middle[1] - half[1])]
        expected += [min(height, middle[0] + half[0]), min(width, middle[1] + half[1])]
        assert box == expected
        area = (box[2] - box[0]) * (box[3] - box[1])
        assert left_over == pytest.approx(1 - area / (height * width), abs=1e-12)


def test_labels_are_shared_out_as_the_pixels_are_where_mixup_and_cutmix_take_turns():
    given = batch(rows=64)
    given["partner_labels"] = (given["labels"] + 1) % 5
    options = {"mixup": 0.8, "cutmix": 1.0, "mixup_prob": 0.8, "mixup_switch_prob": 0.4}
    found = made(crop="none", hflip=0.0, **options)(given)
    own, other = normalize(given["pixels"]).double(), normalize(given["partner_pixels"]).double()
    draws = given["draws"]
    chances, centres = uniform(3, draws, 2, "mix").tolist(), uniform(3, draws, 2, "box").tolist()
    shares = {alpha: beta(alpha, 3, draws, "lambda").tolist() for alpha in (0.8, 1.0)}
    kinds = set()
    for row in range(64):
        mixed, cut = chances[row][0] < 0.8, chances[row][1] < 0.4
        share = shares[1.0 if cut else 0.8][row] if mixed else 1.0
        expected = share * own[row] + (1 - share) * other[row]
        if cut:
            half = [int(math.sqrt(1 - share) * side) // 2 for side in (HEIGHT, WIDTH)]
            y, x = int(centres[row][0] * HEIGHT), int(centres[row][1] * WIDTH)
            inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
            inside[max(0, y - half[0]) : y + half[0], max(0, x - half[1]) : x + half[1]] = True
            expected = torch.where(inside, other[row], own[row])
            share = 1 - float(inside.double().mean())
        torch.testing.assert_close(found["pixel_values"][row].double(), expected, rtol=0, atol=1e-5)
        label = torch.zeros(5)
        label[given["labels"][row]] += share
        label[given["partner_labels"][row]] += 1 - share
        torch.testing.assert_close(found["labels"][row], label, rtol=0, atol=1e-6)
        kinds.add((mixed, cut))
    assert len(kinds) == 4
