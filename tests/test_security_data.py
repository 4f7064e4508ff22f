"""Data from strangers: bombs, pipes, devices and paths that lead out of a folder end in one line."""

import json
import os
import struct
import zlib

import numpy as np
import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature

from hf_attn.cli.row_files import check_output, write_rows
from hf_attn.data.decoding import decode
from hf_attn.data.sources import load_splits
from hf_attn.errors import InputError


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *more):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


BOMBS = {
    "pixels": png(60_000, 60_000),
    "a strip": png(2**31 - 1, 1),
    "icon": struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(png(60_000, 60_000)), 22) + png(60_000, 60_000),
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 10**6, 10**6, 1, 24, 0, 0, 0, 0, 0, 0),
    "pickle": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}".ljust(128) + b"\x80\x04.",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_burst_or_run_when_it_is_opened_is_one_line(name):
    with pytest.raises(InputError, match="image of .* bytes: ") as raised:
        decode(BOMBS[name])
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet"])
def test_a_pipe_or_device_is_not_waited_for(tmp_path, kind, name):
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(InputError):
            load_splits(str(source))


@pytest.mark.parametrize("place", ["../secret.png", "{folder}/secret.png", "link.png"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "save_to_disk"])
def test_paths_of_images_that_leave_the_folder_are_refused(tmp_path, place, form):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    data = tmp_path / "data"
    data.mkdir()
    (data / "link.png").symlink_to(tmp_path / "secret.png")
    path = place.format(folder=tmp_path)
    source = data / f"train.{form}"
    if form == "csv":
        source.write_text("image,label\n" + f"{path},a\n{path},b\n" * 9)
    elif form == "jsonl":
        source.write_text("".join(json.dumps({"image": path, "label": label}) + "\n" for label in "ab" * 9))
    else:
        struct_type = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        images = pyarrow.array([{"bytes": None, "path": path}] * 18, struct_type)
        Dataset(pyarrow.table({"image": images, "label": list("ab" * 9)})).save_to_disk(str(data))
        source = data
    with pytest.raises(InputError, match="lie outside the folder"):
        load_splits(str(source), label="label", image="image")


@pytest.mark.parametrize("name", ["train.json", "train.jsonl"])
def test_deep_json_is_one_line(tmp_path, name):
    (tmp_path / name).write_text('{"text": ' + "[" * 10**5)
    with pytest.raises(InputError, match="nested too deep"):
        load_splits(str(tmp_path / name))


def test_images_saved_to_disk_with_their_bytes_are_taken(tmp_path):
    arrays = [np.full((9, 9, 3), value, np.uint8) for value in range(18)]
    split = Dataset.from_dict({"image": arrays, "label": list("ab" * 9)}).cast_column("image", ImageFeature())
    DatasetDict({"train": split}).save_to_disk(str(tmp_path / "data"))
    assert len(load_splits(str(tmp_path / "data"), label="label", image="image")["train"]) > 10


def test_a_script_in_a_folder_of_data_is_not_run(tmp_path):
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "reviews.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nraise SystemExit\n")
    with pytest.raises(InputError):
        load_splits(str(tmp_path / "reviews"))
    assert not (tmp_path / "mark").exists()


def test_predictions_never_replace_what_they_were_made_from(tmp_path):
    table = tmp_path / "mails.jsonl"
    table.write_text("{}")
    (tmp_path / "same.jsonl").hardlink_to(table)
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("mails.jsonl", "same.jsonl"):
        with pytest.raises(InputError, match="is what is read"):
            check_output(tmp_path / name, True, [str(table)])
    with pytest.raises(InputError, match="is no file"):
        check_output(tmp_path / "folder.jsonl", True)
    (tmp_path / "out.jsonl.tmp").write_text("mine")
    write_rows(tmp_path / "out.jsonl", [{"text": "a", "label": "b"}])
    assert (tmp_path / "out.jsonl.tmp").read_text() == "mine"
