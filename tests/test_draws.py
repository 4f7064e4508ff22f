"""The random numbers of augmentation: a pure function of (seed, draw, stream), with the right distributions."""

import math

import numpy as np
import pytest
import torch
from augmentation_batches import made
from scipy import stats

from hf_attn.tasks.inputs.images.augmentation import uniform
from hf_attn.tasks.inputs.images.augmentation.draws import GOLDEN, _mixed, beta


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
