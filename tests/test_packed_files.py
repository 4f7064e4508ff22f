"""Packed files, JSON in its forms, Arrow's types: read as what they hold, or refused in one line."""

import bz2
import gzip
import json
import lzma
from decimal import Decimal

import pyarrow
import pyarrow.parquet
import pytest
from bad_data import CSV, GOOD, changed, put, told
from cases import case
from test_delimited import columns

from hf_attn.data import fingerprint
from hf_attn.tasks.targets.labels import encode_labels, load_splits

PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pyarrow.compress(data, codec="zstd", asbytes=True),
}
LINES = "".join(json.dumps(row) + "\n" for row in GOOD)


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize(("name", "content"), [("d.csv", CSV), ("d.jsonl", LINES), ("d.json", json.dumps(GOOD))])
def test_a_packed_file_gives_what_the_plain_one_does(tmp_path, packed, name, content):
    plain = load_splits(str(put(tmp_path, name, content)))
    other = load_splits(str(put(tmp_path, name + packed, PACK[packed](content.encode()))))
    assert fingerprint(plain) == fingerprint(other)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.ndjson", "a.arrow", "folder"])
def test_each_case_of_packed_files_is_read(name):
    found = columns(case("text/07_gz") / name)
    assert len(found["text"]) in (40, 80) and set(found["label"]) == {"neg", "pos"}


