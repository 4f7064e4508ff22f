"""Any number of labels a row, as people write them: lists between blanks, commas or bars, columns of True and False."""

import pytest
from bad_data import put, told, use


def table(labels, n=24):
    return "text,label\n" + "".join(f'text {i},"{labels[i % len(labels)]}"\n' for i in range(n))


def columns(cells, n=24):
    return "text,a,b\n" + "".join(f"text {i},{cells[i % len(cells)]}\n" for i in range(n))


def encoded(data, text):
    rows = (row for name in ("train", "validation", "test") for row in data[name])
    return next(row["labels"] for row in rows if row["text"] == text)


@pytest.mark.parametrize(
    ("labels", "names", "first"),
    [
        (["7 1 2", "0", "7", "1 0"], ("0", "1", "2", "7"), [0, 1, 1, 1]),
        (["1,5", "2"], ("1", "2", "5"), [1, 0, 1]),
        (["3, 17", "4"], ("3", "4", "17"), [1, 0, 1]),
        (["joy;fear", "anger"], ("anger", "fear", "joy"), [0, 1, 1]),
        (["Rome, Italy|Oslo", "Bonn|Rome, Italy"], ("Bonn", "Oslo", "Rome, Italy"), [0, 1, 1]),
    ],
)
def test_lists_without_brackets_are_read_as_several_labels(tmp_path, labels, names, first):
    data, found = use(put(tmp_path, "d.csv", table(labels)), kind="multi")
    assert found.names == names and encoded(data, "text 0") == first


def test_numbers_between_blanks_are_no_classes(tmp_path):
    message = told(put(tmp_path, "d.csv", table(["7 1 2", "0", "7", "1 0"])))
    assert "holds lists written as text, such as '7 1 2': --problem multi reads them" in message


@pytest.mark.parametrize("labels", [["new york", "york"], ["3 stars", "4 stars"], ["2", "2 b"], ["2", "10"]])
def test_a_name_with_a_blank_is_one_class(tmp_path, labels):
    assert use(put(tmp_path, "d.csv", table(labels)))[1].names == tuple(labels)


def test_names_between_blanks_are_refused_with_the_cure(tmp_path):
    message = told(put(tmp_path, "d.csv", table(["haze primary", "clear"])), kind="multi")
    assert "no list of names" in message and "in a text, | separates them" in message


def test_a_blank_name_in_a_list_is_no_label(tmp_path):
    rows = [{"text": f"text {i}", "label": ["a", ""] if i == 5 else ["ab"[i % 2]]} for i in range(24)]
    assert "['a', ''] (line 6 of d.jsonl)" in told(put(tmp_path, "d.jsonl", rows))


@pytest.mark.parametrize(
    "yes, no", [("True", "False"), ("true", "false"), ("TRUE", "0"), ("1.0", "0.0"), ("1", "False")]
)
def test_columns_of_truth_are_several_labels(tmp_path, yes, no):
    data, found = use(put(tmp_path, "d.csv", columns([f"{yes},{no}", f"{no},{yes}"])), label=["a", "b"])
    assert found.kind == "multi" and [encoded(data, f"text {i}") for i in (0, 1)] == [[1, 0], [0, 1]]


def test_columns_of_truth_in_one_file_and_numbers_in_another(tmp_path):
    put(tmp_path, "train.csv", columns(["1,0", "0,1"]))
    put(tmp_path, "test.csv", columns(["True,False", "False,False"]).replace("text ", "other "))
    data, _ = use(tmp_path, label=["a", "b"])
    assert data["test"]["labels"][:2] == [[1, 0], [0, 0]]


def test_rows_of_minus_one_in_all_columns_are_left_out_and_counted(tmp_path, caplog):
    put(tmp_path, "train.csv", columns(["1,0", "0,1"]))
    put(tmp_path, "test.csv", columns(["1,0", "-1,-1", "0,1"], 9).replace("text ", "other "))
    assert "other than 0 and 1: -1, -1, -1" in (message := told(tmp_path, label=["a", "b"]))
    assert "--skip_bad_rows" in message
    data, _ = use(tmp_path, label=["a", "b"], skip_bad_rows=True)
    assert len(data["test"]) == 6 and "3 of 33 rows cannot be used and are left out: line 3 of test.csv" in caplog.text


def test_minus_one_in_some_columns_is_told_without_that_cure(tmp_path):
    message = told(put(tmp_path, "d.csv", columns(["1,0", "-1,1"])), label=["a", "b"], skip_bad_rows=True)
    assert "values in 'a' other than 0 and 1: -1" in message and "--skip_bad_rows" not in message
