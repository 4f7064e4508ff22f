"""A file read in pieces has the rows, the types and the numbers of lines that the whole file has."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from hf_attn.data import files, pieces
from hf_attn.data.origin import place_of
from hf_attn.errors import InputError


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "ROWS", 7)


def rows_of(split):
    return [{**row, "at": place_of(split, at)} for at, row in enumerate(split)]


def assert_same(path, **how):
    whole = files.read(path, **how)
    found = list(pieces.Pieces(path, **how))
    assert len(found) > 1
    assert [row for piece in found for row in rows_of(piece)] == rows_of(whole)
    assert all(piece.features == whole.features for piece in found)


def table():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["a", "b,", 'say "so"', "line\nbreak", "é", ""], 4)) + " x" for _ in range(40)]
    whole = random.integers(0, 9, 40)
    return pd.DataFrame({"text": texts, "id": whole, "late": [*map(str, whole[:39]), "0.5"], "odd": [*whole[:39], "x"]})


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_pieces_are_the_file_whatever_stands_in_its_fields(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    made = table()
    made.astype({"odd": str}).to_parquet(path) if ending == ".parquet" else made.to_csv(path, index=False)
    assert_same(path)


@pytest.mark.parametrize("encoding", [None, "utf-16", "cp1252"])
def test_pieces_are_the_file_in_any_encoding_and_with_any_line_ends(tmp_path, encoding):
    for end in ("\n", "\r\n"):
        path = tmp_path / f"{encoding}{len(end)}.csv"
        path.write_bytes(table().to_csv(index=False, lineterminator=end).encode(encoding or "utf-8-sig"))
        assert_same(path, encoding=encoding)


def test_pieces_of_json_lines_have_all_columns_and_the_type_of_the_whole(tmp_path):
    rows = [
        {"text": f"t {at}", "value": at if at % 3 else at / 2, **({"id": at} if at > 20 else {})} for at in range(40)
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in rows) + "\n")
    assert_same(path)


def test_a_named_delimiter_and_the_number_column_of_pandas(tmp_path):
    path = tmp_path / "a.csv"
    table().to_csv(path, sep=";")
    path.write_text("sep=;\n" + path.read_text())
    assert_same(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,id\n" + "a,1\n" * 20 + "b\n", "line 22 has 1 fields, the header has 2"),
        ("a.csv", "text,id\n" + "a,1\n" * 20 + '"b,1\n' + "a,1\n" * 20, "line 22 is not csv"),
        ("a.jsonl", '{"text": "a"}\n' * 20 + "{text}\n", "line 21 is not JSON"),
        ("a.jsonl", '{"text": "a"}\n' * 20 + "[1]\n", "line 21 is not an object"),
        ("a.jsonl", '{"text": "a"}\n' * 20 + '{"text": "\0"}\n', "NUL bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        list(pieces.Pieces(tmp_path / name))


def test_bytes_of_another_encoding_and_a_file_cut_short_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,id\n" + b"a,1\n" * 20 + b"\xe9,1\n")
    with pytest.raises(InputError, match="is not UTF-8 .*--encoding"):
        list(pieces.Pieces(path))
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"text": "a"}\n' * 1000)[:-20])
    with pytest.raises(InputError, match="cannot be read below line"):
        list(pieces.Pieces(packed))


def test_values_of_two_types_in_far_pieces_are_unusable_as_in_the_whole(tmp_path):
    from hf_attn.data.origin import unusable

    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": "a" if at < 30 else at}) + "\n" for at in range(40)))
    assert all("mixes" in unusable(piece, "text") for piece in pieces.Pieces(path))
    assert "mixes" in unusable(files.read(path), "text")
