"""Where images lie: class folders in their variants, paths beside a file, and what a folder without images holds."""

import os

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bad_images import class_folder, png, split_folders, told, use, write_csv, write_folder, write_parquet
from cases import case

from hf_attn.tasks.targets.labels import load_splits

IMAGES = [png(i) for i in range(24)]


def test_links_that_lead_nowhere_are_counted(tmp_path, caplog):
    write_folder(tmp_path, class_folder(24))
    for name in ("cat/98.png", "dog/99.png"):
        (tmp_path / name).symlink_to(tmp_path / "gone.png")
    (tmp_path / "cat/97.png").symlink_to(tmp_path / "cat/00.png")
    assert sum(map(len, use(tmp_path).values())) == 25
    assert "2 links that lead to no file are left out: cat/98.png, dog/99.png" in caplog.text


def test_a_class_of_links_that_lead_nowhere_is_empty(tmp_path):
    write_folder(tmp_path, class_folder(24) | {"bird": None})
    (tmp_path / "bird/0.png").symlink_to(tmp_path / "gone.png")
    assert "has class folders without images: bird" in told(tmp_path)


@pytest.mark.parametrize("clutter", [".DS_Store", "Thumbs.db", "._00.png", "desktop.ini", "__MACOSX/00.png"])
def test_what_systems_leave_in_folders_is_no_image(tmp_path, clutter, caplog):
    files = class_folder(24) | {f"cat/{clutter}": b"x", clutter: b"x"}
    assert sum(map(len, use(write_folder(tmp_path, files)).values())) == 24 and "left out" not in caplog.text


@pytest.mark.parametrize("name", ["00.JPG", "00.Png", "00.TIFF", "00.jfif"])
def test_extensions_count_in_any_case(tmp_path, name):
    files = class_folder(24)
    files[f"cat/{name}"] = files.pop("cat/00.png")
    assert sum(map(len, use(write_folder(tmp_path, files)).values())) == 24


@pytest.mark.parametrize("name", ["valid", "val", "validation", "Val", "dev"])
def test_validation_has_its_names(tmp_path, name):
    files = class_folder(8, "Train/") | class_folder(4, f"{name}/", 50) | class_folder(4, "TEST/", 70)
    assert [len(split) for split in use(write_folder(tmp_path, files)).values()] == [8, 4, 4]


HELD = {
    "one_level_deep": ("its images lie a folder deeper (dataset/", "one_level_deep/dataset"),
    "nested": ("its images lie in groups above their classes (", "put the class folders directly into"),
    "heic_only": ("15 files end in .heic, which is not read", "convert to JPEG"),
    "npy_only": ("15 files end in .npy, which holds arrays", "save each as PNG"),
    "no_extension": ("42 images by their content have no extension (such as test/blue/0)", "rename them"),
}


@pytest.mark.parametrize("name", HELD)
def test_each_case_of_a_folder_without_images_is_told_what_it_holds(name):
    message = told(case(f"images/{name}"))
    assert all(part in message for part in HELD[name])


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({f"a/b/{name}": data for name, data in class_folder(8).items()}, "3 folders deep (a/b/cat/00.png): give"),
        ({f"train/cat/{i}.dcm": b"x" for i in range(3)}, "3 files end in .dcm, which is not read: export as PNG"),
        ({f"train/cat/{i}.CR2": b"x" for i in range(3)}, "3 files end in .cr2, which is a camera's raw image"),
        ({"photos.zip": b"PK"}, "1 files end in .zip, which is packed: unpack it"),
        ({"set/train.csv": "image,label\n"}, "set/train.csv lies deeper: give the folder"),
    ],
)
def test_a_folder_without_images_is_told_what_it_holds(tmp_path, files, expected):
    assert expected in told(write_folder(tmp_path, files))


def test_a_table_beside_loose_images_is_pointed_to(tmp_path):
    files = {f"{i}.png": png(i) for i in range(8)} | {"labels.csv": "image,label\n"}
    assert "or give labels.csv itself" in told(write_folder(tmp_path, files))


