"""Names of classes as people write them: blanks, near-equal names, lists as text, names for nothing."""

import unicodedata

import pytest
from bad_data import put, told, use
from cases import case

from hf_attn.data.lists_as_text import parsed
from hf_attn.data.near_names import alike
from hf_attn.tasks.targets.labels import encode_labels, load_splits


def file(tmp_path, labels, name="d.csv"):
    rows = "".join(f'text {i},"{label}"\n' for i, label in enumerate(labels))
    return put(tmp_path, name, "text,label\n" + rows)


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\u00a0", "\u3000", "\r"])
def test_blanks_around_a_name_are_none_of_it(tmp_path, blank):
    labels = [f"neg{blank}", "neg", f"{blank}pos", "pos"] * 5
    data, found = use(file(tmp_path, labels))
    assert found.names == ("neg", "pos") and sum(found.counts) == len(data["train"])


def test_one_row_with_a_blank_is_no_class_of_one_example(tmp_path):
    assert use(file(tmp_path, ["neg", "pos"] * 10 + ["neg "]))[1].names == ("neg", "pos")


@pytest.mark.parametrize("name", ["a.csv", "sp.csv"])
def test_each_case_of_blanks_has_two_classes(name):
    assert use(case("text/04_blanks") / name)[1].names == ("neg", "pos")


NEAR = {
    "case": ("Neg", "neg"),
    "accents": (unicodedata.normalize("NFC", "müde"), unicodedata.normalize("NFD", "müde")),
    "non-breaking space": ("very good", "very\u00a0good"),
    "two blanks": ("very good", "very  good"),
    "zero width": ("good", "go\u200bod"),
    "full width": ("good", "ｇｏｏｄ"),
    "last point": ("good", "good."),
    "hyphen": ("not-good", "not good"),
    "zeros": ("1a", "1A"),
    "padded": ("01", "1"),
    "apostrophe": ("don't", "don’t"),
}


@pytest.mark.parametrize("kind", NEAR)
def test_names_that_are_nearly_alike_are_told_and_stay_two(tmp_path, kind, caplog):
    one, other = NEAR[kind]
    _, found = use(file(tmp_path, [one, other, "quite different"] * 10))
    assert found.num_labels == 3
    assert [message for message in caplog.messages if "nearly alike" in message and " rows) and " in message]


@pytest.mark.parametrize("names", [("1", "2"), ("1", "10"), ("pos", "neg"), ("a-b", "a+b"), ("-1", "1"), ("C", "C++")])
def test_names_that_differ_are_not_told(names):
    assert not alike(dict.fromkeys(names, 1))


def test_the_case_of_near_names_is_told_with_its_rows(caplog):
    use(case("text/04_blanks") / "cs.csv")
    assert "'Neg' (" in caplog.text and "and 'neg' (" in caplog.text


def test_a_label_of_test_that_train_writes_otherwise_is_told(tmp_path):
    file(tmp_path, ["neg", "pos"] * 10, "train.csv")
    file(tmp_path, ["neg", "pos"] * 3 + ["Pos"], "test.csv")
    message = told(tmp_path)
    assert "train has not: 'Pos' (line 8 of test.csv); write 'Pos' as 'pos' if they mean the same" in message


LISTS = {
    "python": ("['joy', 'anger']", "['joy']", "[]"),
    "json": ('[""joy"", ""anger""]', '[""joy""]', "[]"),
    "numpy": ("['joy' 'anger']", "['joy']", "[]"),
    "tuple": ("('joy', 'anger')", "('joy',)", "[]"),
    "set": ("{'joy', 'anger'}", "{'joy'}", "set()"),
    "pandas": ("[joy, anger]", "[joy]", "[]"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_written_as_text_are_refused_or_multi_label(tmp_path, kind):
    path = file(tmp_path, LISTS[kind] * 10)
    for given in (None, "single"):
        message = told(path, kind=given)
        assert "holds lists written as text, such as" in message and "--problem multi reads them" in message
    data, found = use(path, kind="multi")
    assert found.names == ("anger", "joy")
    rows = {tuple(row) for split in data.values() for row in split["labels"]}
    assert rows == {(1.0, 1.0), (0.0, 1.0), (0.0, 0.0)}


@pytest.mark.parametrize("mark", ["|", ";", ","])
def test_labels_between_separators_are_refused_or_multi_label(tmp_path, mark):
    path = file(tmp_path, [f"joy{mark}anger", "joy", f"anger{mark} fear"] * 10)
    assert f"such as 'joy{mark}anger': --problem multi reads them; if '{mark}' is part of a name" in told(path)
    data, found = use(path, kind="multi")
    assert found.names == ("anger", "fear", "joy")
    assert {tuple(row) for row in data["train"]["labels"]} == {(1.0, 0.0, 1.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0)}
    assert use(path, kind="single")[1].num_labels == 3


@pytest.mark.parametrize("labels", [["Arts, culture", "Sport"], ["a;b", "c"], ["x|y", "z"], ["(good)", "[bad"]])
def test_signs_within_names_make_no_lists(tmp_path, labels):
    assert use(file(tmp_path, labels * 10))[1].names == tuple(sorted(labels))


def test_indicators_written_as_text_are_indicators():
    path = case("text/05_strlist") / "oh.csv"
    assert "--problem multi reads them" in told(path)
    data, found = use(path, kind="multi")
    assert found.names == ("0", "1", "2") and {tuple(row) for row in data["train"]["labels"]} == {(1, 0, 1), (0, 1, 0)}
    assert parsed(["[0 1 0]", "[1. 0. 1.]", "array([0, 1])"], "brackets") == [[0, 1, 0], [1, 0, 1], [0, 1]]


@pytest.mark.parametrize("name", ["a.csv", "pipe.csv"])
def test_each_case_of_lists_is_refused_or_multi_label(name):
    path = case("text/05_strlist") / name
    assert "--problem multi reads them" in told(path)
    assert use(path, kind="multi")[1].names == ("anger", "joy")


def test_no_code_in_a_list_is_run(tmp_path):
    path = file(tmp_path, ["[__import__('os').mkdir('/tmp/never')]", "['a']"] * 10)
    use(path, kind="multi")
    assert "--problem multi" in told(path)


def test_numbers_between_commas_are_numbers_of_labels(tmp_path):
    data, found = use(file(tmp_path, ["2,10", "2", "10"] * 10), kind="multi")
    assert found.names == ("2", "10")


@pytest.mark.parametrize("name", ["nan", "None", "N/A", "NA", "null"])
def test_a_class_that_may_mean_nothing_is_told(tmp_path, name, caplog):
    _, found = use(file(tmp_path, [name, "a", "b"] * 10))
    assert name in found.names and f"has the class {name!r}" in caplog.text


def test_minus_one_as_a_class_is_told(caplog):
    splits = load_splits(str(case("text/15_minus1") / "a.csv"), label="label")
    assert encode_labels(splits, "label")[1].names == ("-1", "0", "1")
    assert "'label' is -1 in" in caplog.text and "it is taken for a class like the others" in caplog.text


def test_names_in_messages_are_quoted(tmp_path):
    assert "one class only in train ('only one')" in told(file(tmp_path, ["only one"] * 30))
