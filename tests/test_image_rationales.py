"""Rationales of images: boxes and masks become shares of patches, move with their image, and attention follows them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from explained_models import image_processor
from PIL import Image
from tiny_vit import save_tiny_vit

from hf_attn import InputError
from hf_attn.explain.case import Case
from hf_attn.explain.methods import METHODS
from hf_attn.recipes import image_classification
from hf_attn.tasks.inputs.images import Processing, collate_images, load_pixels
from hf_attn.tasks.inputs.images.augmentation import Augment
from hf_attn.tasks.inputs.images.rationales import with_rationales
from hf_attn.tasks.predict import load
from hf_attn.training.around.rationale import _of_tokens


def photos(folder, rows=60, side=24):
    """Grey images with a white square that tells the label by its row, and whose box is the rationale."""
    random = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    lines = []
    for number in range(rows):
        label, column = int(random.integers(2)), int(random.integers(3))
        pixels = random.integers(90, 160, (side, side, 3), dtype=np.uint8)
        top, left = (0, 16)[label], 8 * column
        pixels[top : top + 8, left : left + 8] = (255, 255, 255) if label else (0, 0, 0)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        box = [[left, top, left + 8, top + 8]]
        lines.append({"image": f"{number}.png", "label": ("dark", "light")[label], "where": json.dumps(box)})
    for name, some in (("train", lines[:40]), ("validation", lines[40:50]), ("test", lines[50:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in some))
    return folder


def rows_of(images, values, side=24):
    split = Dataset.from_dict({"image": [_bytes(image) for image in images], "where": values})
    split = DatasetDict(train=split.cast_column("image", _feature()))
    processing, args = Processing(image_processor(side)), SimpleNamespace(rationale="where", image="image")
    return with_rationales(load_pixels(split, "image", processing, progress=False), split, processing, args)["train"]


def _bytes(image):
    import io

    file = io.BytesIO()
    image.save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def _feature():
    from datasets import Image as ImageFeature

    return ImageFeature(decode=False)


def test_boxes_are_those_of_the_pixels_that_the_model_sees():
    image = Image.new("RGB", (48, 96))
    rows = rows_of([image, image, image], ["[[0, 0, 24, 48]]", "[24, 48, 48, 96]", ""])
    first, second, none = (row["rationale"] for row in rows)
    assert first[:12, :12].all() and first.sum() == 144  # half of each side
    assert second[12:, 12:].all() and second.sum() == 144 and not none.any()


def test_patches_have_the_share_of_them_that_is_marked_and_class_tokens_none():
    model = load_model()
    marked = torch.zeros(1, 24, 24)
    marked[0, :8, :12] = 1
    shares = _of_tokens(model, marked, torch.zeros(1, 2, 10), -1)
    assert shares[0].tolist() == [0, 1, 0.5, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match="no class token"):
        _of_tokens(model, marked, torch.zeros(1, 2, 9), -1)
    with pytest.raises(InputError, match="rationale_layer"):
        _of_tokens(model, marked, torch.zeros(4, 2, 9), -1)


def load_model():
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                               intermediate_size=8, image_size=24, patch_size=8))  # fmt: skip


@pytest.mark.parametrize("how", [{"crop": "resized"}, {"crop": "pad", "vflip": 0.5}, {"rand_augment": "rand-m9-n2"}])
def test_a_rationale_moves_with_its_image(how):
    """An image that is white where it is marked stays so through crops, flips and warps."""
    masks = torch.zeros(64, 24, 24, dtype=torch.uint8)
    masks[:, 4:14, 3:9] = 1
    pixels = (255 * masks)[:, None].repeat(1, 3, 1, 1)
    change = Augment(normalize=lambda pixels: pixels.float(), seed=3, fill=(0, 0, 0), **how)
    draws = torch.arange(64)
    moved = change({"pixels": pixels, "draws": draws, "rationale": masks})["rationale"]
    assert not torch.equal(moved, masks)
    if "rand_augment" not in how:
        seen = change({"pixels": pixels, "draws": draws})["pixel_values"][:, 0] > 127
        assert torch.equal(seen, moved.bool())
    else:  # colours change too: what is marked is where the warp puts it
        again = change._place(pixels, draws, "", *change.operations.draw(3, draws, ""))[:, 0] > 127
        assert torch.equal(again, moved.bool())


def test_batches_for_evaluation_have_the_rationale_too():
    rows = rows_of([Image.new("RGB", (24, 24))] * 2, ["[[0, 0, 8, 8]]", None])
    batch = collate_images(lambda pixels: pixels.float())([rows[0], rows[1]])
    assert batch["rationale"].shape == (2, 24, 24) and batch["rationale"].sum() == 64


def test_the_recipes_model_attends_to_the_boxes(tmp_path):
    data, model = photos(tmp_path / "data"), save_tiny_vit(tmp_path / "model")
    found = {}
    how = ["--rationale", "where", "--rationale_weight", "5", "--metric", "loss"]  # the accuracy is 1 long before
    for name, more in (("without", []), ("with", how)):
        argv = ["--model", str(model), "--dataset", str(data), "--output_dir", str(tmp_path / name), "--epochs", "40"]
        argv += ["--lr", "2e-3", "--head_lr", "2e-3", "--batch_size", "16", "--precision", "no", "--hflip", "0.5"]
        image_classification.main([*argv, "--rationale_heads", "all", *more])
        trained = load(tmp_path / name)
        rows = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
        inside = []
        for row in rows:
            one = METHODS["attention"].run(Case(*trained, data / row["image"]))
            boxes = [list(part.box) for part in one.parts]
            inside.append(one.weights[boxes.index(json.loads(row["where"])[0])])
        found[name] = float(np.mean(inside))
    assert found["with"] > 0.5 > 2 * found["without"]


BAD = {
    "no such column": (["--rationale", "reason"], "reason"),
    "a column of no boxes": (["--rationale", "label"], "no boxes"),
    "boxes out of their images": (["--rationale", "far"], "no boxes"),
    "mixed images": (["--rationale", "where", "--mixup", "0.8"], "mixup"),
    "a frozen model": (["--rationale", "where", "--linear_probe", "true"], "frozen"),
    "a model that does not attend": (["--rationale", "where", "--model", "cnn"], "attention"),
}


@pytest.mark.parametrize("what", BAD)
def test_rationales_that_cannot_be_followed_are_refused_in_one_line(what, tmp_path):
    arguments, words = BAD[what]
    data, model = photos(tmp_path / "data"), save_tiny_vit(tmp_path / "model")
    for name in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (data / f"{name}.jsonl").read_text().splitlines()]
        lines = [json.dumps({**row, "far": "[[0, 0, 99, 8]]"}) + "\n" for row in rows]
        (data / f"{name}.jsonl").write_text("".join(lines))
    if "cnn" in arguments:
        from explained_models import plain_cnn

        plain_cnn().save_pretrained(tmp_path / "cnn")
        image_processor(24).save_pretrained(tmp_path / "cnn")
        arguments = [str(tmp_path / "cnn") if one == "cnn" else one for one in arguments]
    argv = ["--model", str(model), "--dataset", str(data), "--output_dir", str(tmp_path / "run"), "--epochs", "1"]
    with pytest.raises(InputError, match=".") as error:
        image_classification.main([*argv, *arguments])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run" / "model.safetensors").exists()
