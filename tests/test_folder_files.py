"""A folder of files: what is read of it, and what is told of the rest."""

import pytest
from bad_data import CSV, put

from hf_attn.data import load_splits


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
