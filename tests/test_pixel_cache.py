"""The cache of decoded pixels: what is read back is what was decoded, whatever happened to the files."""

import errno
import json
import logging
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import forked
import numpy as np
import pytest
from bad_images import picture, processing
from datasets import Dataset, DatasetDict
from pixel_splits import all_pixels, load, same, split_of, splits_of

from hf_attn.tasks.inputs.images import pixel_cache, pixel_loading


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
    load(splits, tmp_path, processing(image_mean=[0.1] * 3))
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
    context = forked.context()
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


@pytest.mark.parametrize("damage", ["one bit", "zeros", "last row"])
def test_pixels_that_changed_in_the_cache_are_never_served(tmp_path, damage):
    splits = DatasetDict({"train": split_of(6)})
    expected = all_pixels(load(splits, tmp_path))
    path = next(tmp_path.glob("*.npy"))
    before, time = path.read_bytes(), path.stat()
    data = bytearray(before)
    if damage == "one bit":
        data[len(data) // 2] ^= 1
    else:
        start = 128 if damage == "zeros" else len(data) - 3 * 64
        data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))
    assert same(all_pixels(load(splits, tmp_path)), expected)
    assert path.read_bytes() == before


def images_in(folder, colour):
    from PIL import Image

    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(3):
            Image.new("RGB", (12, 12), (colour, 40 * number, len(name))).save(folder / name / f"{number}.bmp")


def test_images_changed_in_place_with_the_same_size_and_time_are_decoded_again(tmp_path):
    from hf_attn.data.sources import load_splits

    images_in(tmp_path / "photos", 10)
    old = {path: path.stat() for path in (tmp_path / "photos").rglob("*.bmp")}
    source = {"validation": 0.3, "test": 0.3, "label": "label", "image": "image"}
    first = load(load_splits(str(tmp_path / "photos"), **source), tmp_path / "cache")
    images_in(tmp_path / "photos", 200)
    for path, stat in old.items():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert path.stat().st_size == stat.st_size
    second = load(load_splits(str(tmp_path / "photos"), **source), tmp_path / "cache")
    assert (first["train"].pixels[:, 0] == 10).all() and (second["train"].pixels[:, 0] == 200).all()


def test_an_image_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch):
    from datasets import Image as ImageFeature
    from PIL import Image

    Image.new("RGB", (12, 12), (1, 2, 3)).save(tmp_path / "a.bmp")
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "a.bmp")}]}
    split = Dataset.from_dict(rows).cast_column("image", ImageFeature(decode=False))
    original = pixel_loading.decode_frame

    def changing(source, *white):
        Image.new("RGB", (12, 12), (4, 5, 6)).save(tmp_path / "a.bmp")
        return original(source)

    monkeypatch.setattr(pixel_loading, "decode_frame", changing)
    with pytest.raises(ValueError, match="changed while it was read"):
        load(DatasetDict({"train": split}), tmp_path / "cache")


def test_a_pipe_among_the_images_is_told_and_not_waited_for(tmp_path):
    from datasets import Image as ImageFeature

    os.mkfifo(tmp_path / "a.bmp")
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "a.bmp")}]}
    split = Dataset.from_dict(rows).cast_column("image", ImageFeature(decode=False))
    with pytest.raises(ValueError, match="not a file"):
        load(DatasetDict({"train": split}), tmp_path / "cache")


def test_the_key_holds_the_size_of_the_images():
    one, other = processing(8), processing(8)
    other.size = (16, 16)
    assert one.settings == other.settings
    assert pixel_cache.key_of(one, [b"a"]) != pixel_cache.key_of(other, [b"a"])
