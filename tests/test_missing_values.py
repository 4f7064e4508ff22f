"""NaN where a text is missing, numbers that are too long, a file that is cut short, numbers with commas."""

import json
import re

import pytest
from bad_data import GOOD, put, told, use


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("column", ["text", "label"])
def test_nan_is_a_missing_text_and_not_another_type(tmp_path, column):
    rows = [{**row, column: float("nan")} if i in (3, 7) else row for i, row in enumerate(GOOD)]
    path = put(tmp_path, "d.jsonl", jsonl(rows))
    message = told(path)
    numbers = {
        int(number) for many in re.findall(r"lines? ([\d, ]+) of d.jsonl", message) for number in many.split(",")
    }
    assert numbers == {4, 8} and "--skip_bad_rows" in message and "mixes" not in message
    data, _ = use(path, skip_bad_rows=True)
    assert sum(map(len, data.values())) == 38


def test_nan_among_numbers_is_no_number_to_predict(tmp_path):
    rows = [{"text": f"text {i}", "label": float("nan") if i == 3 else i / 8} for i in range(40)]
    path = put(tmp_path, "d.jsonl", jsonl(rows))
    assert "1 labels in 'label' that are null, NaN or infinite (line 4 of d.jsonl)" in told(path)


def test_numbers_over_64_bits_in_json_are_named(tmp_path):
    rows = [{**row, "label": 2**70 + i % 2} for i, row in enumerate(GOOD)]
    expected = f"column 'label' holds whole numbers of more than 64 bits ({2**70}): write them as text"
    assert expected in told(put(tmp_path, "d.jsonl", rows))


def test_a_file_of_json_that_is_cut_short_says_where(tmp_path):
    assert "line 1 is not JSON" in (message := told(put(tmp_path, "d.json", json.dumps(GOOD)[:-1])))
    assert "at column" in message and "where the file ends: it is cut short" in message
    broken = told(put(tmp_path, "e.json", json.dumps(GOOD, indent=1).replace('"text 3"', "text 3")))
    assert "line 15 is not JSON" in broken and "cut short" not in broken


@pytest.mark.parametrize(
    ("labels", "cure"), [(["1,000", "12,500"], "write thousands without commas"), (["1,5", "2,25"], "write a point")]
)
def test_numbers_with_commas_have_their_own_cure(tmp_path, labels, cure):
    rows = "".join(f'text {i},"{labels[i % 2]}"\n' for i in range(24))
    assert cure in told(put(tmp_path, "d.csv", "text,label\n" + rows), kind="regression")


def test_blanks_around_the_name_of_a_numbered_class_are_none_of_it(tmp_path):
    rows = "".join(f"text {i},{i % 2},{('no', 'yes')[i % 2]}{' ' * (i % 3)}\n" for i in range(24))
    path = put(tmp_path, "d.csv", "text,label,name\n" + rows)
    assert use(path, label_names="name")[1].names == ("no", "yes")
