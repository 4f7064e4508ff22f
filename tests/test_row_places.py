"""Messages name the rows of the user's file, whatever was cut, shuffled or left out; and rows are left out if asked."""

import json
import re

import pytest
from bad_data import CSV, GOOD, changed, put, told, use
from cases import case
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_attn.data import limit
from hf_attn.tasks.targets.labels import encode_labels, load_splits

LINES = CSV.splitlines(keepends=True)


def spoiled(line, text, lines=LINES):
    return "".join([*lines[: line - 1], text, *lines[line:]])


@pytest.mark.parametrize("line", [2, 9, 23, 41])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("what", ["text", "label"])
def test_a_bad_row_is_named_by_the_line_of_its_file(tmp_path, line, kind, what):
    if kind == "jsonl":
        line -= 1
        content = changed(line - 1, **{what: ""})
    else:
        content = spoiled(line, " ,a\n" if what == "text" else "three,\n").replace(",", "\t" if kind == "tsv" else ",")
    assert f"(line {line} of d.{kind})" in told(put(tmp_path, f"d.{kind}", content))


def test_lines_within_quoted_texts_are_counted(tmp_path):
    long = '"a text\nof three\nlines",a\n'
    content = "".join([LINES[0], long, long, LINES[1], LINES[2], "\n", " ,b\n", *LINES[1:]])
    assert "1 empty text (line 11 of d.csv)" in told(put(tmp_path, "d.csv", content))


def test_a_first_line_that_names_the_delimiter_is_counted(tmp_path):
    assert "(line 10 of d.csv)" in told(put(tmp_path, "d.csv", "sep=,\n" + spoiled(9, ",a\n")))


def test_rows_of_json_and_parquet_are_counted_from_0(tmp_path):
    rows = changed(7, text=None)
    assert "(row 7 of d.json, from 0)" in told(put(tmp_path, "d.json", json.dumps(rows)))
    Dataset.from_list(rows).to_parquet(tmp_path / "d.parquet")
    assert "(row 7 of d.parquet, from 0)" in told(tmp_path / "d.parquet")


def test_each_file_of_several_is_named(tmp_path):
    put(tmp_path, "train-00000-of-00002.csv", CSV)
    put(tmp_path, "train-00001-of-00002.csv", spoiled(5, ",a\n"))
    put(tmp_path, "dev.csv", spoiled(9, ",a\n"))
    put(tmp_path, "test.csv", CSV)
    message = told(tmp_path)
    assert "(line 5 of train-00001-of-00002.csv)" in message and "(line 9 of dev.csv)" in message


def test_a_class_of_one_example_and_an_unknown_label_are_named(tmp_path):
    assert "'rare' (line 42 of d.csv)" in told(put(tmp_path, "d.csv", CSV + "x,rare\n"))
    put(tmp_path / "f", "train.csv", CSV)
    put(tmp_path / "f", "test.csv", spoiled(17, "x,c\n"))
    assert "train has not: 'c' (line 17 of test.csv)" in told(tmp_path / "f")


@pytest.mark.parametrize("kind", ["regression", "multi", "columns"])
def test_labels_of_each_kind_name_their_line(tmp_path, kind):
    values = {"regression": ("0.5", ""), "multi": ("['a', 'b']", ""), "columns": ("1,0", "1,")}[kind]
    header = "text,x,y\n" if kind == "columns" else "text,label\n"
    cells = [values[1] if i == 7 else values[0] if i % 2 else values[0].replace("5", "7") for i in range(30)]
    if kind == "multi":
        cells = [f'"{cell}"' if cell else "" for cell in cells]
    path = put(tmp_path, "d.csv", header + "".join(f"t{i},{cell}\n" for i, cell in enumerate(cells)))
    label = ["x", "y"] if kind == "columns" else "label"
    assert "(line 9 of d.csv)" in told(path, label=label, kind="multi" if kind == "columns" else kind)


def test_rows_of_a_saved_dataset_are_those_of_its_split(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    labels = [-1 if i in (3, 31) else i % 2 for i in range(40)]
    train = Dataset.from_dict({"text": [f"t{i}" for i in range(40)], "label": labels}, features)
    DatasetDict({"train": train}).save_to_disk(tmp_path / "saved")
    rows = re.findall(r"rows? ([\d, ]+) of train, from 0", told(tmp_path / "saved"))
    assert sorted(int(row) for some in rows for row in some.split(",")) == [3, 31]


def test_limits_and_encoded_labels_keep_the_place(tmp_path):
    splits = load_splits(str(put(tmp_path, "d.csv", CSV)), label="label")
    data = limit(encode_labels(splits, "label")[0], 10, seed=3)
    from hf_attn.data.origin import where

    lines = [int(re.fullmatch(r"line (\d+) of d.csv", where(data["train"], [row]))[1]) for row in range(10)]
    assert [LINES[line - 1].split(",")[0] for line in lines] == data["train"]["text"][:]


@pytest.mark.parametrize(
    ("name", "lines", "first", "count"),
    [("a.csv", "line 9", 9, 1), ("p.csv", "line 9", 9, 1), ("ul.csv", "lines 2, 11, 20, 29, 38", 2, 5)],
)
def test_each_case_of_blank_rows_is_named_or_left_out(name, lines, first, count, caplog):
    path, columns = case("text/11_blank_text") / name, {}
    if name == "p.csv":
        columns = {"text": "q1", "text_pair": "q2"}
    message = told(path, **columns)
    assert f"({lines} of {name})" in message and "--skip_bad_rows" in message
    data, _ = use(path, skip_bad_rows=True, **columns)
    assert sum(map(len, data.values())) == 40 - count
    assert f"{count} of 40 rows cannot be used and are left out: line {first} of {name}" in caplog.text


def test_the_case_of_the_rare_class_leads_to_its_line():
    assert "'rare' (line 42 of rare.csv)" in told(case("text/11_blank_text") / "rare.csv")


def test_rows_without_label_of_a_class_label_are_left_out_if_asked(caplog):
    path, columns = case("text/15_minus1") / "snli", {"text": "premise", "text_pair": "hypothesis"}
    assert "rows without a label" in told(path, **columns)
    data, labels = use(path, skip_bad_rows=True, **columns)
    assert labels.names == ("entailment", "neutral", "contradiction") and sum(map(len, data.values())) == 75
    assert "5 of 80 rows cannot be used and are left out" in caplog.text


def test_a_blank_cell_of_several_columns_is_left_out_if_asked():
    path, label = case("text/17_kaggle") / "multi.csv", ["toxic", "insult"]
    assert "None (line 5 of multi.csv): fill them, or --skip_bad_rows" in told(path, label=label)
    data, _ = use(path, label=label, skip_bad_rows=True)
    assert sum(map(len, data.values())) == 39


def test_two_columns_of_numbers_are_told_to_be_no_labels():
    path = case("text/17_kaggle") / "two_numbers.csv"
    assert "numbers to predict are a regression, of one column" in told(path, label=["valence", "arousal"])


def test_rows_are_left_out_before_the_cuts(tmp_path):
    rows = [{**row, "label": None if i % 4 == 0 else row["label"]} for i, row in enumerate(GOOD * 2)]
    data, labels = use(put(tmp_path, "d.jsonl", rows), skip_bad_rows=True)
    assert [len(split) for split in data.values()] == [48, 6, 6] and sum(labels.counts) == 48


def test_a_file_of_bad_rows_alone_is_refused(tmp_path):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, "test.csv", "text,label\n" + " ,a\n" * 5)
    assert "no row of test can be used: line 2 of test.csv: no text in 'text'" in told(tmp_path, skip_bad_rows=True)
