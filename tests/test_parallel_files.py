"""Parallel texts: a file a language, or columns inside of objects; lines that do not pair are refused."""

import gzip
import json

import pytest

from hf_attn.data.sources import load_splits
from hf_attn.errors import InputError

EN, DE = ["A dog.", "Two men.", "A cat."], ["Ein Hund.", "Zwei Männer.", "Eine Katze."]


def save(folder, name, lines, end="\n"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes((end.join(lines) + end).encode())


def load(folder, **more):
    return load_splits(str(folder), text=("en", "de"), label="de", inside=True, **more)


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "valid", "test"):
        save(tmp_path, f"{split}.en", EN)
        save(tmp_path, f"{split}.de", DE)
    return tmp_path


def test_files_of_lines_are_columns(folder):
    splits = load(folder)
    assert list(splits) == ["train", "validation", "test"]
    assert splits["train"]["en"][:] == EN and splits["train"]["de"][:] == DE


@pytest.mark.parametrize("name", ["train.en-de.{}", "train-1.{}", "train_all.tok.{}"])
def test_names_of_corpora_are_known(folder, name):
    for column in ("en", "de"):
        (folder / f"train.{column}").rename(folder / name.format(column))
    assert load(folder)["train"]["de"][:] == DE


def test_packed_files_and_windows_ends_of_lines_are_read(folder):
    (folder / "train.en").unlink()
    with gzip.open(folder / "train.en.gz", "wb") as file:
        file.write("\r\n".join(EN).encode())
    assert load(folder)["train"]["en"][:] == EN


@pytest.mark.parametrize("odd", ["\u2028", "\x0b", "\x0c", "\x85", "\x1c"])
def test_only_a_line_feed_ends_a_line(folder, odd):
    lines = [EN[0], f"Two{odd}men.", EN[2]]
    save(folder, "train.en", lines)
    assert load(folder)["train"]["en"][:] == lines


def test_unequal_numbers_of_lines_are_refused(folder):
    save(folder, "train.de", DE[:2])
    with pytest.raises(InputError, match="train.en has 3 lines, train.de has 2 lines: line N of one must be line N of"):
        load(folder)


def test_a_split_with_one_of_two_files_is_refused(folder):
    (folder / "valid.de").unlink()
    with pytest.raises(InputError, match="validation has valid.en and no file that ends in .de"):
        load(folder)


def test_two_files_for_a_language_are_refused(folder):
    save(folder, "train.x.en", EN)
    with pytest.raises(InputError, match="train has two files of 'en'"):
        load(folder)


def test_blank_lines_are_named_by_both_files(folder):
    from hf_attn.tasks.inputs.text.tokens import check_text

    save(folder, "train.de", [DE[0], "", DE[2]])
    with pytest.raises(InputError, match="'de' of train has 1 empty text .line 2 of train.en and train.de."):
        check_text(load(folder), "en", "de")


def test_blank_lines_are_left_out_where_that_was_asked_for(folder):
    save(folder, "train.de", [DE[0], "", DE[2]])
    assert load(folder, skip_bad_rows=True)["train"]["en"][:] == [EN[0], EN[2]]


def test_columns_inside_of_objects_are_taken_out(tmp_path):
    rows = [{"id": at, "translation": {"en": a, "de": b}} for at, (a, b) in enumerate(zip(EN, DE, strict=True))]
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    splits = load(tmp_path)
    assert splits["test"]["de"][:] == DE and splits["test"].column_names == ["id", "en", "de"]


def test_an_object_without_the_language_is_told(tmp_path):
    for split in ("train", "validation", "test"):
        rows = [{"translation": {"en": a, "fr": b}} for a, b in zip(EN, DE, strict=True)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="no column 'de' in train"):
        load(tmp_path)