def paths(tmp_path, change, count=24):
    """A csv of paths, each changed from ``cat/00.png``."""
    folder = write_folder(tmp_path, class_folder(24))
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    return write_csv(folder, [change(name) for name in names[:count]])


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.replace("/", "\\"),
        lambda name: ".\\" + name.replace("/", "\\"),
        lambda name: "./" + name,
        lambda name: name.removesuffix(".png"),
        lambda name: name.removesuffix(".png").replace("/", "\\"),
    ],
)
def test_paths_that_are_plain_are_followed(tmp_path, change):
    plain, other = use(paths(tmp_path / "a", str)), use(paths(tmp_path / "b", change))
    assert all(np.array_equal(plain[name].pixels, other[name].pixels) for name in plain)


def test_a_name_that_two_images_have_is_not_guessed(tmp_path):
    source = paths(tmp_path, lambda name: name.removesuffix(".png"))
    write_folder(tmp_path, {"cat/00.jpg": png(5)})
    assert "1 of 24 images cannot be used" in told(source) and "cat/00 (line 2 of d.csv): no such file" in told(source)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("https://example.org/a.png", "an address: fetch the image"),
        ("s3://bucket/a.png", "an address"),
        ("C:\\Users\\me\\a.png", "a path of Windows"),
        ("~/photos/a.png", "~ is not followed"),
        ("iVBORw0KGgoAAAANSUhEUgAAAB4AAAAe", "base64 text, which is not read"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAD", "base64 text"),
        ("data:image/png;base64,iVBORw0KGgo=", "base64 text"),
    ],
)
def test_what_is_no_path_is_told_what_it_is(tmp_path, path, why):
    folder = write_folder(tmp_path, class_folder(24))
    names = [path, *sorted(str(file.relative_to(folder)) for file in folder.rglob("*.png"))]
    rows = "".join(f'"{name}",{"ab"[i % 2]}\n' for i, name in enumerate(names))
    message = told(write_folder(folder, {"d.csv": "image,label\n" + rows}) / "d.csv")
    assert "1 of 25 images cannot be used" in message and why in message and "line 2 of d.csv" in message


@pytest.mark.parametrize("name", ["csv_backslash", "csv_no_extension"])
def test_each_case_of_paths_is_read(name):
    assert sum(map(len, use(case(f"images/{name}") / "all.csv").values())) == 30


def test_the_case_of_addresses_is_told():
    assert "(line 2 of all.csv): no such file (an address: fetch" in told(case("images/csv_url") / "all.csv")


def test_shards_named_with_a_hash_are_read(tmp_path):
    (tmp_path / "data").mkdir()
    for number in (0, 1):
        write_parquet(tmp_path / f"data/train-0000{number}-of-00002-0123456789abcdef.parquet", IMAGES[number::2])
    assert sum(map(len, load_splits(str(tmp_path), label="label", image="image").values())) == 24
    (tmp_path / "data/train-00001-of-00002-0123456789abcdef.parquet").unlink()
    assert "has 1 of 2 parts of train, without 00001" in told(tmp_path)


def test_the_case_of_hashed_shards_is_read():
    assert [len(split) for split in use(case("images/hub_hash")).values()] == [32, 4, 12]


