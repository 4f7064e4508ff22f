"""Pixels: what the processor makes, decoded once, the same from the cache, in batches that say which draw they are."""

import errno
import json
import logging
import multiprocessing
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from bad_images import picture, png, processing, write_folder
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from torch.utils.data import DataLoader

from hf_attn.data import (
    BatchSampler,
    PixelRows,
    Processing,
    collate_images,
    eval_loader,
    load_pixels,
    pixel_cache,
    pixel_loading,
    set_image_size,
    train_loader,
)

SIZES = [(50, 70), (300, 210), (224, 224), (7, 3), (1, 1), (640, 480), (33, 500)]
PROCESSORS = [
    "ViTImageProcessorPil",
    "DeiTImageProcessorPil",
    "ConvNextImageProcessorPil",
    "BeitImageProcessorPil",
    "SiglipImageProcessorPil",
    "BitImageProcessorPil",
    "CLIPImageProcessorPil",
    "EfficientNetImageProcessorPil",
    "LevitImageProcessorPil",
    "MobileNetV2ImageProcessorPil",
    "MobileViTImageProcessorPil",
    "PoolFormerImageProcessorPil",
    "PvtImageProcessorPil",
    "SegformerImageProcessorPil",
]


def make(name, **kwargs):
    return getattr(transformers, name)(**kwargs)


def split_of(rows, start=0, labels=True):
    columns = {"image": [{"bytes": png(start + i, size=(9 + i % 5, 11)), "path": None} for i in range(rows)]}
    columns |= {"labels": [i % 3 for i in range(rows)]} if labels else {}
    return Dataset.from_dict(columns).cast_column("image", ImageFeature(decode=False))


def splits_of(rows=12):
    return DatasetDict({"train": split_of(rows), "validation": split_of(4, 100), "test": split_of(5, 200)})


def load(splits=None, folder=None, made=None, **kwargs):
    return load_pixels(splits or splits_of(), "image", made or processing(), cache_dir=folder, progress=False, **kwargs)


def all_pixels(rows):
    return {name: np.stack([row["pixels"] for row in split]) for name, split in rows.items()}


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", PROCESSORS)
def test_normalised_pixels_are_the_processors_own(name):
    processor = make(name)
    images = [picture(seed, size=size) for seed, size in enumerate(SIZES)]
    split = Processing(processor)
    pixels = split.pixels(images)
    assert all(one.dtype == np.uint8 and one.shape == (3, *split.size) for one in pixels)
    made = split.normalize(torch.from_numpy(np.stack(pixels)))
    expected = torch.tensor(np.stack(processor(images=images)["pixel_values"]))
    assert made.dtype == torch.float32
    assert (made - expected).abs().max() <= 1e-6


@pytest.mark.parametrize("name", PROCESSORS[:6])
@pytest.mark.parametrize(
    "switched_off", [{"do_normalize": False}, {"do_rescale": False}, {"do_rescale": False, "do_normalize": False}]
)
def test_steps_that_are_switched_off_stay_off(name, switched_off):
    processor = make(name, **switched_off)
    images = [picture(seed, size=size) for seed, size in enumerate(SIZES[:2])]
    split = Processing(processor)
    made = split.normalize(torch.from_numpy(np.stack(split.pixels(images)))).numpy()
    expected = np.stack(processor(images=images)["pixel_values"])
    assert np.abs(made - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_mean_and_std_are_those_of_a_loop():
    processor = make("ViTImageProcessorPil", image_mean=[0.1, 0.5, 0.9], image_std=[0.3, 1.0, 2.0])
    pixels = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    made = Processing(processor).normalize(pixels)
    for index in np.ndindex(2, 3, 4, 5):
        mean, std = ([0.1, 0.5, 0.9], [0.3, 1.0, 2.0])
        expected = (int(pixels[index]) / 255 - mean[index[1]]) / std[index[1]]
        assert abs(made[index].item() - expected) <= 1e-6


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [96, 384])
def test_another_size_is_made(name, size):
    processor = make(name)
    before = processor.to_dict()
    changed = set_image_size(processor, size)
    assert Processing(changed).size == (size, size)
    assert processor.to_dict() == before


