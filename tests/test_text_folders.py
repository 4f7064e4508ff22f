"""Texts in files of their own, in folders of their classes."""

import pytest
from bad_data import put, told, use
from cases import case


def folder(root, rows=20, classes=("neg", "pos"), **more):
    for split in ("train", "test"):
        for i in range(rows):
            put(root, f"{split}/{classes[i % len(classes)]}/{i:02}.txt", f"{split} text {i}\nof two lines")
    for name, content in more.items():
        put(root, name, content)
    return root


def test_the_case_of_class_folders_is_read():
    data, labels = use(case("text/18_textfolder") / "imdb")
    assert labels.names == ("neg", "pos") and [len(split) for split in data.values()] == [18, 2, 20]


def test_each_file_is_one_text_of_its_folders_class(tmp_path):
    data, labels = use(folder(tmp_path))
    assert set(zip(data["test"]["text"], data["test"]["labels"], strict=True)) == {
        (f"test text {i}\nof two lines", i % 2) for i in range(20)
    }
    assert labels.names == ("neg", "pos") and [len(split) for split in data.values()] == [18, 2, 20]


def test_classes_alone_are_cut(tmp_path):
    for i in range(30):
        put(tmp_path, f"{'abc'[i % 3]}/{i}.txt", f"text {i}")
    assert [len(split) for split in use(tmp_path)[0].values()] == [24, 3, 3]


def test_what_stands_beside_the_classes_is_left_out_and_told(tmp_path, caplog):
    folder(tmp_path, **{"README": "x", "imdb.vocab": "y", "train/urls_pos.txt": "http://", "train/unsup/0.txt": "z"})
    data, labels = use(tmp_path)
    assert labels.names == ("neg", "pos") and sum(map(len, data.values())) == 40
    assert "holds 1 texts outside of class folders (train/urls_pos.txt): they are left out" in caplog.text
    assert "unsup left out, which names no class" in caplog.text


def test_a_bad_text_is_named_by_its_file(tmp_path):
    put(folder(tmp_path), "train/neg/00.txt", " \n")
    assert "1 empty text (train/neg/00.txt)" in told(tmp_path)
    assert sum(map(len, use(tmp_path, skip_bad_rows=True)[0].values())) == 39


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_told_and_read(tmp_path, encoding):
    for split in ("train", "test"):
        for i in range(20):
            put(tmp_path, f"{split}/{'ab'[i % 2]}/{i}.txt", f"{split} it’s {i}".encode(encoding))
    assert f"--encoding {encoding}" in told(tmp_path)
    assert "test it’s 3" in use(tmp_path, encoding=encoding)[0]["test"]["text"]
