"""Factors of items: least squares, without what a row's own user said, and what they make of a history."""

import numpy as np
import pytest
import torch

from hf_attn.attention.modeling_history import RIDGE, liking
from hf_attn.models import factorisation
from hf_attn.tasks.inputs.history.items import Catalogue
from hf_attn.tasks.inputs.history.known_items import GROUPS, learned


def ratings(rows=400, users=15, items=12):
    """Users, items and values of which no two rows are of the same user and item."""
    random = np.random.default_rng(0)
    pairs = random.permutation(users * items)[: min(rows, users * items)]
    return pairs // items, pairs % items, random.normal(size=len(pairs))


def catalogue(items):
    return Catalogue({"input_ids": [[1]] * items}, None, torch.arange(items) * 7 + 3)


def test_factors_of_items_are_the_least_squares_of_those_of_users():
    user, item, value = ratings(rows=120)
    users, items = factorisation.factors(user, item, value, (15, 13), size=4)
    for one in range(12):
        rows = np.flatnonzero(item == one)
        gram = sum(np.outer(users[user[row]], users[user[row]]) for row in rows)
        gram = gram + factorisation.PENALTY * len(rows) * np.eye(4)
        wanted = sum(users[user[row]] * value[row] for row in rows)
        np.testing.assert_allclose(items[one], np.linalg.solve(gram, wanted), rtol=1e-9)
    assert not items[12].any()  # that nobody rated


def test_factors_give_back_ratings_of_their_rank():
    random = np.random.default_rng(1)
    left, right = random.normal(size=(15, 2)), random.normal(size=(12, 2))
    user, item, _ = ratings()
    users, items = factorisation.factors(user, item, (left @ right.T)[user, item], (15, 12), size=4)
    said, true = (users @ items.T)[user, item], (left @ right.T)[user, item]
    assert np.corrcoef(said, true)[0, 1] > 0.98


def test_biases_leave_what_they_do_not_explain():
    user, item, _ = ratings()
    own, theirs = np.linspace(-1, 1, 15), np.linspace(-0.5, 0.5, 12)
    found_own, found_theirs, left = factorisation.biases(user, item, own[user] + theirs[item])
    assert np.corrcoef(found_own, own)[0, 1] > 0.99 and np.corrcoef(found_theirs, theirs)[0, 1] > 0.99
    np.testing.assert_allclose(left, own[user] + theirs[item] - found_own[user] - found_theirs[item])


def test_a_users_own_ratings_have_no_part_in_the_factors_that_its_rows_see():
    user, item, value = ratings()
    rows = user % GROUPS == 2
    before = learned(catalogue(14), item, value, user, size=4)
    other = np.where(rows, 0.0, value)
    other[rows] = value[rows][::-1]  # the same mean and spread
    after = learned(catalogue(14), item, other, user, size=4)
    assert (before.group[rows] == 2).all()
    same = (before.apart - after.apart).abs().amax((0, 2))
    assert not torch.equal(before.factors, after.factors) and same[0] > 1e-3
    assert same[2] < 0.2 * same[[0, 1, 3, 4]].min()  # what is left of it is in the items' biases


def test_items_that_train_has_not_have_factors_of_zero():
    user, item, value = ratings()
    found = learned(catalogue(14), item, value, user, size=4)
    assert not found.apart[12:].any() and found.apart[:12].abs().amin() > 0
    assert found.factors.shape == (12, 4) and found.apart.shape == (14, GROUPS, 4)


def test_liking_is_a_ridge_regression_of_the_history():
    random = torch.Generator().manual_seed(0)
    left = torch.randn(3, 6, generator=random, dtype=torch.float64)
    left[0, :2], left[2] = 0, 0
    history = torch.randn(3, 6, 4, generator=random, dtype=torch.float64)
    candidate = torch.randn(3, 2, 4, generator=random, dtype=torch.float64)
    found = liking(left, history, candidate)
    for row in range(3):
        rated = [at for at in range(6) if left[row, at]]
        gram, wanted = RIDGE * max(1, len(rated)) * np.eye(4), np.zeros(4)
        for at in rated:
            q = history[row, at].numpy()
            gram, wanted = gram + np.outer(q, q), wanted + q * float(left[row, at])
        expected = candidate[row].numpy() @ np.linalg.solve(gram, wanted)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)
    assert not found[2].any()


@pytest.mark.parametrize("history", [1, 7])
def test_liking_has_the_gradient_of_its_ratings(history):
    random = torch.Generator().manual_seed(0)
    left = torch.randn(2, history, generator=random, dtype=torch.float64, requires_grad=True)
    factors = (torch.randn(2, n, 3, generator=random, dtype=torch.float64, requires_grad=True) for n in (history, 2))
    assert torch.autograd.gradcheck(liking, (left, *factors))
