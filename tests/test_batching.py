"""Batches: every row once, the same on any number of processes, of like length."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_attn.data.batching import BatchSampler, eval_loader, lengths_of, train_loader
from hf_attn.errors import InputError

LENGTHS = np.random.default_rng(0).integers(3, 60, 103)


def samplers(processes, rows=103, batch_size=4, seed=0, **kwargs):
    return [BatchSampler(LENGTHS[:rows], batch_size, seed, index, processes, **kwargs) for index in range(processes)]


def process(index=0, count=1):
    return SimpleNamespace(process_index=index, num_processes=count, device=torch.device("cpu"))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("rows", [3, 7, 24, 25, 26, 73, 103])
@pytest.mark.parametrize("grouped", [True, False])
def test_every_row_comes_exactly_once_an_epoch(processes, rows, grouped):
    for batch_size, accumulation in itertools.product([1, 4, 8], [1, 2, 3]):
        shares = samplers(
            processes, rows, batch_size, group_by_length=grouped, accumulation_steps=accumulation, seed=rows
        )
        batches = [list(share) for share in shares]
        assert sorted(itertools.chain.from_iterable(itertools.chain(*batches))) == list(range(rows))


@pytest.mark.parametrize("rows", [3, 7, 25, 26, 73])
def test_every_process_has_as_many_batches_and_none_is_empty(rows):
    for batch_size, accumulation in itertools.product([1, 4, 8], [1, 2, 3]):
        shares = samplers(3, rows, batch_size, accumulation_steps=accumulation)
        batches = [list(share) for share in shares]
        assert [len(share) for share in batches] == [len(share) for share in shares]
        assert len({len(share) for share in batches}) == 1
        assert all(len(batch) for share in batches for batch in share)
        assert max(len(batch) for share in batches for batch in share) <= batch_size + 1
        for together in zip(*batches, strict=True):
            assert max(map(len, together)) - min(map(len, together)) <= 1


def test_order_depends_on_seed_and_epoch_alone():
    first, again, other = samplers(1)[0], samplers(1)[0], samplers(1, seed=1)[0]
    np.random.seed(3)
    torch.manual_seed(3)
    list(again)
    again.set_epoch(5)
    first.set_epoch(5)
    assert list(first) == list(again) == list(again)
    other.set_epoch(5)
    assert list(first) != list(other)
    again.set_epoch(6)
    assert list(first) != list(again)


def test_iterating_draws_nothing_from_the_global_generators():
    dataset = [{"x": index} for index in range(103)]
    loader = train_loader(dataset, lambda rows: rows, process(), batch_size=4, lengths=LENGTHS)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert sum(len(batch) for batch in loader) == 103
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_start_inside_the_epoch_continues_exactly(processes):
    for share in samplers(processes, accumulation_steps=2):
        share.set_epoch(2)
        whole = list(share)
        for start in range(len(whole) + 1):
            share.set_epoch(2, start=start)
            assert list(share) == whole[start:]
            assert len(share) == len(whole)


def test_steps_hold_the_same_rows_however_they_are_cut():
    def steps(batch_size, accumulation, processes=1):
        shares = [list(s) for s in samplers(processes, batch_size=batch_size, accumulation_steps=accumulation)]
        together = [list(itertools.chain(*batches)) for batches in zip(*shares, strict=True)]
        groups = [together[at : at + accumulation] for at in range(0, len(together), accumulation)]
        return [sorted(itertools.chain(*group)) for group in groups]

    assert steps(8, 1) == steps(4, 2) == steps(2, 4) == steps(4, 1, 2) == steps(2, 2, 2)


def test_the_given_order_is_kept_without_shuffling():
    batches = list(BatchSampler(LENGTHS, 10, shuffle=False))
    assert list(itertools.chain(*batches)) == list(range(103))


def test_length_groups_hold_far_less_padding():
    lengths = np.random.default_rng(1).gamma(4, 6, 5000).astype(int) + 3

    def padding(grouped):
        batches = BatchSampler(lengths, 32, group_by_length=grouped)
        return sum(lengths[batch].max() * len(batch) - lengths[batch].sum() for batch in batches)

    assert padding(True) < padding(False) / 8


def test_the_longest_full_step_comes_first():
    sampler = BatchSampler(LENGTHS[:100], 4)
    assert LENGTHS[next(iter(sampler))].max() == LENGTHS[:100].max()


def test_length_groups_are_shuffled_anew_each_epoch():
    sampler = BatchSampler(np.arange(6400) // 2, 32)
    epochs = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        epochs.append([np.mean(batch) for batch in sampler])
    assert abs(np.corrcoef(*epochs)[0, 1]) < 0.2
    assert abs(np.corrcoef(epochs[0], np.arange(200))[0, 1]) < 0.2


def test_fewer_rows_than_processes_are_refused():
    with pytest.raises(InputError, match="2 rows for 3 processes"):
        BatchSampler(2, 4, num_processes=3)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_evaluation_shares_every_row_out_once_longest_first(processes):
    dataset = [{"row": index} for index in range(103)]
    loaders = [
        eval_loader(dataset, lambda rows: [row["row"] for row in rows], 10, process(index, processes), LENGTHS)
        for index in range(processes)
    ]
    shares = [list(itertools.chain(*loader)) for loader in loaders]
    assert sorted(itertools.chain(*shares)) == list(range(103))
    for share in shares:
        assert (np.diff(LENGTHS[share]) <= 0).all()


def test_evaluation_may_leave_a_process_without_rows():
    assert list(eval_loader([{"row": 0}], list, 10, process(1, 2))) == []


def test_lengths_are_counted_in_the_order_of_the_rows():
    from datasets import Dataset

    dataset = Dataset.from_dict({"input_ids": [[1, 2], [3], [4, 5, 6]]})
    assert lengths_of(dataset).tolist() == [2, 1, 3]
    assert lengths_of(dataset.select([2, 0])).tolist() == [3, 2]
