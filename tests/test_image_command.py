"""What is wrong with images or options ends the command: status 2, one line, nothing written, nothing lost."""

import logging
import sys
from pathlib import Path

import forked
import numpy as np
import pytest
from bad_images import (
    animated,
    class_folder,
    encoded,
    panorama,
    picture,
    png,
    sixteen_bits,
    split_folders,
    write_folder,
)
from tiny_vit import save_tiny_vit

from hf_attn.interface.arguments import command_line
from hf_attn.recipes import image_classification

ROOT = Path(__file__).parents[1]
GOOD = class_folder(12)
ARGUMENTS = "model: x\noutput_dir: run\noverwrite: false\nrecipe: image_classification\nresume: null\nseed: 0\n"
EARLIER = {
    "config.yaml": ARGUMENTS,
    "log.jsonl": "",
    "model.safetensors": b"weights",
    "figures/curves.png": b"a picture",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_vit(tmp_path_factory.mktemp("model"))


@pytest.fixture
def command(model, tmp_path, monkeypatch, capsys):
    """Run the recipe as a program over an earlier run: exit status, the lines that begin with ``error:``, all files."""
    output = write_folder(tmp_path / "run", EARLIER)

    def call(dataset, *options):
        given = ["--model", model, "--dataset", dataset, "--output_dir", output, "--overwrite", "--max_steps", "1"]
        given = [*given, "--precision", "no", "--batch_size", "4", *options]
        monkeypatch.setattr(sys, "argv", ["image_classification", *map(str, given)])
        logger, handlers = logging.getLogger("hf_attn"), list(logging.getLogger("hf_attn").handlers)
        try:
            with pytest.raises(SystemExit) as ended:
                command_line(image_classification.main)
        finally:
            logger.handlers[:] = handlers
        told = [line for line in capsys.readouterr().err.splitlines() if "error:" in line or "Traceback" in line]
        files = {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}
        return ended.value.code, told, files

    return call


def assert_refused(result, message):
    status, told, files = result
    assert status == 2 and len(told) == 1 and message in told[0], (status, told)
    assert files == {name: text if isinstance(text, bytes) else text.encode() for name, text in EARLIER.items()}


FOLDERS = {
    "empty folder": ({}, "no class folders of images; it holds nothing"),
    "class with one image": (GOOD | {"bird/0.png": png()}, "classes with one example"),
    "class of test that train has not": (split_folders(**{"test/bird/0.png": png(5)}), "labels in 'label' that train"),
    "zero bytes": (GOOD | {"cat/00.png": b""}, "00.png (row 0 of train): empty (0 bytes)"),
    "truncated": (GOOD | {"cat/00.png": png(size=(90, 90))[:9000]}, "damaged or cut short"),
    "no image": (GOOD | {"cat/00.png": "a cat"}, "not an image, or of a format that is not read"),
    "panorama": (GOOD | {"cat/00.png": panorama(20_000, 20_000)}, "too large to be decoded safely"),
    "images without folders": ({f"{i}.png": png(i) for i in range(8)}, "8 images outside of class folders"),
    "path outside": ({"d.csv": "image,label\n" + "../a.png,cat\n../b.png,dog\n" * 6}, "outside the folder of the file"),
    "file that is not there": (
        {"d.csv": "image,label\n" + "".join(f"{i}.png,{'cat dog'.split()[i % 2]}\n" for i in range(12))},
        "12 of 12 images cannot be used",
    ),
    "no labels": (GOOD | {"d.csv": "image,label\n" + "cat/00.png,\n" * 12}, "rows without a label in 'label'"),
    "no images in a file": ({"d.csv": "picture,label\na.png,cat\n" * 6}, "no column 'image'"),
    "file of no rows": ({"d.csv": "image,label\n"}, "has no rows"),
    "damaged parquet": ({"d.parquet": b"PAR1xx"}, "is not a parquet file, or it is cut short or damaged"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_bad_images_end_the_command(case, command, tmp_path):
    files, message = FOLDERS[case]
    folder = tmp_path / "data"
    folder.mkdir()
    table = [name for name in files if name.startswith("d.")]
    assert_refused(command(write_folder(folder, files) / (table[0] if table else "")), message)


OPTIONS = {
    "size that patches do not fill": (["--image_size", "30"], "not divisible by the patch size 8"),
    "size below 1": (["--image_size", "0"], "image_size"),
    "negative size": (["--image_size", "-8"], "image_size"),
    "no such model": (["--model", "nowhere/none/at/all"], "does not exist"),
    "option that the head has not": (["--head", "attention", "--head_kwargs", '{"nope": 1}'], "has no option nope"),
    "options of no head": (["--head_kwargs", '{"gated": true}'], "need a head"),
    "no queries": (["--head", "multi_query", "--head_kwargs", '{"num_queries": 0}'], "expected at least 1"),
    "less than no tokens": (["--token_merging", "-1"], "token"),
    "merging in a probe": (["--linear_probe", "true", "--token_merging", "2"], "linear_probe"),
    "mixup in a probe": (["--linear_probe", "true", "--mixup", "0.5"], "linear_probe"),
    "flips in a probe": (["--linear_probe", "true", "--tta_flip"], "linear_probe"),
    "crops in a probe": (["--linear_probe", "true", "--crop", "resized"], "--crop would do nothing"),
    "probe of a head of two modules": (["--linear_probe", "true", "--head", "attention"], "a head of one module"),
    "merging below a head": (["--token_merging", "2", "--head", "attention"], "token merging leaves no grid"),
    "queries that are no number": (
        ["--head", "multi_query", "--head_kwargs", '{"num_queries": "a"}'],
        "num_queries='a', expected int",
    ),
    "gate that is neither on nor off": (["--head", "attention", "--head_kwargs", '{"gated": 3}'], "expected bool"),
    "gate of no size": (["--head", "se", "--head_kwargs", '{"reduction": 2.5}'], "reduction=2.5, expected int"),
    "grid of other patches": (
        ["--attention", "focal", "--attention_kwargs", '{"grid": [2, 4]}'],
        "grid=[2, 4], but 24 × 24 pixels make [3, 3] patches",
    ),
    "shares upside down": (["--crop", "resized", "--crop_scale", "0.9", "0.1"], "crop_scale"),
    "shares as one word": (["--crop_scale", "[0.9, 0.1]"], "crop_scale is '[0.9, 0.1]': expected a number"),
    "no shares": (["--crop", "resized", "--crop_scale", "[]"], "crop_scale"),
    "negative mixup": (["--mixup", "-1"], "mixup"),
    "negative jitter": (["--color_jitter", "-2"], "color_jitter"),
    "RandAugment too strong": (["--rand_augment", "rand-m99"], "rand_augment"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options_end_the_command(case, command, tmp_path):
    options, message = OPTIONS[case]
    assert_refused(command(write_folder(tmp_path / "data", GOOD), *options), message)


def test_odd_images_that_can_be_used_are(command, tmp_path):
    modes = {f"cat/{mode}.png": encoded(picture(7, mode=mode)) for mode in ("1", "L", "LA", "P", "RGBA")}
    odd = {
        "cat/animated.gif": animated(),
        "dog/print.jpg": encoded(picture(8, mode="CMYK"), "JPEG"),
        "dog/deep.png": sixteen_bits(np.arange(6000).reshape(60, 100)),
        "dog/dot.png": png(size=(1, 1)),
        "dog/jpeg.png": encoded(picture(9), "JPEG"),
        "dog/strip.png": png(size=(200, 3)),
    }
    status, told, files = command(write_folder(tmp_path / "data", GOOD | modes | odd))
    assert (status, told) == (0, []) and "predictions.parquet" in files


def test_a_bad_image_ends_all_processes(model, tmp_path):
    data = write_folder(tmp_path / "data", GOOD | {"cat/00.png": b""})
    given = ["--model", model, "--dataset", data, "--output_dir", tmp_path / "run", "--precision", "no"]
    said = tmp_path / "said"
    statuses = forked.finish(forked.start(image_classification.main, [str(word) for word in given], said, 2))
    assert statuses == [2, 2] and not list((tmp_path / "run").iterdir())
    told = [line for line in said.read_text().splitlines() if line.startswith("error:")]
    assert len(told) == 1 and "1 of 12 images cannot be used" in told[0] and "empty (0 bytes)" in told[0]
