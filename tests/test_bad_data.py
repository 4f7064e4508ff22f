"""Bad data: each kind ends in one line that says what is wrong and what would be right."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset

from hf_attn.data import check_text, encode_labels, load_splits
from hf_attn.errors import InputError

GOOD = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(40)]


def changed(row=None, rows=GOOD, **values):
    """GOOD with other values: in one row, or as a new column (from a function of the row's number)."""
    if row is None:
        return [{**old, **{name: value(i) for name, value in values.items()}} for i, old in enumerate(rows)]
    return [{**old, **values} if i == row else old for i, old in enumerate(rows)]


def use(source, text="text", text_pair=None, label="label", **kwargs):
    splits = load_splits(str(source), kwargs.pop("subset", None), label=label)
    check_text(splits, text, text_pair, label)
    return encode_labels(splits, label, **kwargs)


def told(source, **kwargs):
    with pytest.raises(InputError) as caught:
        use(source, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(folder, table, name="data.parquet"):
    pyarrow.parquet.write_table(table, folder / name)
    return folder / name


def test_the_good_rows_are_good(tmp_path):
    use(put(tmp_path, "good.jsonl", GOOD))


CSV = "text,label\n" + "one,a\ntwo,b\n" * 20
FILES = {
    "missing file": ("gone.csv", None, "no file", {}),
    "missing file, near name": ("train.csv", ("trian.csv", CSV), "did you mean 'trian.csv'?", {}),
    "empty file": ("empty.csv", "", "empty.csv is empty", {}),
    "empty jsonl": ("empty.jsonl", "\n \n", "has no rows", {}),
    "blank csv": ("blank.csv", "\n\n\n", "only blank lines", {}),
    "header only": ("header.csv", "text,label\n", "has no rows", {}),
    "wrong extension": ("data.xlsx", CSV, "extension '.xlsx' is not read; expected one of .csv, .tsv", {}),
    "no extension": ("data", CSV, "extension '' is not read", {}),
    "unreadable encoding": (
        "d.csv",
        CSV.replace("one", "naïve").encode("latin-1"),
        "d.csv is not UTF-8 (byte 0xef",
        {},
    ),
    "utf-16": ("d.csv", CSV.encode("utf-16"), "iconv -f UTF-16", {}),
    "nul bytes": ("d.csv", CSV.replace("one", "o\0ne"), "NUL bytes", {}),
    "semicolons": ("d.csv", CSV.replace(",", ";"), "this one seems to use ';'", {}),
    "ragged csv": ("d.csv", CSV + "three, four,a\n", "line 42 has 3 fields, the header has 2 (1 such lines)", {}),
    "open quote": ("d.csv", CSV + '"open,a\n', "is not csv: unexpected end of data", {}),
    "duplicate csv column": ("d.csv", CSV.replace("text,label", "text,text"), "has 'text' more than once", {}),
    "broken jsonl line": ("d.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label":}\n', "line 2 is not JSON", {}),
    "jsonl line that is no object": ("d.jsonl", '{"text": "a"}\n[1, 2]\n', "line 2 is not an object", {}),
    "duplicate json key": (
        "d.jsonl",
        '{"text": "a", "text": "b"}\n',
        "line 1: the object has 'text' more than once",
        {},
    ),
    "broken json": ("d.json", '[{"text": "a"},\n {"text" "b"}]', "line 2 is not JSON: Expecting ':'", {}),
    "json of something else": ("d.json", '{"a": 1}', "expected a list of objects", {}),
    "json columns of unequal length": ("d.json", '{"text": ["a"], "label": [1, 2]}', "columns of unequal length", {}),
    "mixed label types": (
        "d.jsonl",
        changed(3, label=1),
        "column 'label' mixes str (row 0) and int (row 3): give each column values of one",
        {},
    ),
    "corrupt parquet": ("d.parquet", b"PAR1 this is no parquet PAR1", "is not a parquet file, or it is cut short", {}),
    "subset of a file": ("d.csv", CSV, "subset 'plain' given with the file", {"subset": "plain"}),
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
    "one class only": ("d.csv", CSV.replace(",b", ",a"), "one class only in train (a)", {}),
    "one row": ("d.csv", "text,label\none,a\n", "train has 1 rows: too few to cut validation and test from", {}),
    "class with one example": ("d.csv", CSV + "three,c\n", "classes with one example", {}),
    "an id taken for the label": (
        "d.jsonl",
        changed(label=lambda i: f"id{i}"),
        "has 40 different values in 40 rows, so they are",
        {},
    ),
    "null label": ("d.jsonl", changed(5, label=None), "1 rows without a label in 'label' (rows", {}),
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
        "null, NaN or infinite (row",
        {},
    ),
    "NaN regression label": (
        "d.csv",
        "text,label\n" + "".join(f"t{i},{i / 3 if i else 'nan'}\n" for i in range(40)),
        "null, NaN or infinite",
        {},
    ),
    "constant regression": ("d.jsonl", changed(label=lambda i: 0.5), "the same value in every row of train", {}),
    "empty text": ("d.jsonl", changed(4, text=""), "1 empty text (rows", {}),
    "whitespace-only text": ("d.jsonl", changed(4, text=" \t\n"), "1 empty text (rows", {}),
    "null text": ("d.jsonl", changed(4, text=None), "1 null text (rows", {}),
    "text that is a number": ("d.jsonl", changed(text=lambda i: i), "is not text but int64 (such as", {}),
    "text that is a list": ("d.jsonl", changed(text=lambda i: ["a"]), "is not text but List(", {}),
    "empty text_pair": ("d.jsonl", changed(b=lambda i: "" if i < 20 else "b"), "'b' of train has", {"text_pair": "b"}),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused(tmp_path, case):
    name, content, expected, arguments = FILES[case]
    if isinstance(content, tuple):
        put(tmp_path, *content)
    elif content is not None:
        put(tmp_path, name, content)
    assert expected in told(tmp_path / name, **arguments)


FOLDERS = {
    "no train file": ({"tset.csv": CSV, "test.csv": CSV}, "has no train file", {}),
    "empty folder": ({}, "it holds nothing", {}),
    "two train files": (
        {"train.csv": CSV, "train.jsonl": GOOD},
        "more than one file for a split (train: train.csv, ",
        {},
    ),
    "two validation files": ({"train.csv": CSV, "val.csv": CSV, "dev.csv": CSV}, "(validation: dev.csv, val.csv)", {}),
    "missing subset": ({"train.csv": CSV}, "no folder", {"subset": "plain"}),
    "one-row test": (
        {"train.csv": CSV, "test.csv": "text,label\none,a\n"},
        "test has 1 row: at least 2 are needed",
        {},
    ),
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
        "test has labels in 'label' that train has not: c",
        {},
    ),
    "indicators of another width": (
        {"train.jsonl": changed(label=lambda i: [0, i % 2]), "test.jsonl": changed(label=lambda i: [0, 1, 0])},
        "lists in 'label' that are not 2 values of 0 and 1",
        {},
    ),
    "numbers in train, names in test": (
        {"train.csv": CSV.replace(",a", ",0").replace(",b", ",1"), "test.csv": CSV},
        "int in train, int in validation, str in test: write them alike",
        {},
    ),
    "damaged save_to_disk": (
        {"dataset_dict.json": '{"splits": ["train"]}'},
        "does not load as a folder of save_to_disk",
        {},
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder_is_refused(tmp_path, case):
    files, expected, arguments = FOLDERS[case]
    for name, content in files.items():
        put(tmp_path, name, content)
    assert expected in told(tmp_path, **arguments)


def test_a_duplicate_parquet_column_is_refused(tmp_path):
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    assert "has 'text' more than once" in told(parquet(tmp_path, table))


def test_a_parquet_file_cut_short_is_refused(tmp_path):
    path = parquet(tmp_path, pyarrow.Table.from_pylist(GOOD))
    path.write_bytes(path.read_bytes()[:-20])
    assert "cut short" in told(path)


def test_a_damaged_page_of_a_parquet_file_is_refused(tmp_path):
    path = tmp_path / "d.parquet"
    text = [str(number) for number in np.random.default_rng(0).random(2000)]
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[100:5000] = os.urandom(4900)
    path.write_bytes(content)
    assert "damaged" in told(path, label="text")


def test_a_label_of_another_type_is_refused(tmp_path):
    import datetime

    rows = {"text": ["a", "b"] * 20, "label": [datetime.datetime(2024, 1, 1)] * 40}
    assert "is of type timestamp[us], which is no label" in told(parquet(tmp_path, pyarrow.table(rows)))


def test_an_unlabelled_class_label_is_refused(tmp_path):
    from datasets import ClassLabel, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    Dataset.from_dict({"text": ["x"] * 40, "label": [0, 1, -1, 1] * 10}, features).to_parquet(tmp_path / "d.parquet")
    assert "without a label in 'label'" in told(tmp_path / "d.parquet")


def test_many_different_labels_are_no_classes(tmp_path):
    for split in ("train", "validation", "test"):
        put(tmp_path, f"{split}.jsonl", changed(label=lambda i: i))
    assert "has 40 different values in 40 rows, so they are no classes" in told(tmp_path)


def test_a_hub_id_out_of_reach_says_what_works_offline():
    script = "from hf_attn.data import load_splits; load_splits('nobody/nothing')"
    run = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
    )
    message = run.stderr.strip().splitlines()[-1]
    assert "InputError: dataset 'nobody/nothing' is no file or folder here" in message
    assert "offline, give a csv, tsv, json, jsonl or parquet file" in message


def test_a_path_that_can_be_no_hub_id_is_refused(tmp_path):
    assert "no file or folder" in told(tmp_path / "no" / "such" / "folder")
    assert "it is not a Hub dataset id such as 'user/name'" in told("a/b/c")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = put(tmp_path, "d.csv", CSV)
    path.chmod(0)
    assert "cannot be read: Permission denied" in told(path)


def test_all_mistakes_of_the_labels_are_told_at_once(tmp_path):
    put(tmp_path, "train.csv", CSV.replace(",b", ",a"))
    put(tmp_path, "test.csv", CSV.replace(",b", ",c"))
    message = told(tmp_path)
    assert "one class only in train (a)" in message and "test has labels in 'label' that train has not: c" in message


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
