"""Images of all kinds, folders of them, and ways to spoil both."""

import io
import struct
import zlib

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from transformers import ViTImageProcessorPil

from hf_attn.data import check_images
from hf_attn.errors import InputError
from hf_attn.tasks.inputs.images import Processing, load_pixels
from hf_attn.tasks.targets.labels import encode_labels, load_splits

SIZE = 8


def processing(size=SIZE, **kwargs):
    return Processing(ViTImageProcessorPil(size={"height": size, "width": size}, **kwargs))


def picture(seed=0, size=(12, 10), mode="RGB"):
    """A random image of ``size`` (width, height); seeds tell images apart."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image, kind="PNG", **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, kind, **kwargs)
    return buffer.getvalue()


def png(seed=0, **kwargs):
    return encoded(picture(seed, **kwargs))


def sixteen_bits(values):
    """A PNG of 16-bit grey, (height, width)."""
    return encoded(Image.fromarray(np.asarray(values, dtype=np.uint16)))


def panorama(width, height):
    """A png of one bit a pixel that says it is huge, in a few bytes: its pixels are not there."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def animated(kind="GIF", frames=3):
    return encoded(picture(0), kind, save_all=True, append_images=[picture(seed) for seed in range(1, frames)])


def write_folder(root, files):
    """Write files (bytes or text) by their paths; returns the folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def class_folder(rows=24, prefix="", seed=0, classes=("cat", "dog")):
    """Files of a folder of classes, in equal shares."""
    return {f"{prefix}{classes[i % len(classes)]}/{i:02}.png": png(seed + i) for i in range(rows)}


def split_folders(**extra):
    """Files of a folder with train, validation and test."""
    files = {}
    for index, name in enumerate(("train", "validation", "test")):
        files |= class_folder(8, f"{name}/", 100 * index)
    return files | extra


def write_parquet(path, images, labels=None):
    """Rows of an image column as ``datasets`` writes it."""
    values = [{"bytes": one, "path": None} if isinstance(one, bytes) else one for one in images]
    rows = {"image": values, "label": labels or [i % 2 for i in range(len(values))]}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    return path


def write_csv(folder, paths, name="d.csv"):
    text = "image,label\n" + "".join(f"{path},{'cat dog'.split()[i % 2]}\n" for i, path in enumerate(paths))
    return write_folder(folder, {name: text}) / name


def use(source, image="image", label="label", **kwargs):
    """Everything that happens before training, on pixels of 8 × 8."""
    splits = load_splits(str(source), label=label, image=image)
    check_images(splits, image, label)
    splits, _ = encode_labels(splits, label)
    kwargs = {"cache_dir": kwargs.pop("cache_dir", "/proc/none"), "progress": False, **kwargs}
    return load_pixels(splits, image, kwargs.pop("processing", None) or processing(), **kwargs)


def told(source, **kwargs):
    with pytest.raises(InputError) as caught:
        use(source, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message
