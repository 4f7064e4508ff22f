"""Losses against torch and against loops in float64."""

import math

import pytest
import torch
import torch.nn.functional as F

from hf_attn.tasks.targets import losses

ITEMS, CLASSES = 11, 5


@pytest.fixture
def logits():
    return torch.randn(ITEMS, CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


@pytest.fixture
def labels():
    labels = torch.randint(CLASSES, (ITEMS,), generator=torch.Generator().manual_seed(1))
    labels[[2, 7]] = -100
    return labels


WEIGHT = torch.tensor([0.2, 1.0, 3.0, 0.5, 2.0], dtype=torch.float64)


def focal_by_hand(logits, labels, weight, smoothing, gamma):
    """Σ over items and classes of target · weight · (1-p)^γ · -log p, one number at a time."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        if label == -100:
            continue
        normalizer = math.log(math.fsum(math.exp(value) for value in row))
        for number, value in enumerate(row):
            p = math.exp(value - normalizer)
            target = (1 - smoothing) * (number == label) + smoothing / len(row)
            total += target * float(weight[number]) * (1 - p) ** gamma * (normalizer - value)
    return total


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_cross_entropy_is_the_sum_written_out(logits, labels, weight, smoothing, gamma):
    found = losses.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing, focal_gamma=gamma)
    expected = focal_by_hand(logits, labels, torch.ones(CLASSES) if weight is None else weight, smoothing, gamma)
    assert float(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_sum_by_item_count_is_torchs_mean(logits, labels, weight):
    mean = losses.cross_entropy(logits, labels, weight=weight) / losses.item_count(labels, weight)
    torch.testing.assert_close(mean, F.cross_entropy(logits, labels, weight))


def test_focal_with_gamma_near_zero_is_cross_entropy(logits, labels):
    plain = losses.cross_entropy(logits, labels, weight=WEIGHT, label_smoothing=0.1)
    focal = losses.cross_entropy(logits, labels, weight=WEIGHT, label_smoothing=0.1, focal_gamma=1e-12)
    torch.testing.assert_close(focal, plain)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradients_of_focal_cross_entropy(logits, labels, gamma):
    assert torch.autograd.gradcheck(
        lambda x: losses.cross_entropy(x, labels, weight=WEIGHT, label_smoothing=0.1, focal_gamma=gamma),
        logits.requires_grad_(),
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certain_logits_give_finite_gradients(gamma):
    for sign in (1, -1):
        logits = torch.tensor([[sign * 200.0, 0.0, 0.0]], requires_grad=True)
        losses.cross_entropy(logits, torch.tensor([0]), focal_gamma=gamma).backward()
        assert logits.grad.isfinite().all()
        binary = torch.tensor([[sign * 200.0, 0.0, 0.0]], requires_grad=True)
        losses.binary_cross_entropy(binary, torch.tensor([[1.0, 0.0, 1.0]]), focal_gamma=gamma).backward()
        assert binary.grad.isfinite().all()


def test_tokens_are_items_and_unlabelled_ones_are_none(labels):
    logits = torch.randn(2, 3, CLASSES)
    labels = torch.tensor([[1, -100, 2], [-100, -100, 0]])
    expected = F.cross_entropy(logits.reshape(6, CLASSES), labels.reshape(6), reduction="sum")
    torch.testing.assert_close(losses.cross_entropy(logits, labels), expected)
    assert losses.item_count(labels) == 3


def test_no_labelled_token_is_a_loss_of_zero():
    logits = torch.randn(2, CLASSES, requires_grad=True)
    labels = torch.tensor([-100, -100])
    for gamma in (0.0, 2.0):
        assert losses.cross_entropy(logits, labels, focal_gamma=gamma) == 0
    assert losses.item_count(labels) == 0


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_binary_cross_entropy_is_the_sum_written_out(logits, weight, smoothing, gamma):
    labels = (torch.rand(ITEMS, CLASSES, generator=torch.Generator().manual_seed(2)) < 0.4).double()
    expected = 0.0
    for row, targets in zip(logits.tolist(), labels.tolist(), strict=True):
        for number, (value, target) in enumerate(zip(row, targets, strict=True)):
            p = 1 / (1 + math.exp(-value))
            soft = target * (1 - smoothing) + smoothing / 2
            positive = 1.0 if weight is None else float(weight[number])
            loss = -positive * soft * math.log(p) - (1 - soft) * math.log(1 - p)
            expected += loss * ((1 - p) if target else p) ** gamma / CLASSES
    found = losses.binary_cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing, focal_gamma=gamma)
    assert float(found) == pytest.approx(expected, rel=1e-10)
    assert losses.item_count(labels) == ITEMS


def test_gradients_of_binary_cross_entropy(logits):
    labels = (torch.rand(ITEMS, CLASSES, generator=torch.Generator().manual_seed(2)) < 0.4).double()
    assert torch.autograd.gradcheck(
        lambda x: losses.binary_cross_entropy(x, labels, weight=WEIGHT, label_smoothing=0.1, focal_gamma=1.5),
        logits.requires_grad_(),
    )


def test_mse_takes_one_output_or_none():
    predictions, labels = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 0.0, 1.0])
    assert losses.mse(predictions, labels) == losses.mse(predictions[:, 0], labels) == 13.0
    assert losses.mse(predictions[:1], labels[:1]) == 0
    assert losses.item_count(labels) == 3


def test_half_precision_logits_are_summed_in_fp32(logits, labels):
    half = logits.bfloat16()
    for gamma in (0.0, 2.0):
        loss = losses.cross_entropy(half, labels, focal_gamma=gamma)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, losses.cross_entropy(half.float(), labels, focal_gamma=gamma))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_class_numbers_written_as_probabilities_change_nothing(logits, weight, smoothing, gamma):
    labels = torch.arange(ITEMS) % CLASSES
    one_hot = F.one_hot(labels, CLASSES).double()
    options = {"weight": weight, "label_smoothing": smoothing, "focal_gamma": gamma}
    torch.testing.assert_close(
        losses.cross_entropy(logits, one_hot, **options), losses.cross_entropy(logits, labels, **options)
    )
    assert float(losses.item_count(one_hot, weight)) == pytest.approx(float(losses.item_count(labels, weight)))


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_cross_entropy_of_probabilities_is_the_sum_written_out(logits, weight, smoothing, gamma):
    soft = torch.rand(ITEMS, CLASSES, generator=torch.Generator().manual_seed(3), dtype=torch.float64).softmax(-1)
    weights = torch.ones(CLASSES) if weight is None else weight
    parts = [
        float(share) * focal_by_hand(logits[i : i + 1], torch.tensor([c]), weights, 0.0, gamma)
        for i, row in enumerate(soft * (1 - smoothing) + smoothing / CLASSES)
        for c, share in enumerate(row)
    ]
    found = losses.cross_entropy(logits, soft, weight=weight, label_smoothing=smoothing, focal_gamma=gamma)
    assert float(found) == pytest.approx(math.fsum(parts), rel=1e-12)
    if not gamma:
        expected = F.cross_entropy(logits, soft, weight, reduction="sum", label_smoothing=smoothing)
        torch.testing.assert_close(found, expected)
    count = math.fsum(float(share * w) for row in soft for share, w in zip(row, weights, strict=True))
    assert float(losses.item_count(soft, weight)) == pytest.approx(count)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_gradients_of_cross_entropy_of_probabilities(logits, gamma):
    soft = torch.rand(ITEMS, CLASSES, generator=torch.Generator().manual_seed(3), dtype=torch.float64).softmax(-1)
    assert torch.autograd.gradcheck(
        lambda x: losses.cross_entropy(x, soft, weight=WEIGHT, label_smoothing=0.1, focal_gamma=gamma),
        logits.requires_grad_(),
    )


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_probabilities_of_each_token_are_items_of_their_own(gamma):
    random = torch.Generator().manual_seed(4)
    logits, soft = (torch.randn(2, 3, CLASSES, generator=random) for _ in range(2))
    soft = soft.softmax(-1)
    flat = losses.cross_entropy(logits.flatten(0, 1), soft.flatten(0, 1), focal_gamma=gamma)
    torch.testing.assert_close(losses.cross_entropy(logits, soft, focal_gamma=gamma), flat)
    assert losses.item_count(soft) == 6


def test_balanced_weights_have_a_mean_of_one_over_the_rows():
    from hf_attn.tasks.targets.labels import OneClass, Options

    options = Options(class_weights="balanced")
    weight = OneClass(("a", "b", "c"), counts=(10, 4, 1), options=options).weight
    torch.testing.assert_close(weight, torch.tensor([15 / 30, 15 / 12, 15 / 3]))