@pytest.mark.parametrize("packed", PACK)
def test_a_packed_file_that_is_cut_short_or_none_is_refused(tmp_path, packed):
    data = PACK[packed]((CSV * 50).encode())
    for content in (data[: len(data) // 2], b"text,label\none,a\n"):
        message = told(put(tmp_path, "d.csv" + packed, content))
        assert f"does not unpack as {packed}" in message or "is not UTF-8" in message or "has no rows" in message


def test_what_unpacks_to_absurdly_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_attn.data.contents.LEAST_BOMB", 1000)
    assert "unpacks to more than" in told(
        put(tmp_path, "d.csv.gz", gzip.compress(b"text,label\n" + b"one,a\n" * 100_000))
    )


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_and_streams_are_read(tmp_path, stream):
    table = pyarrow.Table.from_pylist(GOOD)
    make = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with make(str(tmp_path / "d.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert sorted(columns(tmp_path / "d.arrow")["text"]) == sorted(row["text"] for row in GOOD)
    put(tmp_path, "e.arrow", b"ARROW1 is this not")
    assert "is not an Arrow file or stream" in told(tmp_path / "e.arrow")


FRAME = {"text": [row["text"] for row in GOOD], "label": [row["label"] for row in GOOD]}
BY_ROW = {str(i): row for i, row in enumerate(GOOD)}
FORMS = {
    "records": GOOD,
    "list": FRAME,
    "columns": {name: {str(i): value for i, value in enumerate(values)} for name, values in FRAME.items()},
    "index": BY_ROW,
    "index of names": {f"row {i}": row for i, row in enumerate(GOOD)},
    "split": {"columns": ["text", "label"], "index": list(range(40)), "data": [list(row.values()) for row in GOOD]},
    "table": {"schema": {"fields": []}, "data": GOOD},
    "rows beside a version": {"version": 1, "rows": GOOD},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_orientation_of_pandas_gives_the_same_rows(tmp_path, form):
    expected = fingerprint(load_splits(str(put(tmp_path, "r.jsonl", GOOD))))
    assert fingerprint(load_splits(str(put(tmp_path, "d.json", json.dumps(FORMS[form]))))) == expected


def test_an_object_of_splits_is_read_split_by_split(tmp_path):
    splits = load_splits(str(put(tmp_path, "d.json", json.dumps({"train": GOOD, "val": GOOD[:4], "test": GOOD[:6]}))))
    assert [len(split) for split in splits.values()] == [40, 4, 6]


def test_lists_without_names_are_refused(tmp_path):
    assert "expected a list of objects" in told(put(tmp_path, "d.json", json.dumps([["a", 1], ["b", 0]])))


@pytest.mark.parametrize(
    "name", ["bi.jsonl", "cc.json", "es.jsonl", "mf.jsonl", "mm.jsonl", "mn.jsonl", "n.json", "pc.json"]
)
def test_columns_that_nobody_asked_for_do_not_matter(name):
    splits = load_splits(str(case("text/14_json") / name), label="label")
    data, labels = encode_labels(splits, "label")
    assert labels.names == ("neg", "pos") and sum(map(len, splits.values())) == 40 and len(fingerprint(data)) == 64


@pytest.mark.parametrize(("name", "rows"), [("ps.json", 40), ("s.json", 80)])
def test_a_frame_as_split_and_an_object_of_splits_are_read(name, rows):
    assert len(columns(case("text/14_json") / name)["text"]) == rows


def test_a_label_of_several_types_is_refused_with_its_lines():
    assert "column 'label' mixes str (line 1) and int (line 2)" in told(case("text/14_json") / "mx.jsonl")


def test_nested_columns_are_told():
    assert "they hold objects and lists" in told(case("text/14_json") / "ls.json")
    assert "'text' is inside the objects of 'data'" in told(case("text/06_parquet") / "st.parquet")


def test_a_mixed_text_column_is_refused_with_its_lines(tmp_path):
    message = told(put(tmp_path, "d.jsonl", changed(4, text=7)))
    assert "column 'text' mixes str (line 1) and int (line 5)" in message


@pytest.mark.parametrize("column", ["text", "label", "other"])
def test_half_a_surrogate_pair_becomes_the_replacement_character_and_is_told(tmp_path, caplog, column):
    rows = "".join(json.dumps(row) + "\n" for row in changed(other=lambda i: "x"))
    lines = rows.splitlines(keepends=True)
    lines[4] = json.dumps({"text": "a", "label": "a", "other": "x", column: "a\ud83d"}) + "\n"
    found = columns(put(tmp_path, "d.jsonl", "".join(lines)))
    assert "a\ufffd" in found[column] and "stands in 1 rows, the first in line 5" in caplog.text


def test_whole_pairs_are_characters(tmp_path, caplog):
    found = columns(
        put(tmp_path, "d.jsonl", "".join(json.dumps({"text": "\U0001f600", "label": i}) + "\n" for i in [0, 1] * 9))
    )
    assert set(found["text"]) == {"\U0001f600"} and "surrogate" not in caplog.text


TYPES = {
    "string_view": (pyarrow.string_view(), ["a", "b"]),
    "large_string": (pyarrow.large_string(), ["a", "b"]),
    "dictionary": (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["a", "b"]),
    "decimal": (pyarrow.decimal128(5, 0), [Decimal(3), Decimal(7)]),
    "decimal with places": (pyarrow.decimal128(5, 2), [Decimal("1.00"), Decimal("2.00")]),
    "uint8": (pyarrow.uint8(), [0, 1]),
    "float16": (pyarrow.float16(), [0.0, 1.0]),
    "bool": (pyarrow.bool_(), [False, True]),
}


@pytest.mark.parametrize("kind", TYPES)
def test_a_label_of_any_plain_type_is_two_classes(tmp_path, kind):
    data_type, values = TYPES[kind]
    label = pyarrow.array(values * 20, data_type)
    text = pyarrow.array([f"text {i}" for i in range(40)], pyarrow.string_view())
    pyarrow.parquet.write_table(pyarrow.table({"text": text, "label": label}), tmp_path / "d.parquet")
    splits, labels = encode_labels(load_splits(str(tmp_path / "d.parquet"), label="label"), "label")
    expected = [str(int(value)) if isinstance(value, Decimal | float) else str(value) for value in values]
    assert labels.names == tuple(expected) and sum(labels.counts) == 32
    assert splits["train"].features["text"].dtype == "string"


ODD = {
    "month_day_nano_interval": pyarrow.month_day_nano_interval(),
    "map": pyarrow.map_(pyarrow.string(), pyarrow.int32()),
    "list of maps": pyarrow.list_(pyarrow.map_(pyarrow.string(), pyarrow.int32())),
    "time64": pyarrow.time64("ns"),
    "timestamp": pyarrow.timestamp("ns", tz="UTC"),
    "duration": pyarrow.duration("ns"),
    "decimal256": pyarrow.decimal256(60, 3),
    "binary_view": pyarrow.binary_view(),
    "null": pyarrow.null(),
    "empty struct": pyarrow.struct([]),
    "struct of views": pyarrow.struct([("a", pyarrow.string_view())]),
    "fixed_size_list": pyarrow.list_(pyarrow.string_view(), 2),
    "uuid": pyarrow.uuid(),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_unused_column_of_any_type_does_not_matter(tmp_path, kind):
    table = pyarrow.Table.from_pylist(GOOD).append_column("odd", pyarrow.nulls(40, ODD[kind]))
    with pyarrow.ipc.new_file(str(tmp_path / "d.arrow"), table.schema) as writer:
        writer.write_table(table)
    splits, labels = encode_labels(load_splits(str(tmp_path / "d.arrow"), label="label"), "label")
    assert labels.names == ("a", "b") and len(fingerprint(splits)) == 64


def test_an_unused_column_of_list_views_is_kept_as_lists(tmp_path):
    odd = pyarrow.array([[i, 1] for i in range(40)], pyarrow.list_view(pyarrow.int32()))
    table = pyarrow.Table.from_pylist(GOOD).append_column("odd", odd)
    with pyarrow.ipc.new_file(str(tmp_path / "d.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert sorted(columns(tmp_path / "d.arrow")["odd"]) == [[i, 1] for i in range(40)]


@pytest.mark.parametrize(
    "name", ["sv", "ls", "cat", "cato", "cattext", "dec", "date", "los", "polars138", "polars138_int", "u8"]
)
def test_each_case_of_parquet_is_read(name):
    data, labels = encode_labels(load_splits(str(case("text/06_parquet") / f"{name}.parquet"), label="label"), "label")
    assert labels.kind == "single" and labels.num_labels == 2 and len(fingerprint(data)) == 64
    assert data["train"].features["text"].dtype in ("string", "large_string")


def test_bytes_as_text_are_named():
    assert "is not text but binary" in told(case("text/06_parquet") / "bin.parquet")


def test_lists_of_views_are_multi_label():
    path = str(case("text/06_parquet") / "polars138_multi.parquet")
    assert encode_labels(load_splits(path, label="label"), "label")[1].names == ("a", "b")
