"""csv and tsv as they are found: Excel's, pandas', hand-written; read, or refused with the line of the file."""

import pytest
from bad_data import CSV, put, told
from cases import case

from hf_attn.tasks.targets.labels import load_splits


def columns(source, **kwargs):
    """All rows of a file, as columns."""
    splits = load_splits(str(source), **kwargs)
    return {name: [v for split in splits.values() for v in split[name][:]] for name in splits["train"].column_names}


def test_a_first_line_names_the_delimiter(tmp_path):
    for mark in ";,|\t":
        found = columns(put(tmp_path, "d.csv", f"sep={mark}\r\n" + CSV.replace(",", mark)))
        assert set(found) == {"text", "label"} and set(found["label"]) == {"a", "b"}


@pytest.mark.parametrize("name", ["sep.csv", "sepc.csv"])
def test_each_case_of_excel_is_read(name):
    found = columns(case("text/01_excel") / name)
    assert len(found["text"]) == 40 and set(found["label"]) == {"neg", "pos"}


@pytest.mark.parametrize("delimiter, mark", [(";", ";"), ("|", "|"), ("tab", "\t"), ("\\t", "\t"), ("semicolon", ";")])
def test_the_delimiter_may_be_named(tmp_path, delimiter, mark):
    found = columns(put(tmp_path, "d.csv", CSV.replace(",", mark)), delimiter=delimiter)
    assert set(found["text"]) == {"one", "two"}
    found = columns(put(tmp_path, "d.txt", CSV.replace(",", mark)), delimiter=delimiter)
    assert set(found["text"]) == {"one", "two"}


def test_another_delimiter_is_told_with_the_option():
    assert "--delimiter ';'" in told(case("text/01_excel") / "a.csv")


def test_an_impossible_delimiter_is_refused(tmp_path):
    assert "delimiter ';;': expected one character" in told(put(tmp_path, "d.csv", CSV), delimiter=";;")


@pytest.mark.parametrize(
    "name, names", [("spam.csv", ["v1", "v2"]), ("extra.csv", ["text", "label"]), ("idx.csv", ["text", "label"])]
)
def test_columns_without_name_and_value_are_left_out(name, names):
    assert list(columns(case("text/02_spam") / name)) == names


def test_a_column_without_name_that_holds_values_is_kept_and_told(tmp_path, caplog):
    rows = "".join(f"a,some text {i},{'more' if i == 3 else ''},\n" for i in range(20))
    found = columns(put(tmp_path, "d.csv", "v1,v2,,\n" + rows))
    assert list(found) == ["v1", "v2", "Unnamed: 2"] and sorted(found["Unnamed: 2"])[-1] == "more"
    assert "columns without a name: they are called 'Unnamed: 2' (1 values)" in caplog.text


def test_blanks_after_the_delimiter_are_no_part_of_names_and_quotes(tmp_path):
    found = columns(put(tmp_path, "d.csv", "text, label\n" + '"well, one", a\n"so, two", b\n' * 10))
    assert set(found) == {"text", "label"} and set(found["text"]) == {"well, one", "so, two"}
    found = columns(put(tmp_path, "d.csv", "label, text\n" + 'a, "well, one"\nb, "so, two"\n' * 10))
    assert set(found["text"]) == {"well, one", "so, two"}


def test_rows_without_any_value_are_left_out_and_counted(tmp_path, caplog):
    assert len(columns(put(tmp_path, "d.csv", CSV + ",\n ,\n"))["text"]) == 40
    assert "2 rows without any value are left out" in caplog.text


def test_blank_fields_beyond_the_header_are_no_fields(tmp_path):
    assert set(columns(put(tmp_path, "d.csv", CSV + "three,a,,\n"))["text"]) == {"one", "two", "three"}
    assert "line 42 has 4 fields" in told(put(tmp_path, "d.csv", CSV + "three,a,,x\n"))


@pytest.mark.parametrize("after", ["", '"fine, too",b\n', '"fine",b\n' * 3])
@pytest.mark.parametrize("line", [2, 7, 30])
def test_the_line_of_a_quote_that_is_not_closed_is_named(tmp_path, after, line):
    lines = CSV.splitlines(keepends=True)
    lines[line - 1] = '"left open,a\n'
    message = told(put(tmp_path, "d.csv", "".join(lines) + after))
    assert f"line {line} is not csv" in message and f"the quote that is opened in line {line}" in message


def test_lines_within_quotes_are_counted(tmp_path):
    content = "text,label\n" + '"one\n\nmore",a\n' * 3 + '"open,a\n' + "two,b\n" * 9
    assert "line 11 is not csv" in told(put(tmp_path, "d.csv", content))
    assert "line 11 has 3 fields" in told(put(tmp_path, "d.csv", content.replace('"open', "x,open")))


def test_the_case_of_the_open_quote_names_its_line():
    assert "line 7 is not csv" in told(case("text/12_quotes") / "a.csv")


@pytest.mark.parametrize(
    "name, text",
    [
        ("cr.csv", "awful movie number 3 was terrible\rmore"),
        ("mac.csv", "bad movie number 0 was great"),
        ("crlf.csv", "bad movie number 0 was great\r\nsecond line"),
        ("in.csv", 'he said "no" bad movie number 0 was great'),
        ("bs.csv", 'he said "no" bad movie number 0 was great'),
        ("sq.csv", "well, bad movie number 0 was great"),
    ],
)
def test_each_case_of_quotes_and_line_ends_is_read(name, text):
    found = columns(case("text/12_quotes") / name)
    assert len(found["text"]) == 40 and text in found["text"] and set(found["label"]) == {"neg", "pos"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("kind, mark", [("csv", ","), ("tsv", "\t")])
def test_every_line_end_gives_the_same(tmp_path, end, kind, mark):
    content = CSV.replace(",", mark).replace("\n", end)
    found = columns(put(tmp_path, f"d.{kind}", content))
    assert sorted(found["text"]) == ["one"] * 20 + ["two"] * 20 and set(found["label"]) == {"a", "b"}


def test_an_apostrophe_at_the_start_of_a_text_quotes_nothing(tmp_path):
    found = columns(put(tmp_path, "d.csv", "text,label\n" + "'tis so,a\n'twas not,b\n" * 10))
    assert set(found["text"]) == {"'tis so", "'twas not"}


def test_a_file_without_header_is_told(tmp_path):
    message = told(put(tmp_path, "d.csv", CSV.split("\n", 1)[1]))
    assert "the file has no header, so add a first line with names" in message


@pytest.mark.parametrize(
    "name, cure", [("d.xlsx", "save the sheet as csv"), ("d.zip", "unpack it"), ("d.pkl", "run code")]
)
def test_what_is_not_read_is_told_with_what_to_do(tmp_path, name, cure):
    assert cure in told(put(tmp_path, name, CSV))


def test_a_field_longer_than_pythons_limit_is_read(tmp_path):
    assert max(map(len, columns(put(tmp_path, "d.csv", CSV + "x" * 200_000 + ",a\n"))["text"])) == 200_000