@pytest.mark.parametrize("large", [True, False])
def test_a_struct_of_bytes_alone_is_a_column_of_images(tmp_path, large):
    kind = pyarrow.large_binary() if large else pyarrow.binary()
    images = pyarrow.array([{"bytes": image} for image in IMAGES], pyarrow.struct([("bytes", kind)]))
    table = pyarrow.table({"image": images, "label": [i % 2 for i in range(24)]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    plain = use(write_parquet(tmp_path / "e.parquet", IMAGES))
    assert all(np.array_equal(rows.pixels, plain[name].pixels) for name, rows in use(tmp_path / "d.parquet").items())


def test_a_struct_of_paths_alone_is_a_column_of_images(tmp_path):
    write_folder(tmp_path, class_folder(24))
    names = sorted(os.path.relpath(path, tmp_path) for path in tmp_path.rglob("*.png"))
    table = pyarrow.table({"image": [{"path": name} for name in names], "label": [i % 2 for i in range(24)]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    assert sum(map(len, use(tmp_path / "d.parquet").values())) == 24


@pytest.mark.parametrize(
    ("name", "expected"),
    [("base64", "base64 text, which is not read"), ("pixels_flat", "lists of pixels are not read")],
)
def test_each_case_that_holds_no_images_is_told(name, expected):
    assert expected in told(case("images/pq") / f"{name}.parquet")


def test_the_case_of_bytes_alone_is_read():
    assert sum(map(len, use(case("images/pq") / "dict_bytes_only.parquet").values())) == 36


def test_a_null_image_is_named_by_its_row_and_left_out_if_asked(tmp_path, caplog):
    source = write_parquet(tmp_path / "d.parquet", [*IMAGES[:5], {"bytes": None, "path": None}, *IMAGES[6:]])
    assert "null image (row 5 of d.parquet, from 0): fill them, or --skip_bad_rows" in told(source)
    splits = load_splits(str(source), label="label", image="image", skip_bad_rows=True)
    assert sum(map(len, splits.values())) == 23 and "row 5 of d.parquet, from 0: no image in 'image'" in caplog.text


def test_splits_of_images_without_a_fault_log_nothing(tmp_path, caplog):
    use(write_folder(tmp_path, split_folders()), cache_dir=tmp_path / "cache")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("form", ["{}", "{:05}", "{}.5"])
def test_numbers_that_name_images_are_names(tmp_path, form):
    names = [form.format(i) for i in range(24)]
    source = write_csv(write_folder(tmp_path, {f"{name}.png": IMAGES[i] for i, name in enumerate(names)}), names)
    assert sum(map(len, use(source).values())) == 24


SPELLED = {
    "percent": ("my photo {}.png", "my%20photo%20{}.png"),
    "percent umlaut": ("ü{}.png", "%C3%BC{}.png"),
    "blanks": ("p{}.png", " p{}.png "),
    "case of the extension": ("p{}.PNG", "p{}.png"),
    "case of the name": ("IMG_{}.png", "img_{}.PNG"),
    "form of unicode": ("u\u0308{}.png", "\u00fc{}.png"),
    "form of unicode, without extension": ("u\u0308{}.png", "\u00fc{}"),
    "backslash and percent": ("a b/{}.png", ".\\a%20b\\{}.png"),
    "percent that is meant": ("100%25 {}.png", "100%25 {}.png"),
}


@pytest.mark.parametrize("kind", SPELLED)
def test_a_path_is_followed_where_it_is_plain_what_is_meant(tmp_path, kind):
    there, written = SPELLED[kind]
    write_folder(tmp_path, {there.format(i): IMAGES[i] for i in range(24)} | {"100% 0.png": b"x"})
    splits = load_splits(str(write_csv(tmp_path, [written.format(i) for i in range(24)])), image="image", label="label")
    found = {os.path.relpath(row["path"], tmp_path) for split in splits.values() for row in split["image"]}
    assert found == {there.format(i) for i in range(24)}


def test_a_path_that_may_mean_two_images_is_told_with_both(tmp_path):
    write_folder(tmp_path, {f"{i}.png": IMAGES[i] for i in range(24)} | {"7.jpg": IMAGES[7], "in/x.png": IMAGES[0]})
    message = told(write_csv(tmp_path, [*map(str, range(24)), "5.jpg", "x.png"]))
    assert "7 (line 9 of d.csv): no such file (there is 7.jpg, 7.png)" in message.replace(
        "7.png, 7.jpg", "7.jpg, 7.png"
    )
    assert "(there is 5.png)" in message and "(there is in/x.png)" in message


@pytest.mark.parametrize("path", ["..%2Fout.png", "%2e%2e/out.png", "..\\out.png", " ../out.png"])
def test_no_spelling_leads_out_of_the_folder(tmp_path, path):
    write_folder(tmp_path, {"out.png": IMAGES[0]} | {f"in/{i}.png": IMAGES[i] for i in range(24)})
    source = write_csv(tmp_path / "in", [*(f"{i}.png" for i in range(24)), path])
    assert "no such file" in (message := told(source)) or "outside the folder" in message
