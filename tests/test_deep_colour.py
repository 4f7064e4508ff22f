"""Colour of 16 bits a value keeps its brightness, whatever depth it uses of them, in every file that holds it."""

import struct
import zlib

import numpy as np
import pytest
from bad_images import processing, use, write_folder

from hf_attn.data import decode

ORDER = {"RGB": 2, "RGBA": 6, "LA": 4}
VALUES = np.random.default_rng(0).integers(0, 4096, (6, 5, 3))


def png(values, kind="RGB", orientation=None):
    """A PNG of 16 bits a value, (height, width, channels), opaque where it has transparency."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    if kind in ("RGBA", "LA"):
        values = np.concatenate([values, np.full((height, width, 1), 65535)], 2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">H", orientation or 1) + b"\0" * 6
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, ORDER[kind], 0, 0, 0))
    body = chunk(b"eXIf", exif) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def tiff(values, order="<", compression=1):
    """A TIFF of RGB with 16 bits a value; compression 8 is deflate."""
    height, width, _ = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if compression == 8 else data
    after = 8 + 2 + 10 * 12 + 4
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, after), (259, 3, 1, compression), (262, 3, 1, 2)]
    entries += [(273, 4, 1, after + 6), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    made = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        made += struct.pack(f"{order}HHI", tag, kind, count) + struct.pack(
            f"{order}{'HH' if short else 'I'}", *((value, 0) if short else (value,))
        )
    return made + struct.pack(f"{order}IHHH", 0, 16, 16, 16) + data


def scaled(values, white):
    return np.round(values / white * 255 + 1e-9).astype(np.uint8)


@pytest.mark.parametrize(
    "data",
    [png(VALUES), png(VALUES, "RGBA"), tiff(VALUES), tiff(VALUES, ">"), tiff(VALUES, "<", 8), tiff(VALUES, ">", 8)],
    ids=["png", "png with transparency", "tiff", "tiff, big end first", "deflated", "deflated, big end first"],
)
def test_twelve_bits_in_sixteen_are_as_bright_as_twelve_bits(data):
    assert np.abs(np.asarray(decode(data)).astype(int) - scaled(VALUES, 4095)).max() <= 1


def test_grey_with_transparency_is_as_bright(tmp_path):
    grey = VALUES[..., :1]
    found = np.asarray(decode(png(grey, "LA"))).astype(int)
    assert np.abs(found - scaled(np.repeat(grey, 3, 2), 4095)).max() <= 1


@pytest.mark.parametrize("kind", ["RGB", "LA"])
def test_it_is_turned_as_its_camera_says(kind):
    values = VALUES if kind == "RGB" else VALUES[..., :1]
    upright = np.asarray(decode(png(values, kind)))
    assert np.array_equal(np.asarray(decode(png(values, kind, orientation=6))), np.rot90(upright, -1))


def test_all_sixteen_bits_are_as_pillow_reads_them():
    values = VALUES * 16 + 15
    assert np.array_equal(np.asarray(decode(png(values))), values >> 8)


def test_colour_has_one_white_for_all_images(tmp_path, caplog):
    flat = {"dark": np.full((8, 8, 3), 200), "bright": np.full((8, 8, 3), 3000)}
    files = {f"{name}/{i:02}.png": png(values) for name, values in flat.items() for i in range(12)}
    made = processing()
    rows = use(write_folder(tmp_path, files), processing=made)
    found = {row["labels"]: int(row["pixels"].max()) for row in rows["train"]}
    assert made.white == 4095 and found == {0: 187, 1: 12}
    assert "use 12: 4095 is taken for white" in caplog.text
