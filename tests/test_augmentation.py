"""Augmentation as a whole: a pure function of (seed, draw) whatever the batch, and what it refuses."""

import re

import numpy as np
import pytest
import torch
from augmentation_batches import EVERYTHING, ROWS, batch, made, normalize

from hf_attn.errors import InputError


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
        ({"cutmix": 1.0, "by_area": False}, "cutmix needs classes"),
        ({"mixup": 1.0, "num_classes": 0}, "num_classes 0"),
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
