"""A column has one type over all files and splits."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from bad_data import put, told, use
from cases import case
from datasets import ClassLabel, Dataset, Features, Value

from hf_attn.tasks.targets.labels import encode_labels, load_splits


def folder(tmp_path, **splits):
    """csv files of these labels, with texts that differ."""
    for name, labels in splits.items():
        rows = "".join(f"{name} text {i},{label}\n" for i, label in enumerate(labels * 10))
        put(tmp_path, f"{name}.csv", "text,label\n" + rows)
    return tmp_path


@pytest.mark.parametrize(
    ("train", "test", "names"),
    [
        (["10", "10a"], ["10", "10"], ("10", "10a")),
        (["01", "02"], ["01", "02"], ("01", "02")),
        (["01", "10"], ["10", "10"], ("01", "10")),
        (["1.0", "2.0"], ["1", "2"], ("1", "2")),
        (["1", "2"], ["1.0", "2"], ("1", "2")),
        (["true", "false"], ["false", "true"], ("false", "true")),
        (["NA", "US"], ["NA", "US"], ("NA", "US")),
    ],
)
def test_labels_of_csv_files_are_read_alike_in_all_of_them(tmp_path, train, test, names):
    _, labels = use(folder(tmp_path, train=train, test=test))
    assert labels.kind == "single" and labels.names == names


@pytest.mark.parametrize("whole", ["train", "test", "dev"])
def test_numbers_that_are_whole_in_one_split_are_numbers_there_too(tmp_path, whole):
    splits = {name: ["1", "3"] if name == whole else ["0.5", "2"] for name in ("train", "dev", "test")}
    data, labels = use(folder(tmp_path, **splits))
    assert labels.kind == "regression"
    assert set(data["validation" if whole == "dev" else whole]["labels"]) == {1.0, 3.0}


def test_texts_of_digits_in_one_file_are_texts_as_in_the_others(tmp_path):
    put(tmp_path, "train.csv", "text,label\n" + "some words,a\nother words,b\n" * 10)
    put(tmp_path, "test.csv", "text,label\n" + "1984,a\n2001,b\n" * 10)
    assert set(use(tmp_path)[0]["test"]["text"]) == {"1984", "2001"}


@pytest.mark.parametrize(
    ("train", "test", "names"),
    [
        ([1, 2], ["1", "2"], ("1", "2")),
        (["1", "2"], [1, 2], ("1", "2")),
        ([1, 2], [1.0, 2.0], ("1", "2")),
        ([True, False], ["True", "False"], ("False", "True")),
        ([1.0, 2.0], ["1", "2"], ("1", "2")),
    ],
)
def test_files_of_json_agree_too(tmp_path, train, test, names):
    for split, labels in (("train", train), ("test", test)):
        rows = [{"text": f"{split} {i}", "label": label} for i, label in enumerate(labels * 10)]
        put(tmp_path, f"{split}.json", json.dumps(rows))
    assert use(tmp_path)[1].names == names


@pytest.mark.parametrize(("cells", "names"), [("true,false", ("False", "True")), ("1,0", None)])
def test_a_csv_beside_a_parquet_is_read_as_it(tmp_path, cells, names):
    values = [True, False] if names else [1.0, 0.0]
    table = pyarrow.table({"text": [f"train {i}" for i in range(20)], "label": values * 10})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    rows = "".join(f"test {i},{cells.split(',')[i % 2]}\n" for i in range(20))
    put(tmp_path, "test.csv", "text,label\n" + rows)
    data, labels = use(tmp_path)
    assert labels.names == (names or ("0", "1")) and data["test"]["labels"][:4] == [1, 0, 1, 0]


def test_numbers_beside_named_classes_are_their_numbers(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = {"text": [f"train {i}" for i in range(20)], "label": [0, 1] * 10}
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "train.parquet")
    put(tmp_path, "test.csv", "text,label\n" + "".join(f"test {i},{(i + 1) % 2}\n" for i in range(20)))
    data, labels = use(tmp_path)
    assert labels.names == ("neg", "pos") and data["test"]["labels"][:4] == [1, 0, 1, 0]


def test_shards_have_one_type(tmp_path):
    for number, labels in enumerate((["1", "2"], ["1", "2b"])):
        rows = "".join(f"{number} {i},{label}\n" for i, label in enumerate(labels * 10))
        put(tmp_path, f"train-0000{number}-of-00002.csv", "text,label\n" + rows)
    assert use(tmp_path)[1].names == ("1", "2", "2b")


@pytest.mark.parametrize(
    ("name", "kind", "names"),
    [
        (".", "single", ("10", "10a", "11")),
        ("float", "single", ("0", "1")),
        ("sub", "single", ("01", "02", "10")),
        ("rate", "regression", ()),
        ("whole.csv", "single", ("0", "1", "2", "3", "4")),
    ],
)
def test_each_case_of_types_is_read(name, kind, names):
    path = case("text/08_types_per_file") / name
    _, labels = encode_labels(load_splits(str(path), label="label"), "label")
    assert (labels.kind, labels.names) == (kind, names)


def test_whole_numbers_written_as_floats_are_told_to_be_classes(tmp_path, caplog):
    use(folder(tmp_path, train=["1.0", "2.0"]))
    assert "whole numbers written as floats, taken for classes: --problem regression predicts numbers" in caplog.text


def test_a_decimal_comma_is_told(tmp_path):
    put(tmp_path, "d.csv", "text;label\n" + "".join(f"t{i};0,{i}\n" for i in range(30)))
    assert "write a point, not a comma" in told(tmp_path / "d.csv", delimiter=";", kind="regression")


LONG = ["1234567890123456789", "1234567890123456788"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LONG, tuple(sorted(LONG))),
        (["9007199254740993", "9007199254740992", "123456789012345678901"], None),
        (["12345678901234567891", "12345678901234567892"], None),
        (["9007199254740993", "9007199254740992", "1.5"], None),
        (["-9223372036854775808", "9223372036854775807"], None),
    ],
)
def test_long_numbers_stay_apart(tmp_path, labels, names):
    found = use(folder(tmp_path, train=labels, test=labels))[1].names
    assert sorted(found) == sorted(names or labels)


@pytest.mark.parametrize("texts", [["5", "7"], ["+4930", "0049"], ["0.50", "1e3"], ["0012345678901234567890", "1"]])
def test_a_text_of_digits_stays_as_it_is_written(tmp_path, texts):
    rows = "".join(f"{texts[i % 2]},{'ab'[i % 2]}\n" for i in range(24))
    splits, _ = use(put(tmp_path, "d.csv", "text,label\n" + rows))
    assert set(splits["train"]["text"]) == set(texts)


def test_the_second_text_of_a_pair_stays_too(tmp_path):
    rows = "".join(f"words {i},{i}.0,{'ab'[i % 2]}\n" for i in range(24))
    splits, _ = use(put(tmp_path, "d.csv", "text,other,label\n" + rows), text_pair="other")
    assert sorted(value for split in splits.values() for value in split["other"]) == sorted(f"{i}.0" for i in range(24))