def test_the_share_that_the_crop_keeps_stays_the_same(tmp_path):
    bit = make("BitImageProcessorPil", size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    changed = set_image_size(bit, 112)
    assert changed.to_dict()["size"] == {"shortest_edge": 128}
    assert changed.to_dict()["crop_size"] == {"height": 112, "width": 112}
    assert set_image_size(make("DeiTImageProcessorPil"), 112).to_dict()["size"] == {"height": 128, "width": 128}
    changed.save_pretrained(tmp_path)
    loaded = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    assert Processing(loaded).settings == Processing(changed).settings


def test_cached_and_uncached_pixels_are_equal(tmp_path, caplog):
    direct = {
        name: np.stack(processing().pixels([picture(start + i, size=(9 + i % 5, 11)) for i in range(len(split))]))
        for start, (name, split) in zip((0, 100, 200), splits_of().items(), strict=True)
    }
    written, read = load(folder=tmp_path), load(folder=tmp_path)
    assert same(all_pixels(written), direct) and same(all_pixels(read), direct)
    assert isinstance(read["train"].pixels, np.memmap) and not read["train"].pixels.flags.writeable
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    memory = load(folder="/proc/none")
    assert same(all_pixels(memory), direct) and "no cache of images in /proc/none" in caplog.text
    assert read["train"].labels.tolist() == [i % 3 for i in range(12)] == memory["train"].labels.tolist()


def test_a_cached_image_is_not_decoded_again(tmp_path, monkeypatch):
    load(folder=tmp_path)
    monkeypatch.setattr(pixel_loading, "decode_frame", None)
    assert len(load(folder=tmp_path)["train"]) == 12


def test_the_cache_depends_on_all_that_the_pixels_depend_on(tmp_path, monkeypatch):
    def files():
        return len(list(tmp_path.glob("*.npy")))

    splits = DatasetDict({"train": split_of(6)})
    load(splits, tmp_path)
    load(DatasetDict({"train": split_of(6, labels=False)}), tmp_path)
    load(
        splits, tmp_path, Processing(make("ViTImageProcessorPil", size={"height": 8, "width": 8}, image_mean=[0.1] * 3))
    )
    assert files() == 1
    load(DatasetDict({"train": splits["train"].select([1, 0, 2, 3, 4, 5])}), tmp_path)
    assert files() == 2
    load(splits, tmp_path, processing(9))
    assert files() == 3
    load(splits, tmp_path, processing(resample=0))
    assert files() == 4
    monkeypatch.setattr("PIL.__version__", "0.1")
    load(splits, tmp_path)
    assert files() == 5
    monkeypatch.setattr(pixel_cache, "VERSION", 0)
    load(splits, tmp_path)
    assert files() == 6


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_ATTN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert pixel_cache.cache_root() == Path.home() / ".cache/hf_attn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert pixel_cache.cache_root() == tmp_path / "xdg/hf_attn"
    monkeypatch.setenv("HF_ATTN_CACHE", str(tmp_path / "own"))
    load()
    assert len(list((tmp_path / "own/images").glob("*.npy"))) == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "other shape", "no notes", "broken notes", "pickle"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    splits = DatasetDict({"train": split_of(6)})
    expected = all_pixels(load(splits, tmp_path))
    path = next(tmp_path.glob("*.npy"))
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other shape":
        np.save(path, np.zeros((5, 3, 8, 8), np.uint8))
    elif damage == "pickle":
        path.write_bytes(pickle.dumps(np.zeros(3)))
    else:
        path.write_bytes(data)
        path.with_suffix(".json").write_text("{" if damage == "broken notes" else "[]")
    assert same(all_pixels(load(splits, tmp_path)), expected)
    assert path.read_bytes() == data


def test_a_killed_writer_leaves_nothing_that_is_taken_for_whole(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        load(folder=tmp_path)
    assert not list(tmp_path.glob("*.npy")) and not list(tmp_path.glob(".*"))
    stale, fresh = tmp_path / ".a.1.tmp", tmp_path / ".a.2.tmp"
    stale.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(stale, (0, 0))
    load(folder=tmp_path)
    assert not stale.exists() and fresh.exists()


@pytest.mark.parametrize("function", ["posix_fallocate", "replace"])
def test_a_full_disk_falls_back_to_memory(tmp_path, monkeypatch, caplog, function):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = all_pixels(load(folder="/proc/none"))
    caplog.clear()
    monkeypatch.setattr(os, function, full)
    assert same(all_pixels(load(folder=tmp_path)), expected)
    assert "No space left on device): they stay in memory" in caplog.text
    assert not list(tmp_path.iterdir())


def test_bad_rows_are_remembered_by_the_cache(tmp_path, monkeypatch, caplog):
    splits = splits_of()
    rows = splits["train"].to_list()
    rows[3]["image"]["bytes"] = b"no image"
    splits["train"] = Dataset.from_list(rows, features=splits["train"].features)
    first = load(splits, tmp_path, skip_bad=True)
    monkeypatch.setattr(pixel_loading, "decode_frame", None)
    again = load(splits, tmp_path, skip_bad=True)
    assert first["train"].ids.tolist() == again["train"].ids.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert same(all_pixels(first), all_pixels(again))
    assert caplog.text.count("1 of 21 images cannot be used and are left out: row 3 of train") == 2
    with pytest.raises(ValueError, match="row 3 of train: not an image, .* or --skip_bad_images"):
        load(splits, tmp_path)
    assert any(json.loads(path.read_text())["bad"] for path in tmp_path.glob("*.json"))


def _load_in_process(folder, queue):
    queue.put({name: pixels.tobytes() for name, pixels in all_pixels(load(folder=folder)).items()})


def test_processes_may_write_the_same_cache_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    writers = [context.Process(target=_load_in_process, args=(tmp_path, queue)) for _ in range(2)]
    for writer in writers:
        writer.start()
    found = [queue.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join()
    expected = {name: pixels.tobytes() for name, pixels in all_pixels(load(folder="/proc/none")).items()}
    assert all(one == expected for one in found)
    assert len(list(tmp_path.iterdir())) == 6


def test_only_the_main_process_decodes(tmp_path, monkeypatch):
    seen = []

    def wait_in_main():
        seen.append(len(list(tmp_path.glob("*.npy"))))

    main = SimpleNamespace(is_main_process=True, wait_for_everyone=wait_in_main)
    load(folder=tmp_path, accelerator=main)
    assert seen == [3]
    for file in tmp_path.iterdir():
        file.unlink()

    decoded = []
    original = pixel_loading.decode_frame

    def wait_elsewhere():
        load(folder=tmp_path)  # the main process, meanwhile
        monkeypatch.setattr(pixel_loading, "decode_frame", lambda source: decoded.append(1) or original(source))

    other = SimpleNamespace(is_main_process=False, wait_for_everyone=wait_elsewhere)
    rows = load(folder=tmp_path, accelerator=other)
    assert pixel_loading.decode_frame is not original
    assert not decoded and len(rows["train"]) == 12


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
