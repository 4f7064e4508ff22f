"""The image recipe as a user runs it: pictures in, a run out, one line where something is wrong."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recipe_table import MIXED
from safetensors.torch import load_file
from tiny_vit import SIZE, picture, save_pictures, save_tiny_vit

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_vit(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return str(save_pictures(tmp_path_factory.mktemp("pictures")))


def arguments(model, dataset, output, *more):
    argv = ["--model", model, "--dataset", str(dataset), "--output_dir", str(output), "--precision", "no"]
    return [*argv, "--epochs", "2", "--batch_size", "8", "--lr", "3e-3", *more]


def run(*given):
    return image_classification.main(arguments(*given))


@pytest.fixture(scope="module")
def finished(model, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "colours"
    return folder, run(model, pictures, folder, "--attention", "talking_heads", "--epochs", "6")


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_the_card_is_about_images(finished):
    card = (finished[0] / "README.md").read_text()
    assert "fine-tuned to give each image one of 3 classes" in card and "pipeline_tag: image-classification" in card
    assert 'hf_attn.predict(model_id, ["photo.jpg"])' in card and "AutoImageProcessor" in card
    assert "examples a second" in card and "tokens a second" not in card


def test_predictions_name_their_files(finished, pictures):
    folder, _ = finished
    saved = pd.read_parquet(folder / "predictions.parquet")
    assert [Path(path).parent.name for path in saved["path"]] == list(saved["label"])
    assert set(saved["path"]) == {str(path) for path in Path(pictures, "test").rglob("*.png")}


def test_images_that_are_none_are_named_and_nothing_gives_nothing(finished):
    folder, _ = finished
    assert hf_attn.predict(folder, []) == []
    with pytest.raises(InputError, match="images is one Image, expected a list"):
        hf_attn.predict(folder, picture(0, np.random.default_rng(0)))
    empty, number = np.zeros((0, 9, 3), np.uint8), 7
    with pytest.raises(InputError, match=r"^nope.jpg: no such file; image 1: an array .*no pixels; image 2: int given"):
        hf_attn.predict(folder, ["nope.jpg", empty, number])


def test_a_linear_probe_runs_the_backbone_once_and_changes_the_head_alone(model, pictures, tmp_path, monkeypatch):
    from transformers import ViTModel

    seen = []
    forward = ViTModel.forward

    def counted(self, pixel_values, *positional, **keywords):
        seen.append(len(pixel_values))
        return forward(self, pixel_values, *positional, **keywords)

    monkeypatch.setattr(ViTModel, "forward", counted)
    monkeypatch.setattr("hf_attn.tasks.inputs.images.examples.maps_of", lambda *_: {})
    scores = run(model, pictures, tmp_path / "run", "--linear_probe", "true", "--epochs", "5")
    assert seen[0] == 1 and sum(seen[1:]) == 48 + 18  # the first is tried on before anything is decoded
    before, after = weights(Path(model)), weights(tmp_path / "run")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    files = sorted(Path(pictures, "test").rglob("*.png"))
    found = hf_attn.predict(tmp_path / "run", files)
    right = [row["label"] == file.parent.name for row, file in zip(found, files, strict=True)]
    assert np.mean(right) == scores["accuracy"]


def test_several_columns_are_a_multi_label_task_of_paths_in_a_csv(model, pictures, tmp_path):
    files = sorted(Path(pictures, "train").rglob("*.png"))
    rows = [
        {"file": str(f.relative_to(pictures)), "red": f.parent.name == "red", "warm": i % 2}
        for i, f in enumerate(files)
    ]
    frame = pd.DataFrame(rows).astype({"red": int})
    frame.to_csv(Path(pictures) / "labels.csv", index=False)
    try:
        options = ("--image", "file", "--label", '["red", "warm"]', "--mixup", "0.5")
        scores = run(model, Path(pictures) / "labels.csv", tmp_path / "run", *options)
    finally:
        (Path(pictures) / "labels.csv").unlink()
    assert {"f1_micro", "average_precision"} <= set(scores)
    assert hf_attn.predict(tmp_path / "run", [files[0]])[0]["probabilities"].keys() == {"red", "warm"}


def test_a_number_is_a_regression_from_a_parquet_of_images(model, tmp_path):
    import io

    random = np.random.default_rng(0)
    rows = []
    for index in range(60):
        data = io.BytesIO()
        picture(index % 3, random).save(data, "PNG")
        rows.append({"image": {"bytes": data.getvalue(), "path": None}, "label": index % 3 + random.random()})
    pd.DataFrame(rows).to_parquet(tmp_path / "train.parquet")
    scores = run(model, tmp_path / "train.parquet", tmp_path / "run")
    assert {"pearson", "mae", "rmse"} <= set(scores)
    value = hf_attn.predict(tmp_path / "run", [picture(0, random), np.zeros((9, 7, 3), np.uint8)])
    assert all(np.isfinite(row["value"]) for row in value)


def distance(folder, other):
    """Greatest difference of a weight; a key's bias is left out, whose gradient is zero but for rounding."""
    one, two = weights(folder), weights(other)
    return max((one[name] - two[name]).abs().max().item() for name in one if not name.endswith("key.bias"))


def test_batches_and_accumulation_are_one_step_with_augmentation(model, pictures, tmp_path):
    for name, batch, accumulation in (("a", "8", "1"), ("b", "4", "2"), ("c", "2", "4")):
        options = ("--batch_size", batch, "--accumulation_steps", accumulation, "--max_steps", "4", *MIXED)
        run(model, pictures, tmp_path / name, *options)
    assert distance(tmp_path / "a", tmp_path / "b") <= 1e-6
    assert distance(tmp_path / "a", tmp_path / "c") <= 1e-6


def test_a_text_model_is_refused(pictures, tmp_path):
    from tiny_bert import save_tiny_bert

    with pytest.raises(InputError, match="image processor cannot be loaded"):
        run(str(save_tiny_bert(tmp_path / "bert")), pictures, tmp_path / "run")


def test_predict_reads_files_folders_and_tables(finished, pictures, tmp_path):
    from hf_attn.cli.prediction_files import predict_to

    folder = str(finished[0])
    predict_to(
        folder,
        [str(Path(pictures, "test/red")), str(Path(pictures, "test/blue/0.png"))],
        output=str(tmp_path / "a.jsonl"),
    )
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [Path(row["image"]).parent.name for row in rows] == ["red"] * 6 + ["blue"]
    (tmp_path / "pictures").symlink_to(pictures)
    table = Path(pictures) / "some.csv"
    pd.DataFrame({"image": ["test/red/0.png", "test/green/1.png"]}).to_csv(table, index=False)
    try:
        predict_to(folder, [str(table)], output=str(tmp_path / "b.jsonl"))
    finally:
        table.unlink()
    again = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert again[0]["probabilities"] == pytest.approx(rows[0]["probabilities"], abs=1e-6)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["missing.png"], {}, "missing.png: no such file"),
        (["notes.png"], {}, "notes.png: not an image"),
        (["empty"], {}, "holds no image"),
        (["a.png"], {"text": "t"}, "this model classifies images"),
        (["a.png"], {"image": "photo"}, "there is no file"),
        (["table.csv"], {}, "no column 'image'"),
    ],
)
def test_bad_images_for_predict_are_one_line(finished, tmp_path, monkeypatch, given, options, message):
    from hf_attn.cli.prediction_files import predict_to

    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("photo,x\na.png,1\nb.png,2\n")
    picture(0, np.random.default_rng(0), SIZE).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        predict_to(str(finished[0]), given, **options)
