"""Images of more than 8 bits keep their brightness, with one white for all; pages and frames are told."""

import numpy as np
import pytest
from bad_images import animated, class_folder, encoded, picture, processing, use, write_folder
from cases import case
from PIL import Image
from transformers import AutoImageProcessor, ViTImageProcessorPil

from hf_attn.data import decode
from hf_attn.tasks.inputs.images import Processing
from hf_attn.tasks.inputs.images.prediction import pixels_of


def deep(values, dtype=np.uint16, kind="TIFF"):
    return encoded(Image.fromarray(np.asarray(values, dtype)), kind)


def flat(value, dtype=np.uint16, kind="TIFF", top=None):
    values = np.full((8, 8), value, dtype)
    values[0, 0] = value if top is None else top
    return deep(values, dtype, kind)


def brightness(rows):
    """Mean of the pixels of each class."""
    found = {}
    for row in rows["train"]:
        found.setdefault(int(row["labels"]), []).append(row["pixels"].mean())
    return [float(np.mean(found[label])) for label in sorted(found)]


def folder(tmp_path, **classes):
    files = {f"{name}/{i:02}.tif": data for name, data in classes.items() for i in range(12)}
    return write_folder(tmp_path, files)


@pytest.mark.parametrize(
    ("dtype", "kind", "values", "white"),
    [
        (np.uint16, "TIFF", (400, 3000), 4095),
        (np.uint16, "PNG", (400, 3000), 4095),
        (np.int32, "TIFF", (50, 150), 255),
        (np.float32, "TIFF", (50, 150), 255),
        (np.uint16, "TIFF", (50, 150), 255),
        (np.uint16, "TIFF", (200, 900), 1023),
        (np.int32, "TIFF", (2000, 12000), 16383),
        (np.uint16, "TIFF", (500, 65535), 65535),
        (np.float32, "TIFF", (500, 40000), 65535),
    ],
)
def test_values_are_scaled_by_the_depth_that_all_images_need(tmp_path, caplog, dtype, kind, values, white):
    dark, bright = (flat(value, dtype, kind) for value in values)
    found = brightness(use(folder(tmp_path, a=dark, b=bright)))
    assert found == [round(value * 255 / white) for value in values]
    assert (f"{white} is taken for white" in caplog.text) == (white < 65535)


def test_a_dark_class_stays_darker_than_a_bright_one(tmp_path):
    found = brightness(use(folder(tmp_path, dark=flat(200), bright=flat(60_000))))
    assert found == [round(60_000 * 255 / 65535), 1]


def test_the_white_of_training_is_saved_and_serves_prediction(tmp_path):
    made = processing()
    use(folder(tmp_path / "data", a=flat(100), b=flat(3000)), processing=made)
    made.processor.save_pretrained(tmp_path / "saved")
    again = Processing(AutoImageProcessor.from_pretrained(tmp_path / "saved", backend="pil"))
    assert again.white == 4095
    assert [int(pixels.max()) for pixels in pixels_of([flat(100), flat(3000)], again)] == [6, 187]
    assert [int(pixels.max()) for pixels in pixels_of([flat(100)], Processing(ViTImageProcessorPil()))] == [100]


def test_another_set_of_images_has_a_white_of_its_own(tmp_path):
    made = processing()
    for name, top, white in (("one", 60_000, 65535), ("two", 3000, 4095), ("three", 50_000, 65535)):
        found = brightness(use(folder(tmp_path / name, a=flat(1000), b=flat(top)), processing=made))
        assert found[0] == round(1000 * 255 / white) and made.white == white


def test_images_of_8_bits_are_as_ever_beside_deep_ones(tmp_path):
    shallow = encoded(Image.fromarray(np.full((8, 8), 77, np.uint8)), "TIFF")
    assert brightness(use(folder(tmp_path, a=shallow, b=flat(3000)))) == [77, 187]


def test_the_cache_gives_the_same_again(tmp_path):
    source = folder(tmp_path / "data", a=flat(100), b=flat(3000))
    first = use(source, cache_dir=tmp_path / "cache")
    made = processing()
    second = use(source, cache_dir=tmp_path / "cache", processing=made)
    assert made.white == 4095 and np.array_equal(first["test"].pixels, second["test"].pixels)


@pytest.mark.parametrize("name", ["depth/uint16_12bit", "depth/int32_8bit_range"])
def test_each_case_of_depth_is_bright_where_it_is_bright(name, caplog):
    bright, dark = brightness(use(case(f"images/{name}")))
    assert 45 < dark < 65 and 145 < bright < 165 and "is taken for white" in caplog.text


@pytest.mark.parametrize("value", [-5, 70_000])
def test_values_out_of_range_are_refused(value):
    with pytest.raises(ValueError, match="expected whole numbers of 8 or 16 bits"):
        decode(flat(value, np.int32))


def test_png_of_16_bits_in_colour_keeps_its_high_byte():
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" + struct.pack(">HHH", 0x1234, 0x8000, 0xFFFF) * 4
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert decode(data).getpixel((0, 0)) == (0x12, 0x80, 0xFF)


@pytest.mark.parametrize("kind", ["TIFF", "MPO"])
def test_pages_and_frames_are_told(tmp_path, caplog, kind):
    several = encoded(picture(0), kind, save_all=True, append_images=[picture(1), picture(2)])
    files = class_folder(22) | {"cat/98.tif": several, "dog/99.jpg": animated("GIF")}
    rows = use(write_folder(tmp_path, files))
    told = [message for message in caplog.messages if "several pages" in message]
    assert (
        len(told) == 1 and "has 1 images of several pages (TIFF) or frames (MPO): the first of each is taken" in told[0]
    )
    assert "1 animated images" in caplog.text and sum(map(len, rows.values())) == 24


def test_one_page_is_nothing_to_tell(tmp_path, caplog):
    use(folder(tmp_path, a=encoded(picture(0), "TIFF"), b=encoded(picture(1), "JPEG")))
    assert "pages" not in caplog.text and "white" not in caplog.text


def test_the_case_of_pages_is_told(caplog):
    use(case("images/depth/zstack"))
    assert "train has 22 images of several pages (TIFF)" in caplog.text
