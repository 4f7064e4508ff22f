"""A test split without labels is predicted, row by row of the user's file, and not scored."""

import json

import pandas as pd
import pytest
from bad_data import CSV, put, told, use
from bad_images import class_folder, png, write_folder
from cases import case
from tiny_bert import save_tiny_bert
from tiny_vit import save_tiny_vit

import hf_attn
from hf_attn.recipes import image_classification, text_classification
from hf_attn.tasks.targets.labels import load_splits


def run(main, model, dataset, output, *more):
    argv = ["--model", model, "--dataset", dataset, "--output_dir", output, "--precision", "no", "--batch_size", "16"]
    return main([str(word) for word in [*argv, "--epochs", "1", *more]])


@pytest.mark.parametrize("rows", ["", ",", ",-1"])
def test_a_test_file_without_labels_is_kept_apart_and_told(tmp_path, caplog, rows):
    put(tmp_path, "train.csv", CSV.replace(",a", ",0").replace(",b", ",1"))
    header = "text,label\n" if rows else "text\n"
    put(tmp_path, "test.csv", header + "".join(f"new {i}{rows}\n" for i in range(7)))
    splits = load_splits(str(tmp_path), label="label")
    assert [(name, len(split)) for name, split in splits.items()] == [
        *(("train", 32), ("validation", 4), ("test", 4), ("unlabelled", 7))
    ]
    assert splits["unlabelled"]["text"][:] == [f"new {i}" for i in range(7)]
    assert "another is cut from train to be scored, and its 7 rows are predicted" in caplog.text


@pytest.mark.parametrize("cell", [" ", "-1"])
def test_blanks_are_no_labels_either(tmp_path, cell):
    put(tmp_path, "train.csv", CSV.replace(",a", ",0").replace(",b", ",1"))
    put(tmp_path, "test.csv", "text,label\n" + f"new,{cell}\n" * 5)
    assert len(load_splits(str(tmp_path), label="label")["unlabelled"]) == 5


@pytest.mark.parametrize(
    ("train", "kind"), [(("-1", "1"), None), (("-0.5", "2.5"), None), (("-1.0", "3.0"), "regression")]
)
def test_minus_one_is_a_label_where_train_has_numbers_below_zero(tmp_path, train, kind):
    put(tmp_path, "train.csv", "text,label\n" + "".join(f"text {i},{train[i % 2]}\n" for i in range(24)))
    put(tmp_path, "test.csv", "text,label\n" + "".join(f"new {i},-1\n" for i in range(5)))
    data, labels = use(tmp_path, kind=kind)
    assert "unlabelled" not in data
    assert data["test"]["labels"][:] == [-1.0 if labels.kind == "regression" else labels.names.index("-1")] * 5


def test_minus_one_is_none_where_numbers_are_zero_and_above(tmp_path):
    put(tmp_path, "train.csv", "text,label\n" + "".join(f"text {i},{i / 5}\n" for i in range(24)))
    put(tmp_path, "test.csv", "text,label\n" + "".join(f"new {i},-1.0\n" for i in range(5)))
    assert len(use(tmp_path)[0]["unlabelled"]) == 5


def test_a_test_file_may_have_ids_that_train_has_not(tmp_path):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, "test.csv", "id,text\n" + "".join(f"{i},new {i}\n" for i in range(7)))
    assert use(tmp_path)[0]["unlabelled"]["id"][:] == list(range(7))


def test_a_label_column_of_another_name_is_not_taken_for_none(tmp_path):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, "test.csv", CSV.replace("label", "gold"))
    assert "no column 'label' in test" in told(tmp_path)


def test_a_null_text_among_them_is_named(tmp_path):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, "test.csv", 'id,text\n1,"a\nb"\n2,\n3,c\n')
    put(tmp_path, "train.csv", "id," + CSV.replace("\none", "\n1,one").replace("\ntwo", "\n2,two"))
    assert "'text' of unlabelled has 1 empty text (line 4 of test.csv)" in told(tmp_path)
    assert len(use(tmp_path, skip_bad_rows=True)[0]["unlabelled"]) == 2


def test_a_run_predicts_the_case_of_a_competition(tmp_path, capsys):
    model, output = save_tiny_bert(tmp_path / "model"), tmp_path / "run"
    run(text_classification.main, model, case("text/17_kaggle") / "k", output, "--label", "target")
    found = pd.read_parquet(output / "unlabelled.parquet")
    assert found["id"].tolist() == list(range(100, 140)) and "label" not in found
    texts = pd.read_csv(case("text/17_kaggle") / "k/test.csv")["text"].tolist()
    expected = hf_attn.predict(output, texts)
    assert found["prediction"].tolist() == [row["label"] for row in expected]
    assert "unlabelled.parquet" in json.loads((output / "run.json").read_text())["files"]
    assert "40 rows without labels are predicted in" in capsys.readouterr().out
    run(text_classification.main, model, case("text/17_kaggle") / "k", output, "--label", "target", "--overwrite")


@pytest.mark.parametrize("more", [(), ("--linear_probe", "true")])
def test_a_run_predicts_test_images_without_class_folders(tmp_path, more):
    files = class_folder(24, "train/") | {f"test/{i:02}.png": png(100 + i) for i in range(6)}
    data, output = write_folder(tmp_path / "data", files), tmp_path / "run"
    run(image_classification.main, save_tiny_vit(tmp_path / "model"), data, output, *more)
    found = pd.read_parquet(output / "unlabelled.parquet")
    names = [str(data / f"test/{i:02}.png") for i in range(6)]
    assert found["path"].tolist() == names
    assert found["prediction"].tolist() == [row["label"] for row in hf_attn.predict(output, names)]
