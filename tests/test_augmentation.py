"""Augmentation against PIL, plain loops and distributions; a pure function of (seed, draw) whatever the batch."""

import math
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from hf_attn.augmentation import Augment, RandAugment, colour, geometry, mixing, uniform
from hf_attn.augmentation.draws import GOLDEN, _mixed, beta
from hf_attn.augmentation.rand_augment import OPERATIONS
from hf_attn.errors import InputError

ROWS, HEIGHT, WIDTH = 8, 40, 56
EVERYTHING = {
    "crop": "resized",
    "vflip": 0.3,
    "color_jitter": 0.4,
    "rand_augment": "rand-m9-n3-mstd0.5-inc1",
    "reprob": 0.5,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mixup_prob": 0.8,
}


def normalize(pixels):
    return (pixels.float() / 255 - 0.5) / 0.25


def photos(rows=ROWS, height=HEIGHT, width=WIDTH, seed=0):
    """Smooth images with some noise, uint8 (rows, 3, height, width)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(rows, 3, 6, 6, generator=random) * 255
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (smooth + 8 * torch.randn(smooth.shape, generator=random)).clamp(3, 250).to(torch.uint8)


def batch(rows=ROWS, first=0):
    labels = torch.arange(rows) % 5
    return {
        "pixels": photos(rows),
        "draws": torch.arange(first, first + rows),
        "labels": labels,
        "partner_pixels": photos(rows, seed=1),
        "partner_labels": (labels + 1 + torch.arange(rows)) % 5,
        "ids": torch.arange(rows),
    }


def made(**options):
    return Augment(**{"normalize": normalize, "num_classes": 5, "seed": 3} | options)


def as_pil(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def from_pil(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


# Random numbers.


def test_uniform_numbers_pass_chi_square_in_every_column_and_over_seeds():
    for seed in (0, 1, 2**40):
        numbers = uniform(seed, torch.arange(20_000), 4).numpy()
        for column in numbers.T:
            assert stats.chisquare(np.histogram(column, 100, (0, 1))[0]).pvalue > 1e-4
    over_seeds = np.array([float(uniform(seed, torch.tensor([5]), 1)) for seed in range(4000)])
    assert stats.kstest(over_seeds, "uniform").pvalue > 1e-3


def test_neighbouring_draws_columns_seeds_and_streams_are_uncorrelated():
    draws = torch.arange(40_000)
    numbers = uniform(0, draws, 3)
    pairs = [
        (numbers[:-1, 0], numbers[1:, 0]),
        (numbers[:-1, 1], numbers[1:, 0]),
        (numbers[:, 0], numbers[:, 1]),
        (numbers[:, 0], uniform(1, draws, 1)[:, 0]),
        (numbers[:, 0], uniform(0, draws, 1, "other")[:, 0]),
        (numbers[:, 0], uniform(0, draws + 50_000, 1)[:, 0]),
    ]
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / math.sqrt(len(a))
        table = np.histogram2d(a, b, 10, ((0, 1), (0, 1)))[0].ravel()
        assert stats.chisquare(table).pvalue > 1e-4


def test_a_number_depends_on_seed_and_draw_alone():
    draws = torch.tensor([7, 3, 2**62, 7])
    numbers = uniform(5, draws, 6)
    assert torch.equal(numbers[0], numbers[3])
    assert torch.equal(uniform(5, draws[1:2], 2), numbers[1:2, :2])
    assert 0 <= numbers.min() and numbers.max() < 1 and numbers.dtype == torch.float32


def test_the_generator_is_splitmix64():
    """The published first outputs of seed 1234567."""
    states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * GOLDEN
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert _mixed(states).tolist() == published


def test_random_numbers_stay_what_they_are():
    """A run that was begun before an update goes on with the same numbers after it."""
    pinned = [[0.1436011791229248, 0.5918627381324768], [0.007536888122558594, 0.3995063900947571]]
    torch.testing.assert_close(uniform(0, torch.tensor([0, 1]), 2), torch.tensor(pinned), rtol=0, atol=0)


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 4.0])
def test_lambda_has_the_beta_distribution(alpha):
    drawn = beta(alpha, 0, torch.arange(20_000)).numpy()
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_partners_are_uniform_over_the_dataset():
    found = made(mixup=1.0).partner(torch.arange(30_000), 97)
    assert found.min() == 0 and found.max() == 96 and found.dtype == torch.int64
    assert stats.chisquare(found.bincount(minlength=97)).pvalue > 1e-4


# The whole.


@pytest.mark.parametrize("options", [{}, EVERYTHING])
def test_any_split_of_a_batch_gives_the_same(options):
    augment, whole = made(**options), batch()
    at_once = augment(whole)
    for sizes in ([4, 4], [1, 5, 2]):
        parts = zip(*(tensor.split(sizes) for tensor in whole.values()), strict=True)
        apart = [augment(dict(zip(whole, part, strict=True))) for part in parts]
        for name in ("pixel_values", "labels", "ids"):
            assert torch.equal(torch.cat([part[name] for part in apart]), at_once[name])


@pytest.mark.parametrize("options", [{}, EVERYTHING])
def test_the_same_draws_give_the_same_and_another_epoch_does_not(options):
    augment, given = made(**options), batch()
    before = {name: tensor.clone() for name, tensor in given.items()}
    first, again = augment(given), augment(given)
    later, seeded = augment(batch(first=ROWS)), made(**options | {"seed": 4})(given)
    assert torch.equal(first["pixel_values"], again["pixel_values"])
    for other in (later, seeded):
        assert (first["pixel_values"] != other["pixel_values"]).flatten(1).any(1).sum() >= ROWS - 1
    assert all(torch.equal(given[name], before[name]) for name in given)


def test_global_generators_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    made(**EVERYTHING)(batch())
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_with_everything_off_the_pixels_are_those_of_evaluation_bit_for_bit():
    given = batch()
    plain = made(crop="none", hflip=0.0)(given)
    assert torch.equal(plain["pixel_values"], normalize(given["pixels"]))
    assert torch.equal(plain["labels"], given["labels"])
    assert set(plain) == {"pixel_values", "labels", "ids"}


def test_rows_that_are_not_mixed_are_exact():
    given = batch()
    values = made(crop="none", hflip=0.0, mixup=1.0, cutmix=1.0, mixup_prob=1e-9)(given)
    assert torch.equal(values["pixel_values"], normalize(given["pixels"]))
    assert torch.equal(values["labels"].argmax(1), given["labels"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"hflip": 1.5}, "hflip 1.5"),
        ({"mixup": -1}, "mixup -1"),
        ({"crop": "centre"}, "crop 'centre'"),
        ({"crop_scale": (0.5, 0.2)}, "crop_scale"),
        ({"fill": (0, 0)}, "fill"),
        ({"cutmix": 1.0, "kind": "regression"}, "cutmix needs classes"),
        ({"mixup": 1.0, "num_classes": 0, "kind": "single"}, "num_classes 0"),
        ({"rand_augment": "rand-m9-q3"}, "-mstd0.5"),
        ({"rand_augment": "rand-m19"}, "from 0 to 10"),
        ({"rand_augment": (2.0,)}, "is no RandAugment"),
        ({"rand_augment": "augmix"}, "is no RandAugment"),
    ],
)
def test_options_that_cannot_be_are_refused(options, word):
    with pytest.raises(InputError, match=re.escape(word)):
        made(**options)


def test_batches_that_cannot_be_mixed_are_refused():
    given = batch()
    with pytest.raises(ValueError, match="num_classes"):
        made(mixup=1.0, num_classes=None)(given)
    numbers = {**given, "labels": torch.rand(ROWS), "partner_labels": torch.rand(ROWS)}
    with pytest.raises(ValueError, match="cutmix needs classes"):
        made(cutmix=1.0)(numbers)
    del given["partner_pixels"]
    with pytest.raises(ValueError, match="partner_pixels"):
        made(mixup=1.0)(given)


# Geometry.


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


# Colours.

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


# Erasing and mixing.


def test_erased_boxes_have_the_areas_of_the_paper_and_the_fill():
    boxes = mixing.erasing_boxes(0, torch.arange(20_000), 0.3, 300, 200)
    sides = boxes[:, 2:] - boxes[:, :2]
    erased = sides.prod(1) > 0
    assert abs(erased.float().mean() - 0.3) < 0.015
    share = sides[erased].prod(1) / 60_000
    assert 0.018 < share.min() and share.max() < 0.335
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= torch.tensor([300, 200])).all()
    given, fill = batch(rows=64), (7, 8, 9)
    found = made(crop="none", hflip=0.0, reprob=0.5, fill=fill).change(given["pixels"], given["draws"])
    boxes = mixing.erasing_boxes(3, given["draws"], 0.5, HEIGHT, WIDTH)
    for image, out, (top, left, bottom, right) in zip(given["pixels"], found, boxes.tolist(), strict=True):
        expected = image.clone()
        expected[:, top:bottom, left:right] = torch.tensor(fill, dtype=torch.uint8)[:, None, None]
        assert torch.equal(out, expected)


def test_mixup_is_lambda_x_plus_the_rest_of_the_partner():
    given = batch(rows=32)
    found = made(crop="none", hflip=0.0, mixup=0.8)(given)
    kept = beta(0.8, 3, given["draws"], "lambda").tolist()
    values, partners = normalize(given["pixels"]).double(), normalize(given["partner_pixels"]).double()
    for i, share in enumerate(kept):
        expected = share * values[i] + (1 - share) * partners[i]
        torch.testing.assert_close(found["pixel_values"][i].double(), expected, rtol=0, atol=1e-5)
        label = torch.zeros(5)
        label[given["labels"][i]] += share
        label[given["partner_labels"][i]] += 1 - share
        torch.testing.assert_close(found["labels"][i], label)


def test_cutmix_pastes_a_box_and_shares_the_label_by_its_area():
    given = batch(rows=64)
    given["partner_labels"] = (given["labels"] + 1) % 5
    found = made(crop="none", hflip=0.0, cutmix=1.0)(given)
    own, other = normalize(given["pixels"]), normalize(given["partner_pixels"])
    for i in range(64):
        pasted = (found["pixel_values"][i] != own[i]).any(0)
        ys, xs = pasted.nonzero().unbind(1)
        share = 1 - float(found["labels"][i, given["labels"][i]])
        if not len(ys):
            assert share < 0.01
            continue
        # Where noise makes both images equal at the box' edge, a row or column of it cannot be seen.
        box = (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)
        assert int(box) == round(share * HEIGHT * WIDTH)
        inside = (slice(None), slice(int(ys.min()), int(ys.max()) + 1), slice(int(xs.min()), int(xs.max()) + 1))
        assert torch.equal(found["pixel_values"][i][inside], other[i][inside])
        assert float(found["labels"][i].sum()) == pytest.approx(1.0)


def test_the_switch_chooses_between_mixup_and_cutmix():
    _, cuts = mixing.draw_mix(0, torch.arange(20_000), 0.8, 1.0, 1.0, 0.3)
    assert abs(cuts.float().mean() - 0.3) < 0.015
    kept, _ = mixing.draw_mix(0, torch.arange(20_000), 0.8, 1.0, 0.25, 0.3)
    assert abs((kept < 1).float().mean() - 0.25) < 0.015


@pytest.mark.parametrize(("kind", "shape"), [("multi", (ROWS, 5)), ("regression", (ROWS,))])
def test_several_labels_and_numbers_are_mixed_as_they_are(kind, shape):
    given = batch()
    given["labels"], given["partner_labels"] = torch.rand(shape).round(), torch.rand(shape)
    found = made(kind=kind, mixup=0.8)(given)["labels"]
    kept = beta(0.8, 3, given["draws"], "lambda").float().view(-1, *[1] * (len(shape) - 1))
    torch.testing.assert_close(found, kept * given["labels"] + (1 - kept) * given["partner_labels"])


def test_the_partner_is_changed_by_numbers_of_its_own():
    given = batch(rows=64)
    given["partner_pixels"] = given["pixels"]
    augment = made(mixup=1.0)
    own = augment.change(given["pixels"], given["draws"])
    other = augment.change(given["pixels"], given["draws"], "partner/")
    assert (own != other).flatten(1).any(1).sum() > 60


@pytest.mark.parametrize("options", [{}, EVERYTHING, EVERYTHING | {"crop": "pad"}])
def test_every_step_runs_where_the_pixels_are(options):
    """The meta device refuses, as a GPU does, to compute with tensors of the CPU."""
    given = batch(rows=64)
    given = {name: tensor.to("meta") if name not in ("draws", "ids") else tensor for name, tensor in given.items()}
    found = made(**options)(given)
    assert found["pixel_values"].device.type == found["labels"].device.type == "meta"
