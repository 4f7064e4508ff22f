"""The image recipe as a user runs it: pictures in, a run out, one line where something is wrong."""

import json
import time
from pathlib import Path

import forked
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_vit import SIZE, picture, save_pictures, save_tiny_vit
from transformers import AutoModelForImageClassification

import hf_attn
from hf_attn.errors import InputError
from hf_attn.recipes import image_classification

ROOT = Path(__file__).parents[1]
MIXED = ["--mixup", "0.8", "--cutmix", "1", "--color_jitter", "0.3", "--reprob", "0.2", "--rand_augment", "rand-m5-n1"]


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


def test_a_run_has_exactly_these_files(finished):
    folder, _ = finished
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = {name for name in found if not name.startswith("checkpoints/")}
    code = {name for name in found if name.endswith(".py")}
    figures = {f"figures/{name}.png" for name in ("confusion", "curves", "errors", "patches", "reliability")}
    files = {"README.md", "config.yaml", "run.json", "log.jsonl", "predictions.parquet"}
    assert "modeling_hf_attn.py" in code
    assert found - code == files | figures | {"model.safetensors", "config.json", "preprocessor_config.json"}


def test_the_model_learns_colours_and_its_scores_are_those_of_the_saved_model(finished, pictures):
    folder, scores = finished
    assert scores["accuracy"] > 0.8
    files = sorted(Path(pictures, "test").rglob("*.png"))
    found = hf_attn.predict(folder, files)
    right = [row["label"] == file.parent.name for row, file in zip(found, files, strict=True)]
    assert np.mean(right) == scores["accuracy"]
    saved = pd.read_parquet(folder / "predictions.parquet")
    assert list(saved["id"]) == list(range(len(files)))
    ours = [[row["probabilities"][name] for name in ("blue", "green", "red")] for row in found]
    np.testing.assert_allclose(np.stack(saved["probabilities"]), ours, atol=1e-5)


def test_classes_keep_the_names_of_their_folders(finished):
    config = AutoModelForImageClassification.from_pretrained(finished[0]).config
    assert config.id2label == {0: "blue", 1: "green", 2: "red"} and config.model_type == "hf_attn_vit"


def test_config_yaml_runs_it_again_to_the_bit(finished, tmp_path):
    folder, _ = finished
    image_classification.main(["--config", str(folder / "config.yaml"), "--output_dir", str(tmp_path / "again")])
    first, again = weights(folder), weights(tmp_path / "again")
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())


def test_the_card_is_about_images(finished):
    card = (finished[0] / "README.md").read_text()
    assert "fine-tuned to give each image one of 3 classes" in card and "pipeline_tag: image-classification" in card
    assert 'hf_attn.predict(model_id, ["photo.jpg"])' in card and "AutoImageProcessor" in card
    assert "examples a second" in card and "tokens a second" not in card


@pytest.mark.parametrize(
    "options",
    [
        ("--head", "attention", "--freeze", "encoder"),
        ("--head", "multi_query", "--attention", "entmax15"),
        ("--head", "mean"),
        ("--head", "cbam"),
        ("--lora", "4", "--crop", "resized"),
        ("--drop_path", "0.2", "--grad_checkpointing", "--ema", "0.9"),
        ("--channels_last", "--ema", "0.9", "--tta_flip", "--class_weights", "balanced", "--focal_gamma", "2"),
        ("--layer_decay", "0.7", "--label_smoothing", "0.1", *MIXED),
        ("--image_size", "32", "--attention", "window", "--attention_kwargs", '{"grid": [4, 4]}'),
        ("--token_merging", "2"),
    ],
    ids=lambda options: options[0].lstrip("-"),
)
def test_options_train_and_save_a_model_that_predicts_as_scored(model, pictures, tmp_path, options):
    scores = run(model, pictures, tmp_path / "run", *options)
    files = sorted(Path(pictures, "test").rglob("*.png"))
    found = hf_attn.predict(tmp_path / "run", files)
    if "--tta_flip" not in options and "--token_merging" not in options:
        right = [row["label"] == file.parent.name for row, file in zip(found, files, strict=True)]
        assert np.mean(right) == pytest.approx(scores["accuracy"])


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


