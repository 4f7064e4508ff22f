"""Half a surrogate pair is no character: it ends no run at its last file, and takes no label or text in silence."""

import json
import logging

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from bad_data import put, told, use
from tiny_bert import TEXTS, save_tiny_bert

import hf_attn
from hf_attn import models
from hf_attn.cli.prediction_files import predict_to
from hf_attn.data.reading import without_surrogates
from hf_attn.errors import InputError
from hf_attn.explain import attended
from hf_attn.recipes import text_classification
from hf_attn.tasks.targets.labels import OneClass, load_splits

HALF = "\ud83d"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a\ud83db", "a\ufffdb"), ("\ude00", "\ufffd"), ("\ud83d\ude00", "\U0001f600"), ("é\U0001f600", "é\U0001f600")],
)
def test_pairs_become_their_character_and_halves_the_replacement(given, expected):
    assert without_surrogates([given, {given: 1}]) == [expected, {expected: 1}]


def class_label(path, feature):
    """A parquet file whose metadata names the classes, as ``datasets`` writes it."""
    label = {"names": [f"a{HALF}", "b"], "_type": "ClassLabel"}
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": feature(label)}
    values = [row % 2 if feature(label) is label else [row % 2] for row in range(40)]
    table = pyarrow.table({"text": [f"text {row}" for row in range(40)], "label": values})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize("feature", [lambda label: label, lambda label: {"feature": label, "_type": "List"}])
def test_a_name_of_a_label_that_no_file_holds_is_refused_before_anything_is_trained(tmp_path, feature):
    data, output = class_label(tmp_path / "d.parquet", feature), tmp_path / "run"
    argv = ["--model", str(save_tiny_bert(tmp_path / "m")), "--dataset", str(data), "--output_dir", str(output)]
    with pytest.raises(InputError, match=r"the label name 'a\\ud83d' holds half a surrogate pair") as caught:
        text_classification.main(argv)
    assert "\n" not in str(caught.value) and str(caught.value).isascii()
    assert not output.exists() or not any(path.name == "log.jsonl" for path in output.iterdir())


def test_labels_in_hand_are_held_to_it():
    with pytest.raises(InputError, match="rename it"):
        OneClass(("a", HALF))


@pytest.mark.parametrize(
    ("name", "content", "encoding"),
    [
        ("d.csv", b"text,label\n" + b"one,+2D0-\ntwo,b\n" * 20, "utf-7"),
        ("d.csv", b"text,label\n" + b"one,\\ud83d\ntwo,b\n" * 20, "unicode_escape"),
        ("d.jsonl", b'{"text": "one", "label": "+2D0-"}\n{"text": "two", "label": "b"}\n' * 20, "utf-7"),
        ("d.jsonl", b'{"text": "one", "label": "\\ud83d"}\n{"text": "two", "label": "b"}\n' * 20, None),
    ],
)
def test_halves_in_a_file_of_text_become_the_replacement_and_are_told(tmp_path, caplog, name, content, encoding):
    (tmp_path / name).write_bytes(content)
    splits, labels = use(tmp_path / name, encoding=encoding)
    assert labels.names == ("b", "\ufffd") and sum(map(len, splits.values())) == 40
    line = 2 if name == "d.csv" else 1
    assert "half a surrogate pair, which is no character" in caplog.text and f"in line {line}:" in caplog.text


def bad_bytes(rows, bad=b"caf\xe9"):
    """A column of strings, some of which are not UTF-8: pyarrow does not look unless it is asked."""
    values = [bad if row % 4 == 1 else b"fine %d" % row for row in range(rows)]
    ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
    buffers = [None, pyarrow.py_buffer(ends.tobytes()), pyarrow.py_buffer(b"".join(values))]
    return pyarrow.Array.from_buffers(pyarrow.string(), rows, buffers)


@pytest.mark.parametrize("column", ["text", "label", "other", "list"])
def test_bytes_of_a_parquet_file_that_are_no_text_are_named_where_they_matter(tmp_path, column):
    columns = {"text": [f"text {row}" for row in range(8)] * 5, "label": ["a", "b"] * 20}
    given = bad_bytes(40)
    if column == "list":
        given = pyarrow.ListArray.from_arrays(pyarrow.array(range(41), pyarrow.int32()), given)
    pyarrow.parquet.write_table(pyarrow.table(columns | {column: given}), tmp_path / "d.parquet")
    if column in ("text", "label"):
        message = told(tmp_path / "d.parquet")
        assert f"column '{column}' holds 10 values that are not UTF-8 (rows 1, 5, 9, 13, 17, … (10 in all)" in message
    else:
        assert sum(map(len, use(tmp_path / "d.parquet")[0].values())) == 40
        splits = load_splits(str(tmp_path / "d.parquet"), label="label")
        assert {"list": None, "other": "caf\ufffd"}[column] in splits["train"][column][:]


def test_a_text_in_hand_loses_its_half_and_the_reader_is_told(tmp_path, caplog):
    run = save_tiny_bert(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        found = hf_attn.predict(run, ["so", f"a{HALF}"])
    assert found == hf_attn.predict(run, ["so", "a\ufffd"])
    assert "1 texts hold half a surrogate pair, which is no character, the first at 1" in caplog.text
    pairs = hf_attn.predict(run, TEXTS, text_pair=[HALF] * len(TEXTS))
    assert pairs == hf_attn.predict(run, TEXTS, text_pair=["\ufffd"] * len(TEXTS))
    model = models.load(str(run))
    assert attended.attend(model, models.load_tokenizer(run), f"my {HALF} card").tokens


@pytest.mark.parametrize("output", ["o.jsonl", "o.parquet"])
def test_predictions_are_written_whatever_the_names_of_classes_and_the_argument_hold(tmp_path, caplog, output):
    run = save_tiny_bert(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["id2label"]["0"] = f"a{HALF}"
    (run / "config.json").write_text(json.dumps(config))
    predict_to(str(run), ["caf\udce9"], output=str(tmp_path / output))
    if output.endswith("jsonl"):
        (row,) = map(json.loads, (tmp_path / output).read_text("utf-8").splitlines())
    else:
        (row,) = pyarrow.parquet.read_table(tmp_path / output).to_pylist()
    assert row["text"] == "caf\ufffd" and "a\ufffd" in dict(row["probabilities"])
    assert "1 label names hold half a surrogate pair" in caplog.text
    config["id2label"]["1"] = f"a{HALF}"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="several classes named"):
        predict_to(str(run), ["a"])


def test_a_csv_of_fine_characters_is_untouched(tmp_path, caplog):
    put(tmp_path, "d.csv", "text,label\n" + "\U0001f600 é,a\nб 日本,b\n" * 20)
    splits, _ = use(tmp_path / "d.csv")
    assert set(splits["train"]["text"]) == {"\U0001f600 é", "б 日本"} and "surrogate" not in caplog.text
