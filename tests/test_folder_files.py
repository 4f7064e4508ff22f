"""A folder of files: what is read of it, and what is told of the rest."""

import pytest
from bad_data import CSV, put, told

from hf_attn.data import decode
from hf_attn.errors import InputError
from hf_attn.tasks.targets.labels import load_splits


@pytest.mark.parametrize(
    "name", ["eval.csv", "evaluation.csv", "test_set.csv", "holdout.jsonl", "train (1).csv", "data/x.tsv"]
)
def test_a_file_named_after_no_split_is_told(tmp_path, caplog, name):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, name, CSV)
    assert sum(map(len, load_splits(str(tmp_path)).values())) == 40
    assert (
        f"{name} left out, which are named after no split (train, training, validation, valid, val, dev" in caplog.text
    )


@pytest.mark.parametrize("name", ["README.md", "dataset_infos.json", ".hidden.csv", "~$train.csv", "._train.csv"])
def test_what_holds_no_examples_is_left_out_without_a_word(tmp_path, caplog, name):
    put(tmp_path, "train.csv", CSV)
    put(tmp_path, name, "x")
    load_splits(str(tmp_path))
    assert "left out" not in caplog.text


DEEP = {
    "imdb/train/pos/{}.txt": "its texts lie a folder deeper (imdb/train/pos/0.txt): give ",
    "train/en/pos/{}.txt": "its texts lie in groups above their classes (train/en/pos/0.txt)",
    "pos/2020/{}.txt": "its texts lie 2 folders deep (pos/2020/0.txt)",
    "train/part{}.csv": "train/part0.csv lies in a folder of its split: put it beside that as train.csv, several as",
    "test/{}.jsonl.gz": "as test.jsonl, several as test-00000-of-00002.jsonl and so on",
}


@pytest.mark.parametrize("form", DEEP)
def test_files_that_lie_too_deep_are_found(tmp_path, form):
    for number in range(3):
        put(tmp_path, form.format(number), CSV)
    assert DEEP[form] in told(tmp_path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "a pointer of Git LFS"),
        (b"<html><body>not found</body></html>", "a web page and not the data"),
    ],
)
@pytest.mark.parametrize("from_file", [True, False])
def test_what_was_fetched_in_place_of_an_image_is_named(tmp_path, data, words, from_file):
    with pytest.raises(InputError, match=f"not an image but {words}"):
        decode(put(tmp_path, "a.png", data) if from_file else data)
