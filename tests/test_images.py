"""Where images come from, and what they become: RGB, upright, 8 bit."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bad_images import (
    animated,
    class_folder,
    encoded,
    picture,
    png,
    sixteen_bits,
    split_folders,
    use,
    write_csv,
    write_folder,
    write_parquet,
)
from datasets import ClassLabel, Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image, ImageFile, ImageOps

from hf_attn.data import decode, fingerprint, image_column
from hf_attn.tasks.targets.labels import encode_labels, load_splits

SHARED = Path(os.environ.get("HF_ATTN_SHARED", Path(__file__).parent.parent / "../shared")) / "data"


def values(splits):
    """The bytes of every image, by split."""
    return {
        name: [
            value["bytes"] or Path(value["path"]).read_bytes()
            for batch in image_column(split, "image")
            for value in batch
        ]
        for name, split in splits.items()
    }


def test_an_image_folder_gives_images_and_class_names(tmp_path):
    splits = load_splits(str(write_folder(tmp_path, split_folders())), label="label", image="image")
    assert {name: len(split) for name, split in splits.items()} == {"train": 8, "validation": 8, "test": 8}
    assert splits["train"].features["label"] == ClassLabel(names=["cat", "dog"])
    assert splits["test"]["label"][:] == [0] * 4 + [1] * 4
    assert values(splits)["train"] == [png(i) for i in (0, 2, 4, 6, 1, 3, 5, 7)]
    assert encode_labels(splits, "label")[1].names == ("cat", "dog")


def test_a_folder_of_classes_is_cut_with_equal_shares(tmp_path):
    splits = load_splits(str(write_folder(tmp_path, class_folder(40))), label="label", image="image")
    assert {name: len(split) for name, split in splits.items()} == {"train": 32, "validation": 4, "test": 4}
    assert all(sum(split["label"]) * 2 == len(split) for split in splits.values())
    again = load_splits(str(tmp_path), label="label", image="image")
    assert values(again) == values(splits)


@pytest.mark.parametrize("name", ["training", "Train", "train"])
@pytest.mark.parametrize("validation", ["valid", "val", "dev", "validation"])
def test_folders_of_splits_may_have_their_other_names(tmp_path, name, validation):
    files = class_folder(8, f"{name}/") | class_folder(6, f"{validation}/", 100) | class_folder(4, "testing/", 200)
    splits = load_splits(str(write_folder(tmp_path, files)), label="label")
    assert [len(split) for split in splits.values()] == [8, 6, 4]


def test_a_class_may_be_called_train(tmp_path):
    write_folder(tmp_path, class_folder(30, classes=("car", "train", "plane")))
    splits = load_splits(str(tmp_path), label="label")
    assert splits["train"].features["label"].names == ["car", "plane", "train"]


def test_hidden_files_and_nested_folders_are_left_out(tmp_path, caplog):
    extra = {"cat/.hidden.png": png(), "cat/._0.png": b"x", ".git/a/b.png": png(), "dog/Thumbs.db": b"x"}
    write_folder(tmp_path, class_folder(24) | extra | {"cat/more/1.png": png(), "dog/notes.txt": "notes"})
    splits = load_splits(str(tmp_path), label="label")
    assert sum(map(len, splits.values())) == 24
    assert "folders in the class folder cat left out: cat/more" in caplog.text
    assert "1 files left out, which have no extension of an image: dog/notes.txt" in caplog.text
    assert ".hidden.png" not in caplog.text and "Thumbs" not in caplog.text


def test_every_source_gives_the_same_images(tmp_path):
    folder = write_folder(tmp_path / "folder", class_folder(24))
    paths = [f"{'cat dog'.split()[i % 2]}/{i:02}.png" for i in range(24)]
    rows = [{"image": path, "label": path[:3]} for path in paths]
    write_csv(folder, paths)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "d.parquet")
    (folder / "d.jsonl").write_text(
        "".join(f'{{"image": "{row["image"]}", "label": "{row["label"]}"}}\n' for row in rows)
    )
    write_parquet(tmp_path / "struct.parquet", [png(i) for i in range(24)], [path[:3] for path in paths])
    plain = pyarrow.table({"image": [png(i) for i in range(24)], "label": [path[:3] for path in paths]})
    pyarrow.parquet.write_table(plain, tmp_path / "bytes.parquet")
    sources = [folder / "d.csv", folder / "d.jsonl", folder / "d.parquet", tmp_path / "struct.parquet"]
    found = [values(load_splits(str(source), label="label", image="image")) for source in sources]
    assert all(one == found[0] for one in found)
    assert sorted(sum(found[0].values(), [])) == sorted(png(i) for i in range(24))
    pixels = [use(source)["train"].pixels for source in (*sources, tmp_path / "bytes.parquet")]
    assert all(np.array_equal(one, pixels[0]) for one in pixels)


def test_the_fingerprint_is_that_of_the_images_wherever_they_lie(tmp_path):
    prints = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        folder = write_folder(tmp_path / name, class_folder(24, seed=seed))
        prints.append(fingerprint(load_splits(str(folder), label="label", image="image")))
    assert prints[0] == prints[1] != prints[2]


def test_a_saved_dataset_is_read_without_decoding(tmp_path):
    rows = {"image": [picture(i) for i in range(24)], "label": [i % 2 for i in range(24)]}
    dataset = Dataset.from_dict(rows).cast_column("image", ImageFeature())
    DatasetDict({"train": dataset}).save_to_disk(tmp_path / "saved")
    splits = load_splits(str(tmp_path / "saved"), label="label", image="image")
    assert splits["train"].features["image"] == ImageFeature(decode=False)
    pixels = [np.asarray(decode(one)) for many in values(splits).values() for one in many]
    assert sorted(map(bytes, pixels)) == sorted(np.asarray(picture(i)).tobytes() for i in range(24))


def test_paths_may_be_absolute_or_linked_within_the_folder(tmp_path):
    write_folder(tmp_path, {f"images/{i}.png": png(i) for i in range(24)})
    (tmp_path / "link.png").symlink_to(tmp_path / "images/0.png")
    paths = [
        "link.png",
        tmp_path / "images/1.png",
        "images/../images/2.png",
        *(f"images/{i}.png" for i in range(3, 24)),
    ]
    splits = load_splits(str(write_csv(tmp_path, paths)), label="label", image="image")
    assert sorted(sum(values(splits).values(), [])) == sorted(png(i) for i in range(24))


@pytest.mark.parametrize("name", ["cifar10", "pneumoniamnist"])
def test_real_images_are_read_as_their_library_reads_them(name):
    if not (SHARED / name).exists():
        pytest.skip(f"no {SHARED / name}")
    splits = load_splits(str(SHARED / name), label="label", image="image")
    row = splits["test"].select([7])
    assert splits["test"].features["image"] == ImageFeature(decode=False)
    expected = row.cast_column("image", ImageFeature())[0]["image"].convert("RGB")
    assert np.array_equal(decode(next(image_column(row, "image"))[0]["bytes"]), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_what_pillow_makes_of_it(mode):
    image = picture(mode=mode)
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    data = encoded(image, kind)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    decoded = decode(data)
    assert decoded.mode == "RGB"
    assert np.array_equal(decoded, expected)
    if kind == "PNG":
        assert np.array_equal(decoded, image.convert("RGB"))


def test_a_cmyk_photo_keeps_its_colours():
    flat = Image.new("RGB", (16, 16), (200, 40, 90))
    decoded = np.asarray(decode(encoded(flat.convert("CMYK"), "JPEG", quality=95)), dtype=int)
    assert np.abs(decoded - (200, 40, 90)).max() <= 3


def test_transparency_is_dropped_and_shows_what_is_under_it():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., :3] = 10, 20, 30
    assert (np.asarray(decode(encoded(Image.fromarray(pixels, "RGBA")))) == (10, 20, 30)).all()


def test_a_palette_with_transparency_keeps_its_colours(recwarn):
    image = picture(mode="P")
    data = encoded(image, transparency=bytes(range(256)))
    assert np.array_equal(decode(data), image.convert("RGB"))
    assert not [w for w in recwarn if "PIL" in w.filename]


def test_sixteen_bits_are_scaled_and_not_clipped():
    values_16 = np.asarray([[0, 128, 129, 257, 25700, 32768, 65406, 65535]])
    decoded = np.asarray(decode(sixteen_bits(values_16)))
    assert np.array_equal(decoded[0, :, 0], np.round(values_16[0] / 257))
    assert np.array_equal(decoded[..., 0], decoded[..., 2])
    for kind in ("I;16", "I"):
        image = Image.fromarray(values_16.astype(np.uint16 if kind == "I;16" else np.int32))
        assert np.array_equal(decode(encoded(image, "TIFF")), decoded)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_honoured(orientation):
    image = picture(size=(16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG"):
        data = encoded(image, kind, exif=exif)
        stored = Image.open(io.BytesIO(data))
        decoded = decode(data)
        assert decoded.size == ((8, 16) if orientation > 4 else (16, 8))
        assert np.array_equal(decoded, ImageOps.exif_transpose(stored).convert("RGB"))
        turned = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 6: lambda a: np.rot90(a, -1)}
        if orientation in turned:
            assert np.array_equal(decoded, turned[orientation](np.asarray(stored.convert("RGB"))))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    data = animated(kind)
    first = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(decode(data), first)


def test_content_counts_and_not_the_name(tmp_path):
    path = tmp_path / "photo.png"
    picture().save(path, "JPEG")
    assert np.array_equal(decode(path), Image.open(io.BytesIO(path.read_bytes())))
    assert np.array_equal(decode(str(path)), decode(path.read_bytes()))


def test_decoding_changes_no_setting_of_pillow(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    decode(png())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False and limit == Image.MAX_IMAGE_PIXELS
