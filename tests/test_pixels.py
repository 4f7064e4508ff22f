"""Rows of pixels in batches that say which draw they are."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bad_images import png, processing, write_folder
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from pixel_splits import load, split_of
from torch.utils.data import DataLoader

from hf_attn.data import BatchSampler, eval_loader, train_loader
from hf_attn.tasks.inputs.images import PixelRows, collate_images


def test_rows_are_given_by_row_or_draw(tmp_path):
    rows = load(folder=tmp_path)["train"]
    assert len(rows) == 12 and len(list(rows)) == 12
    for draw in (0, 11, 12, 5 * 12 + 7):
        row = rows[draw]
        assert row["draws"] == draw and row["ids"] == draw % 12 and row["labels"] == draw % 12 % 3
        assert np.array_equal(row["pixels"], rows.pixels[draw % 12])


def test_a_worker_opens_the_file_instead_of_copying_it(tmp_path):
    splits = DatasetDict({"train": split_of(60)})
    rows = load(splits, tmp_path, processing(64))["train"]
    assert len(pickle.dumps(rows)) < 4000
    copied = pickle.loads(pickle.dumps(rows))
    assert isinstance(copied.pixels, np.memmap) and np.array_equal(copied.pixels, rows.pixels)
    loader = DataLoader(rows, batch_size=16, collate_fn=collate_images(), num_workers=1)
    assert torch.equal(torch.cat([batch["pixels"] for batch in loader]), torch.tensor(np.asarray(rows.pixels)))


def test_training_and_evaluation_batches_hold_what_they_say():
    made = processing()
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 8, 8), dtype=np.uint8)
    rows = PixelRows(pixels, labels=[i % 2 for i in range(10)])
    train = collate_images()([rows[draw] for draw in (3, 25, 10)])
    assert set(train) == {"pixels", "labels", "ids", "draws"}
    assert train["pixels"].dtype == torch.uint8 and torch.equal(train["pixels"], torch.tensor(pixels[[3, 5, 0]]))
    assert train["draws"].tolist() == [3, 25, 10] and train["ids"].tolist() == [3, 5, 0]
    assert train["labels"].tolist() == [1, 1, 0]
    assert all(train[name].dtype == torch.int64 for name in ("labels", "ids", "draws"))
    valid = collate_images(made.normalize)([rows[row] for row in (3, 5)])
    assert set(valid) == {"pixel_values", "labels", "ids"}
    assert torch.equal(valid["pixel_values"], made.normalize(torch.tensor(pixels[[3, 5]])))


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([0.5, 1.5], torch.float32), ([[0.0, 1.0], [1.0, 1.0]], torch.float32), ([0, 2], torch.int64)],
)
def test_labels_have_the_type_that_a_loss_takes(labels, dtype):
    rows = PixelRows(np.zeros((2, 3, 4, 4), np.uint8), labels=labels)
    batch = collate_images()([rows[0], rows[1]])
    assert batch["labels"].dtype == dtype and batch["labels"].tolist() == labels


def test_rows_need_no_labels(tmp_path):
    rows = load(DatasetDict({"train": split_of(4, labels=False)}), tmp_path)["train"]
    assert set(collate_images()([rows[0]])) == {"pixels", "ids", "draws"}


def test_partners_are_fetched_from_the_dataset():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 4), dtype=np.uint8)
    rows = PixelRows(pixels[::-1], ids=[9, 7, 5, 3, 1], labels=[4, 3, 2, 1, 0])
    collate = collate_images(dataset=rows, partner=lambda draws: (draws * 3 + 1) % 5)
    batch = collate([rows[draw] for draw in (0, 6, 13)])
    partners = [(draw * 3 + 1) % 5 for draw in (0, 6, 13)]
    assert torch.equal(batch["partner_pixels"], torch.tensor(pixels[::-1][rows.ids[partners]].copy()))
    assert batch["partner_labels"].tolist() == [4 - row for row in partners]
    with pytest.raises(ValueError, match="give dataset="):
        collate_images(partner=lambda draws: draws)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_counted_draws_leave_order_and_batches_as_they_are(processes, accumulation):
    for index in range(processes):
        arguments = (53, 4, 7, index, processes, False, True, accumulation)
        plain, counted = BatchSampler(*arguments), BatchSampler(*arguments, count_draws=True)
        for epoch in (0, 1, 5):
            for start in (0, 1, 4):
                plain.set_epoch(epoch, start)
                counted.set_epoch(epoch, start)
                assert list(counted) == [[epoch * 53 + row for row in batch] for batch in plain]
        assert len(plain) == len(counted)


def test_no_draw_comes_twice_and_processes_share_them():
    def draws(processes, batch_size):
        samplers = [
            BatchSampler(50, batch_size, 3, index, processes, False, count_draws=True) for index in range(processes)
        ]
        seen = []
        for epoch in range(3):
            for sampler in samplers:
                sampler.set_epoch(epoch)
            seen += [sorted(sum(together, [])) for together in zip(*samplers, strict=True)]
        return seen

    assert draws(1, 8) == draws(2, 4)
    assert sorted(sum(draws(1, 8), [])) == list(range(150))


def test_loaders_give_draws_for_training_and_rows_for_evaluation(tmp_path):
    rows = load(folder=tmp_path)
    device = torch.device("cpu")
    seen = {}
    for processes in (1, 2):
        batches = []
        for index in range(processes):
            process = SimpleNamespace(process_index=index, num_processes=processes, device=device)
            loader = train_loader(
                rows["train"], collate_images(), process, batch_size=4 // processes, seed=1, count_draws=True
            )
            loader.batch_sampler.set_epoch(2)
            batches.append([batch["draws"].tolist() for batch in loader])
            valid = list(eval_loader(rows["test"], collate_images(processing().normalize), 2, process))
            assert sum(len(batch["ids"]) for batch in valid) == len(range(index, 5, processes))
        seen[processes] = [sorted(sum(together, [])) for together in zip(*batches, strict=True)]
    assert seen[1] == seen[2]
    assert sorted(sum(seen[1], [])) == list(range(24, 36))


def test_a_path_is_read_as_its_bytes_are(tmp_path):
    write_folder(tmp_path, {f"{i}.png": png(i) for i in range(6)})
    by_path = [{"image": {"bytes": None, "path": str(tmp_path / f"{i}.png")}} for i in range(6)]
    by_bytes = [{"image": {"bytes": png(i), "path": None}} for i in range(6)]
    found = []
    for many in (by_path, by_bytes):
        dataset = Dataset.from_list(many).cast_column("image", ImageFeature(decode=False))
        found.append(load(DatasetDict({"train": dataset}), tmp_path / "cache")["train"])
    assert np.array_equal(found[0].pixels, found[1].pixels)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
