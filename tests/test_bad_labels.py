"""Columns, labels and texts that cannot be used: each kind ends in one line that says what is wrong."""

import datetime

import pyarrow
import pyarrow.parquet
import pytest
from bad_data import CSV, GOOD, changed, put, told
from datasets import ClassLabel, Dataset, Features, Value

from hf_attn.errors import InputError
from hf_attn.tasks.inputs.text import check_text
from hf_attn.tasks.targets.labels import load_splits

COLUMNS = {
    "missing label column": (
        "d.csv",
        CSV,
        "no column 'lable' in train (columns: text, label); did you mean 'label'?",
        {"label": "lable"},
    ),
    "missing text column": (
        "d.csv",
        CSV,
        "no column 'Text' in train, validation, test (columns: text, label); did you mean",
        {"text": "Text"},
    ),
    "missing text_pair": ("d.csv", CSV, "no column 'second'", {"text_pair": "second"}),
    "text is the label": ("d.csv", CSV, "'label' is given both as text and as label", {"text": "label"}),
    "text is its pair": ("d.csv", CSV, "'text' is given both as text and as text_pair", {"text_pair": "text"}),
    "missing column of names": ("d.csv", CSV, "no column 'names'", {"label_names": "names"}),
    "names that do not fit": (
        "d.jsonl",
        GOOD,
        "'text' does not give each class one name of its own",
        {"label_names": "text"},
    ),
    "unknown kind": (
        "d.csv",
        CSV,
        "unknown kind 'singel' (one of single, multi, regression); did you mean 'single'?",
        {"kind": "singel"},
    ),
    "one class only": ("d.csv", CSV.replace(",b", ",a"), "one class only in train ('a')", {}),
    "one row": ("d.csv", "text,label\none,a\n", "train has 1 rows: too few to cut validation and test from", {}),
    "class with one example": ("d.csv", CSV + "three,c\n", "classes with one example", {}),
    "an id taken for the label": (
        "d.jsonl",
        changed(label=lambda i: f"id{i}"),
        "has 32 different values in 32 rows, so they are no classes",
        {},
    ),
    "null label": ("d.jsonl", changed(5, label=None), "1 rows without a label in 'label' (line 6 of d.jsonl)", {}),
    "all labels null": ("d.jsonl", changed(label=lambda i: None), "holds nothing but nulls", {}),
    "empty label": ("d.csv", CSV + "three,\nfour,\n", "without a label in 'label'", {}),
    "NaN label": ("d.jsonl", changed(label=lambda i: float("nan") if i == 9 else float(i % 2)), "without a label", {}),
    "label not an integer": (
        "d.jsonl",
        changed(label=lambda i: i % 2 + 0.5),
        "neither names nor whole numbers: 0.5, 1.5",
        {"kind": "single"},
    ),
    "label that is an object": ("d.jsonl", changed(label=lambda i: {"a": i}), "which is no label; expected text", {}),
    "list of something unknown": (
        "d.jsonl",
        changed(label=lambda i: [{"a": i}]),
        "no list of names, of whole numbers",
        {},
    ),
    "list of floats": (
        "d.jsonl",
        changed(label=lambda i: [0.5, i]),
        "no list of names, of whole numbers, or of 0 and 1",
        {},
    ),
    "null list": ("d.jsonl", changed(label=lambda i: None if i == 7 else ["a", "b"][: i % 3]), "without a list", {}),
    "lists of one label": ("d.jsonl", changed(label=lambda i: ["a"]), "hold 1 label in train", {}),
    "lists that are empty": ("d.jsonl", changed(label=lambda i: [0, 0]), "no row of train has any of the labels", {}),
    "one class a row as multi": ("d.csv", CSV, "no list of names", {"kind": "multi"}),
    "columns of other than 0 and 1": (
        "d.jsonl",
        changed(x=lambda i: i % 3, y=lambda i: i % 2),
        "values in 'x' other than 0 and 1: 2",
        {"label": ["x", "y"]},
    ),
    "a label column twice": (
        "d.jsonl",
        changed(x=lambda i: i % 2),
        "label column 'x' is given twice",
        {"label": ["x", "x"]},
    ),
    "several columns as one class": (
        "d.jsonl",
        changed(x=lambda i: 1),
        "kind 'single' takes one label column, 2 were",
        {"label": ["x", "label"], "kind": "single"},
    ),
    "regression of text": ("d.csv", CSV, "labels in 'label' that are no numbers: 'a'", {"kind": "regression"}),
    "infinite regression label": (
        "d.jsonl",
        changed(label=lambda i: float("inf") if i == 3 else i / 3),
        "null, NaN or infinite (line 4 of d.jsonl)",
        {},
    ),
    "NaN regression label": (
        "d.csv",
        "text,label\n" + "".join(f"t{i},{i / 3 if i else 'nan'}\n" for i in range(40)),
        "null, NaN or infinite",
        {},
    ),
    "constant regression": ("d.jsonl", changed(label=lambda i: 0.5), "the same value in every row of train", {}),
    "empty text": ("d.jsonl", changed(4, text=""), "1 empty text (line 5 of d.jsonl)", {}),
    "whitespace-only text": ("d.jsonl", changed(4, text=" \t\n"), "1 empty text (line 5 of d.jsonl)", {}),
    "null text": ("d.jsonl", changed(4, text=None), "1 null text (line 5 of d.jsonl)", {}),
    "text that is a number": ("d.jsonl", changed(text=lambda i: i), "is not text but int64 (such as", {}),
    "text that is a list": ("d.jsonl", changed(text=lambda i: ["a"]), "is not text but List(", {}),
    "empty text_pair": ("d.jsonl", changed(b=lambda i: "" if i < 20 else "b"), "'b' of train has", {"text_pair": "b"}),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_bad_column_is_refused(tmp_path, case):
    name, content, expected, arguments = COLUMNS[case]
    put(tmp_path, name, content)
    assert expected in told(tmp_path / name, **arguments)


SPLITS = {
    "label column missing in test": (
        {"train.csv": CSV, "test.csv": CSV.replace("label", "gold")},
        "no column 'label' in test (columns: text, gold)",
        {},
    ),
    "text column missing in validation": (
        {"train.csv": CSV, "dev.csv": CSV.replace("text", "sentence")},
        "no column 'text' in validation",
        {},
    ),
    "labels that train has not": (
        {"train.csv": CSV, "test.csv": CSV + "x,c\n"},
        "test has labels in 'label' that train has",
        {},
    ),
    "listed labels that train has not": (
        {"train.jsonl": changed(label=lambda i: ["a", "b"][: i % 3]), "test.jsonl": changed(label=lambda i: ["c"])},
        "test has labels in 'label' that train has not: 'c'",
        {},
    ),
    "indicators of another width": (
        {"train.jsonl": changed(label=lambda i: [0, i % 2]), "test.jsonl": changed(label=lambda i: [0, 1, 0])},
        "lists in 'label' that are not 2 values of 0 and 1",
        {},
    ),
    "numbers in train, names in test": (
        {"train.csv": CSV.replace(",a", ",0").replace(",b", ",1"), "test.csv": CSV},
        "test has labels in 'label' that train has not: 'a', 'b' (lines 2, 3, 4, 5, 6, … (40 in all) of test.csv)",
        {},
    ),
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_bad_column_of_a_split_is_refused(tmp_path, case):
    files, expected, arguments = SPLITS[case]
    for name, content in files.items():
        put(tmp_path, name, content)
    assert expected in told(tmp_path, **arguments)


def test_a_label_of_another_type_is_refused(tmp_path):
    rows = {"text": ["a", "b"] * 20, "label": [datetime.datetime(2024, 1, 1)] * 40}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "d.parquet")
    assert "is of type timestamp[us], which is no label" in told(tmp_path / "d.parquet")


def test_an_unlabelled_class_label_is_refused(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    Dataset.from_dict({"text": ["x"] * 40, "label": [0, 1, -1, 1] * 10}, features).to_parquet(tmp_path / "d.parquet")
    assert "without a label in 'label'" in told(tmp_path / "d.parquet")


def test_many_different_labels_are_no_classes(tmp_path):
    for split in ("train", "validation", "test"):
        put(tmp_path, f"{split}.jsonl", changed(label=lambda i: i))
    assert "has 40 different values in 40 rows, so they are no classes" in told(tmp_path)


def test_all_mistakes_of_the_labels_are_told_at_once(tmp_path):
    put(tmp_path, "train.csv", CSV.replace(",b", ",a"))
    put(tmp_path, "test.csv", CSV.replace(",b", ",c"))
    message = told(tmp_path)
    assert (
        "one class only in train ('a')" in message and "test has labels in 'label' that train has not: 'c'" in message
    )


def test_all_mistakes_of_the_texts_are_told_at_once(tmp_path):
    put(tmp_path, "train.jsonl", changed(0, rows=changed(2, text=None), text=" "))
    put(tmp_path, "test.jsonl", changed(7, text=""))
    message = told(tmp_path)
    for expected in (
        "'text' of train has 1 null text",
        "'text' of train has 1 empty text",
        "'text' of test has 1 empty",
    ):
        assert expected in message


def test_all_missing_columns_are_told_at_once(tmp_path):
    splits = load_splits(str(put(tmp_path, "d.jsonl", GOOD)))
    with pytest.raises(InputError, match="no column 'a' .*; no column 'b' "):
        check_text(splits, "a", "b")