def test_two_processes_train_as_one_and_predict_every_row_once(model, pictures, tmp_path):
    common = ("--max_steps", "4", *MIXED)
    argv = arguments(model, pictures, tmp_path / "two", *common, "--batch_size", "4")
    forked.run(image_classification.main, argv, tmp_path / "said", 2)
    rows = pd.read_parquet(tmp_path / "two/predictions.parquet")
    assert list(rows["id"]) == list(range(18))
    run(model, pictures, tmp_path / "one", *common, "--batch_size", "8")
    assert distance(tmp_path / "one", tmp_path / "two") <= 1e-6


def test_batches_and_accumulation_are_one_step_with_augmentation(model, pictures, tmp_path):
    for name, batch, accumulation in (("a", "8", "1"), ("b", "4", "2"), ("c", "2", "4")):
        options = ("--batch_size", batch, "--accumulation_steps", accumulation, "--max_steps", "4", *MIXED)
        run(model, pictures, tmp_path / name, *options)
    assert distance(tmp_path / "a", tmp_path / "b") <= 1e-6
    assert distance(tmp_path / "a", tmp_path / "c") <= 1e-6


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_resumes_to_the_bit_with_augmentation_and_mixing(model, pictures, tmp_path, processes):
    often = ["--save_every", "2", "--log_every", "1"]
    given = ["--max_steps", "24", "--batch_size", "4", "--drop_path", "0.2", *often, *MIXED]
    main, said, broken = image_classification.main, tmp_path / "said", tmp_path / "broken"
    forked.run(main, arguments(model, pictures, tmp_path / "whole", *given), said, processes)
    started = forked.start(main, arguments(model, pictures, broken, *given), said, processes)
    while started[0].is_alive() and _steps(broken) < 5:
        time.sleep(0.005)
    forked.kill(started)
    assert 5 <= _steps(broken) < 24 and not (broken / "model.safetensors").exists()
    forked.run(main, arguments(model, pictures, broken, *given, "--resume"), said, processes)
    assert (broken / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def _steps(folder):
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    try:
        return max((json.loads(line)["step"] for line in lines), default=0)
    except json.JSONDecodeError:
        return 0


BAD = {
    "size that patches do not fill": (["--image_size", "30"], "30 is not divisible by the patch size 8.*24 and 32"),
    "unknown head": (["--head", "atention"], "head"),
    "unknown crop": (["--crop", "square"], "crop"),
    "probability above 1": (["--hflip", "2"], "hflip"),
    "RandAugment that is none": (["--rand_augment", "rand-x9"], "rand_augment"),
    "missing column": (["--image", "imag"], "no column 'imag'.*did you mean 'image'"),
    "text given for images": (["--text", "t"], "unknown argument --text"),
    "probe and freezing": (["--linear_probe", "true", "--freeze", "encoder"], "exclude each other"),
    "cutmix of numbers": (["--problem", "regression", "--cutmix", "1"], "cutmix needs classes|label"),
    "unknown variant": (["--attention", "entmax"], "unknown attention variant 'entmax'"),
    "more tokens to merge than there are": (["--token_merging", "-1"], "token"),
    "stochastic depth above 1": (["--drop_path", "1.5"], "drop"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_before_training(case, model, pictures, tmp_path, monkeypatch):
    options, message = BAD[case]
    monkeypatch.setattr("hf_attn.training.fit", lambda *_, **__: pytest.fail("training began"))
    with pytest.raises(InputError, match=f"(?s){message}"):
        run(model, pictures, tmp_path / "run", *options)
    assert not (tmp_path / "run" / "config.yaml").exists()


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
