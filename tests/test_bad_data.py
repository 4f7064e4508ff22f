"""Files and folders that cannot be read: each kind ends in one line that says what is wrong and what would be right."""

import os

import interpreter
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bad_data import CSV, GOOD, changed, put, told, use

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
        "column 'label' mixes str (line 1) and int (line 4): give each column values of one",
        {},
    ),
    "corrupt parquet": ("d.parquet", b"PAR1 this is no parquet PAR1", "is not a parquet file, or it is cut short", {}),
    "subset of a file": ("d.csv", CSV, "subset 'plain' given with the file", {"subset": "plain"}),
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


def parquet(folder, table, name="data.parquet"):
    pyarrow.parquet.write_table(table, folder / name)
    return folder / name


def test_the_good_rows_are_good(tmp_path):
    use(put(tmp_path, "good.jsonl", GOOD))


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


def test_a_hub_id_out_of_reach_says_what_works_offline():
    script = "from hf_attn.data import load_splits; load_splits('nobody/nothing')"
    run = interpreter.run(["-c", script], {**os.environ, "HF_HUB_OFFLINE": "1"})
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
