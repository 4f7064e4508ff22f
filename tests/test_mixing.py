"""Random erasing, mixup and cutmix against their equations."""

import pytest
import torch
from augmentation_batches import HEIGHT, ROWS, WIDTH, batch, made, normalize

from hf_attn.tasks.inputs.images.augmentation import mixing
from hf_attn.tasks.inputs.images.augmentation.draws import beta


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
    found = made(by_area=kind != "regression", mixup=0.8)(given)["labels"]
    kept = beta(0.8, 3, given["draws"], "lambda").float().view(-1, *[1] * (len(shape) - 1))
    torch.testing.assert_close(found, kept * given["labels"] + (1 - kept) * given["partner_labels"])


def test_a_partner_is_changed_by_numbers_of_its_own():
    augment = made(crop="pad", hflip=0.5, mixup=0.8)
    given = batch() | {"partner_pixels": batch()["pixels"]}
    own, others = (normalize(augment.change(given["pixels"], given["draws"], stream)) for stream in ("", "partner/"))
    kept = beta(0.8, 3, given["draws"], "lambda").float()[:, None, None, None]
    assert (own != others).flatten(1).any(1).sum() >= ROWS - 2
    torch.testing.assert_close(augment(given)["pixel_values"], kept * own + (1 - kept) * others, rtol=0, atol=1e-4)
