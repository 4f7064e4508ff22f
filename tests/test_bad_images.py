"""Images and folders that cannot be used: each kind ends in one line that says what is wrong and what to do."""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bad_images import (
    animated,
    class_folder,
    encoded,
    panorama,
    picture,
    png,
    processing,
    sixteen_bits,
    split_folders,
    told,
    use,
    write_csv,
    write_folder,
    write_parquet,
)
from datasets import Dataset, DatasetDict
from PIL import Image
from transformers import DetrImageProcessorPil, Siglip2ImageProcessorPil, ViTImageProcessorPil

from hf_attn.data import check_images, decode
from hf_attn.errors import InputError
from hf_attn.tasks.inputs.images import Processing, check_image_size, set_image_size
from hf_attn.tasks.targets.labels import encode_labels

GOOD = class_folder(24)
FOLDERS = {
    "empty folder": ({}, "no class folders of images; it holds nothing"),
    "folder of other things": ({"notes.txt": "x", "a/b.txt": "y"}, "no class folders of images; it holds a, notes.txt"),
    "images without class folders": (
        {f"{i}.png": png(i) for i in range(8)},
        "holds 8 images outside of class folders",
    ),
    "images beside class folders": (GOOD | {"loose.png": png()}, "holds 1 images outside of class folders"),
    "images of a split without class folders": (
        {f"{split}/{i}.png": png(i) for split in ("train", "test") for i in range(8)},
        "train holds 8 images outside of class folders (train/0.png, train/1.png",
    ),
    "class folder empty": (GOOD | {"bird": None}, "has class folders without images: bird; remove or fill them"),
    "class folder of text": (GOOD | {"bird/a.txt": "x"}, "has class folders without images: bird"),
    "class with one image": (GOOD | {"bird/0.png": png()}, "classes with one example, which cannot be in train and in"),
    "class with one image is named": (GOOD | {"bird/0.png": png()}, "a split cut from it: 'bird' (bird/0.png);"),
    "one class": (class_folder(24, classes=("cat",)), "one class only in train ('cat'): at least two are needed"),
    "class of test that train has not": (
        split_folders(**{"test/bird/0.png": png()}),
        "test has labels in 'label' that train has not: 'bird' (test/bird/0.png)",
    ),
    "no train folder": (class_folder(8, "test/") | class_folder(8, "val/"), "has no train folder, only test, val"),
    "two folders of a split": (
        split_folders() | class_folder(8, "val/", 9),
        "more than one folder for a split (val, validation): keep one",
    ),
    "too few images": (class_folder(4), "train has 4 rows: too few to cut validation and test from"),
    "zero bytes": (GOOD | {"cat/00.png": b""}, "cat/00.png (row 0 of train): empty (0 bytes); repair or remove them"),
    "truncated png": (
        GOOD | {"cat/00.png": png(size=(90, 90))[:9000]},
        "damaged or cut short (image file is truncated",
    ),
    "truncated jpeg": (
        GOOD | {"cat/00.jpg": encoded(picture(size=(90, 90)), "JPEG")[:2000]},
        "00.jpg (row 0 of train): damaged or cut short (image file is truncated",
    ),
    "header alone": (GOOD | {"cat/00.png": png()[:20]}, "damaged or cut short ("),
    "text called png": (GOOD | {"cat/00.png": "a cat"}, "not an image, or of a format that is not read"),
    "pickle called png": (GOOD | {"cat/00.png": pickle.dumps([1])}, "not an image, or of a format that is not read"),
    "svg called png": (GOOD | {"cat/00.png": "<svg xmlns='http://www.w3.org/2000/svg'/>"}, "not an image, or"),
    "postscript called png": (GOOD | {"cat/00.png": encoded(picture(), "EPS")}, "not an image, or of a format"),
    "panorama": (
        GOOD | {"cat/00.png": panorama(20_000, 20_000)},
        "too large to be decoded safely (Image size (400000000",
    ),
    "smaller panorama": (
        GOOD | {"cat/00.png": panorama(20_000, 5_000)},
        "20000 × 5000 pixels are too many to be decoded safely (the limit is 89478485): make it smaller",
    ),
    "pixels without a range": (
        GOOD | {"cat/00.tif": encoded(Image.fromarray(np.asarray([[0, 0.5]], np.float32)), "TIFF")},
        "pixels from 0.0 to 0.5: expected whole numbers of 8 or 16 bits",
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder_is_refused(tmp_path, case):
    files, expected = FOLDERS[case]
    assert expected in told(write_folder(tmp_path, files))


def test_names_that_are_not_utf8_are_refused_and_odd_ones_are_not(tmp_path):
    odd = {"cat/\u202f\xa0 ü\n.png": png(99)}
    assert sum(map(len, use(write_folder(tmp_path, GOOD | odd)).values())) == 25
    (tmp_path / os.fsdecode(b"cat/\xff.png")).write_bytes(png(98))
    assert "has 1 files whose names are not UTF-8: 'cat/\\udcff.png'; rename them" in told(tmp_path)


OUTSIDE = {
    "path above the folder": "../outside.png",
    "absolute path": "{outside}",
    "path above and back": "cat/../../outside.png",
    "link to the outside": "link.png",
    "folder linked to the outside": "up/outside.png",
}


@pytest.mark.parametrize("case", OUTSIDE)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_path_outside_the_folder_of_the_file_is_refused(tmp_path, case, kind):
    outside = write_folder(tmp_path, {"outside.png": png()}) / "outside.png"
    folder = write_folder(tmp_path / "data", GOOD)
    (folder / "link.png").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    path = OUTSIDE[case].format(outside=outside)
    paths = [path, *(f"cat/{i:02}.png" for i in range(0, 24, 2))]
    if kind == "csv":
        source = write_csv(folder, paths)
    else:
        source = write_parquet(folder / "d.parquet", [{"bytes": None, "path": one} for one in paths])
    message = told(source)
    place = "line 2 of d.csv" if kind == "csv" else "row 0 of d.parquet, from 0"
    assert f"1 paths in 'image' lie outside the folder of the file: {path} ({place})" in message


def test_a_file_that_a_csv_names_and_is_not_there(tmp_path):
    folder = write_folder(tmp_path, GOOD)
    paths = ["cat/99.png", "cat", *(f"cat/{i:02}.png" for i in range(0, 24, 2)), "https://host/a.png"]
    message = told(write_csv(folder, paths))
    assert "3 of 15 images cannot be used" in message
    for expected in (
        "cat/99.png (line 2 of d.csv): no such file",
        "cat (line 3 of d.csv): not a file",
        "host/a.png (line 16 of d.csv): no such file (an address: ",
    ):
        assert expected in message


def test_labels_that_do_not_exist(tmp_path):
    folder = write_folder(tmp_path, GOOD)
    assert "no column 'lable' in train (columns: image, label); did you mean 'label'?" in told(folder, label="lable")
    assert "no column 'imge' in train (columns: image, label); did you mean 'image'?" in told(folder, image="imge")
    assert "no column 'a' in train" in told(folder, image="a", label="b")
    assert "no column 'b' in train" in told(folder, image="a", label="b")
    csv = write_folder(tmp_path, {"d.csv": "image,label\n" + "".join(f"cat/{i:02}.png,\n" for i in range(0, 24, 2))})
    assert "rows without a label in 'label'" in told(csv / "d.csv")


def test_an_image_that_is_its_own_label(tmp_path):
    rows = {"image": [picture(i) for i in range(8)], "label": [i % 2 for i in range(8)]}
    splits = DatasetDict({"train": Dataset.from_dict(rows)})
    with pytest.raises(InputError, match="'image' is given both as image and as label"):
        check_images(splits, "image", "image")


COLUMNS = {
    "null image": ([None, *(png(i) for i in range(23))], "'image' of train has 1 null image (rows "),
    "bytes and path both null": (
        [{"bytes": None, "path": None}, *({"bytes": png(i), "path": ""} for i in range(23))],
        "'image' of train has 1 null image (rows ",
    ),
    "numbers": (list(range(24)), "'image' of train is not images but int64: expected images of datasets"),
    "lists of numbers": ([[1, 2]] * 24, "is not images but list"),
    "another struct": ([{"data": png(i)} for i in range(24)], "is not images but struct<data: binary>: expected"),
    "bytes that are no image": (
        [b"cat", *(png(i) for i in range(23))],
        "not an image, or of a format that is not read",
    ),
    "pickled bytes": ([pickle.dumps({"a": 1}), *(png(i) for i in range(23))], "row"),
    "empty bytes": ([b"", *(png(i) for i in range(23))], ": empty (0 bytes)"),
    "base64": (["iVBORw0KGgo="] * 24, "24 of 24 images cannot be used"),
    "blank path": (["", *("a.png" for _ in range(23))], "null image"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_bad_column_is_refused(tmp_path, case):
    images, expected = COLUMNS[case]
    table = pyarrow.table({"image": images, "label": [i % 2 for i in range(24)]})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    if "null" in expected:  # whichever split the row went to
        expected = expected.replace("'image' of train has", "has").replace(" (rows ", "")
    assert expected in told(tmp_path / "d.parquet")


def test_texts_that_no_file_gave_are_no_images():
    splits = DatasetDict({"train": Dataset.from_dict({"image": ["/etc/passwd"] * 4, "label": [0, 1] * 2})})
    with pytest.raises(InputError, match="'image' of train is text .* paths are followed only from a csv"):
        check_images(splits, "image", "label")


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


def test_no_pickle_is_ever_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    data = pickle.dumps(Trap())
    told(write_folder(tmp_path / "folder", GOOD | {"cat/00.png": data}))
    table = pyarrow.table({"image": [data] * 24, "label": [0, 1] * 12})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    told(tmp_path / "d.parquet")
    assert not (tmp_path / "sprung").exists()


def test_all_bad_images_of_all_splits_are_told_at_once(tmp_path):
    bad = {
        "train/cat/00.png": b"",
        "validation/dog/01.png": "text",
        "test/cat/02.png": b"\x89PNG",
        "test/dog/03.png": b"",
    }
    message = told(write_folder(tmp_path, split_folders() | bad))
    assert "4 of 24 images cannot be used" in message and "… (4 in all); repair or remove them" in message
    assert "or --skip_bad_images" in message
    assert "train/cat/00.png (row 0 of train): empty (0 bytes)" in message


def test_bad_images_can_be_left_out_and_are_counted(tmp_path, caplog):
    bad = {"train/cat/00.png": b"", "train/dog/03.png": "text", "test/cat/02.png": b"\x89PNG"}
    rows = use(write_folder(tmp_path, split_folders() | bad), skip_bad=True)
    assert {name: len(split) for name, split in rows.items()} == {"train": 6, "validation": 8, "test": 7}
    assert rows["train"].ids.tolist() == [1, 2, 3, 4, 6, 7]
    assert rows["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert "3 of 24 images cannot be used and are left out" in caplog.text
    expected = processing().pixels([picture(2)])[0]
    assert np.array_equal(rows["train"][0]["pixels"], expected)


def test_a_class_or_split_without_a_good_image_is_refused(tmp_path):
    every = {name: b"" for name in split_folders() if name.startswith("test/")}
    message = told(write_folder(tmp_path / "a", split_folders() | every), skip_bad=True)
    assert "no image of test can be used" in message
    cats = {name: b"" for name in split_folders() if name.startswith("train/cat")}
    message = told(write_folder(tmp_path / "b", split_folders() | cats), skip_bad=True)
    assert "no image is left of the class of" in message and "train/cat/0" in message


def test_what_is_odd_but_good_is_used_and_told(tmp_path, caplog):
    odd = {
        "train/cat/00.gif": animated("GIF"),
        "train/cat/01.webp": animated("WEBP"),
        "train/cat/02.png": sixteen_bits(np.arange(100).reshape(10, 10) * 600),
        "train/cat/03.jpg": encoded(picture(mode="CMYK"), "JPEG"),
        "train/cat/04.png": png(size=(1, 1)),
        "train/cat/05.PNG": encoded(picture(5, mode="1")),
        "train/cat/06.png": encoded(picture(6), "JPEG"),
        "train/cat/07.png": png(7, size=(300, 20)),
        "train/cat/readme.txt": "an image was here",
    }
    rows = use(write_folder(tmp_path, split_folders(**odd)))
    assert len(rows["train"]) == 16 - 3  # three names stood there already
    assert "train has 2 animated images: the first frame of each is taken" in caplog.text
    assert "train has 1 images of one pixel's width or height" in caplog.text
    assert "1 files left out, which have no extension of an image: cat/readme.txt" in caplog.text
    names = sorted(path.name for path in (tmp_path / "train/cat").iterdir() if path.suffix != ".txt")
    one = rows["train"][names.index("04.png")]["pixels"]
    assert (one == one[:, :1, :1]).all() and one[:, 0, 0].tolist() == list(picture(size=(1, 1)).getpixel((0, 0)))


def test_duplicates_of_train_are_counted(tmp_path, caplog):
    files = split_folders()
    files |= {"test/cat/00.png": files["train/cat/00.png"], "test/dog/01.png": files["train/dog/03.png"]}
    use(write_folder(tmp_path, files))
    assert "2 of the 8 images of test are also in train: its score will flatter" in caplog.text
    assert "validation are also" not in caplog.text


def test_files_that_are_not_there_are_no_duplicates(tmp_path, caplog):
    gone = [{"bytes": None, "path": f"{i}.png"} for i in range(3)]
    for name, images in (
        ("train", [png(1), *gone, png(2)]),
        ("val", [png(3), *gone, png(4)]),
        ("test", [png(5), png(6)]),
    ):
        write_parquet(tmp_path / f"{name}.parquet", images, [0, 0, 1, 1, 1][: len(images)])
    rows = use(tmp_path, skip_bad=True)
    assert [len(split) for split in rows.values()] == [2, 2, 2]
    assert "6 of 12 images cannot be used" in caplog.text and "also in train" not in caplog.text


def test_the_limit_of_pillow_is_honoured_at_its_edge(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(png(size=(10, 10))).size == (10, 10)
    with pytest.raises(InputError, match="big.png: 101 × 1 pixels are too many"):
        decode(png(size=(101, 1)), name="big.png")
    with pytest.raises(InputError, match=r"too large to be decoded safely \(Image size \(400 pixels\)"):
        decode(png(size=(20, 20)))


def test_a_strip_that_resizing_would_blow_up_is_refused(tmp_path, monkeypatch):
    from transformers import BitImageProcessorPil

    made = Processing(BitImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    message = told(write_folder(tmp_path, GOOD | {"cat/00.png": png(size=(2000, 1))}), processing=made)
    assert "a strip of 2000 × 1 pixels: too long to be resized and cropped" in message


def test_one_image_names_its_file(tmp_path):
    with pytest.raises(InputError, match="gone.png: no such file"):
        decode(tmp_path / "gone.png")
    with pytest.raises(InputError, match="image of 3 bytes: not an image"):
        decode(b"cat")
    with pytest.raises(InputError, match=f"{tmp_path.name}: not a file"):
        decode(tmp_path)
    with pytest.raises(InputError, match=r"png: cannot be read \(File name too long\)"):
        decode(tmp_path / f"{'a' * 300}.png")


@pytest.mark.parametrize(
    ("size", "patch", "expected"),
    [
        (100, 16, "image_size 100 is not divisible by the patch size 16: the nearest that fit are 96 and 112"),
        (225, 14, "the nearest that fit are 224 and 238"),
        (8, 16, "image_size 8 is not divisible by the patch size 16: the least that fits is 16"),
        (0, 16, "the least that fits is 16"),
        (100, (16, 8), "patch size 16 × 8: the nearest that fit are 96 and 112"),
    ],
)
def test_a_size_that_patches_do_not_fill_is_refused(size, patch, expected):
    with pytest.raises(InputError) as caught:
        check_image_size(size, patch)
    assert expected in str(caught.value)


def test_sizes_that_fit_pass():
    for size, patch in ((96, 16), (224, 14), (224, (16, 16)), (32, 32)):
        check_image_size(size, patch)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(InputError, match="image_size 0: expected a number of pixels such as 224"):
        set_image_size(ViTImageProcessorPil(), 0)


@pytest.mark.parametrize("processor", [DetrImageProcessorPil, Siglip2ImageProcessorPil])
def test_a_processor_without_one_size_is_refused(processor):
    with pytest.raises(InputError, match=r"makes .* not images \(3, height, width\) of one size"):
        Processing(processor())


def test_the_other_processes_are_let_go_when_the_main_one_fails(tmp_path):
    waits = []
    main = SimpleNamespace(is_main_process=True, wait_for_everyone=lambda: waits.append(1))
    told(write_folder(tmp_path, GOOD | {"cat/00.png": b""}), accelerator=main)
    assert waits == [1]


def test_labels_are_still_checked(tmp_path):
    splits = DatasetDict({"train": Dataset.from_dict({"image": [picture(0)] * 4, "label": [0.5, 1.0, 0.0, 1.0]})})
    with pytest.raises(InputError, match="numbers to predict are a regression"):
        encode_labels(splits, "label", kind="single")
