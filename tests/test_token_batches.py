"""Batches of so many tokens: every row once, no more tokens than allowed, the same steps on any number of processes."""

import numpy as np
import pytest

from hf_attn.data.token_batches import TokenBatchSampler
from hf_attn.errors import InputError
from hf_attn.training.config import TrainConfig
from hf_attn.training.loaders import train_loader

RANDOM = np.random.default_rng(0)
LENGTHS = np.stack([RANDOM.gamma(6, 2.5, 3000).astype(int) + 2, RANDOM.gamma(6, 2.5, 3000).astype(int) + 2], 1)


def padded(rows):
    return len(rows) * LENGTHS[rows].max(0).sum()


def steps(sampler, accumulation=1):
    batches = list(sampler)
    return [batches[at : at + accumulation] for at in range(0, len(batches), accumulation)]


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_every_row_comes_once_and_no_batch_has_more_tokens(epoch):
    sampler = TokenBatchSampler(LENGTHS, 500)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(3000))
    assert max(map(padded, batches)) <= 500 and len(batches) == len(sampler)


def test_little_of_a_batch_is_padding():
    batches = list(TokenBatchSampler(LENGTHS, 1000))
    assert LENGTHS.sum() / sum(map(padded, batches)) > 0.85


def test_each_epoch_has_as_many_batches_in_another_order_and_the_longest_first():
    sampler = TokenBatchSampler(LENGTHS, 500)
    seen = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        seen.append(list(sampler))
        assert LENGTHS[seen[-1][0]][:, 1].max() == LENGTHS[:, 1].max()
    assert len({len(batches) for batches in seen}) == 1
    assert seen[0] != seen[1] and {tuple(sorted(b)) for b in seen[0]} != {tuple(sorted(b)) for b in seen[1]}


def test_the_order_hangs_on_seed_and_epoch_alone():
    one, two, other = (TokenBatchSampler(LENGTHS, 500, seed) for seed in (3, 3, 4))
    for sampler in (one, two, other):
        sampler.set_epoch(5)
    assert list(one) == list(two) != list(other)


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_processes_and_accumulation_cut_the_same_steps(processes, accumulation):
    whole = list(TokenBatchSampler(LENGTHS, 500 * processes * accumulation))
    parts = [TokenBatchSampler(LENGTHS, 500, 0, at, processes, accumulation) for at in range(processes)]
    cut = [steps(part, accumulation) for part in parts]
    assert len({len(one) for one in cut}) == 1
    for number, rows in enumerate(whole):
        mine = [row for one in cut for batch in one[number] for row in batch]
        assert sorted(mine) == sorted(rows)
        assert all(batch for one in cut for batch in one[number])
    widest = max(LENGTHS[batch].max(0).sum() for one in cut for step in one for batch in step)
    assert max(padded(batch) for one in cut for step in one for batch in step) <= 500 + widest


def test_an_epoch_goes_on_where_it_stopped():
    sampler = TokenBatchSampler(LENGTHS, 500)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.set_epoch(2, 17)
    assert list(sampler) == whole[17:]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_few_rows_leave_no_process_without_any(rows):
    for processes in range(1, rows + 1):
        parts = [list(TokenBatchSampler(LENGTHS[:rows], 100, 0, at, processes)) for at in range(processes)]
        assert all(batch for part in parts for batch in part)
        assert sorted(row for part in parts for batch in part for row in batch) == list(range(rows))


def test_rows_longer_than_a_batch_are_named():
    with pytest.raises(
        InputError, match=r"max_tokens is 20, and 1 rows have more tokens \(rows 1 of train, from 0; the"
    ):
        TokenBatchSampler(np.array([[5, 5], [12, 9]]), 20)


def test_rows_without_tokens_are_refused(tmp_path):
    config = TrainConfig(output_dir=str(tmp_path), max_tokens=100)
    with pytest.raises(InputError, match="max_tokens counts the tokens of texts, and there are none here"):
        train_loader([1, 2, 3], list, None, config)


def test_one_length_a_row_is_enough():
    batches = list(TokenBatchSampler(LENGTHS[:, 0], 300))
    assert max(len(batch) * LENGTHS[batch, 0].max() for batch in batches) <= 300
