"""Splits: from every kind of source, and cut where they are missing."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_attn.data import fingerprint, limit
from hf_attn.tasks.targets.labels import encode_labels, load_splits

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("HF_ATTN_SHARED", ROOT / "../shared")) / "data"
ROWS = [{"text": f"text, {i}\n'{i}'", "label": i % 4, "score": i / 3} for i in range(200)]


def write(path, rows=ROWS):
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.suffix in (".csv", ".tsv"):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def texts(splits):
    return {name: split["text"][:] for name, split in splits.items()}


@pytest.mark.parametrize("extension", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_a_file_gives_all_its_rows_in_three_splits(tmp_path, extension):
    splits = load_splits(write(tmp_path / f"data.{extension}"), label="label")
    assert {name: len(split) for name, split in splits.items()} == {"train": 160, "validation": 20, "test": 20}
    rows = sorted((row for split in splits.values() for row in split), key=lambda row: row["score"])
    assert rows == ROWS


def test_every_kind_of_file_gives_the_same_data(tmp_path):
    kinds = ("csv", "tsv", "json", "jsonl", "parquet")
    assert len({fingerprint(load_splits(write(tmp_path / f"data.{kind}"), label="label")) for kind in kinds}) == 1


@pytest.mark.parametrize("validation", ["validation", "valid", "val", "dev"])
def test_a_folder_is_read_split_by_split(tmp_path, validation):
    for name, rows in (("train", ROWS[:100]), (validation, ROWS[100:150]), ("test", ROWS[150:])):
        write(tmp_path / f"{name}.jsonl", rows)
    (tmp_path / "notes.txt").write_text("not data")
    write(tmp_path / "items.csv")
    splits = load_splits(str(tmp_path))
    assert texts(splits) == {
        "train": [row["text"] for row in ROWS[:100]],
        "validation": [row["text"] for row in ROWS[100:150]],
        "test": [row["text"] for row in ROWS[150:]],
    }


def test_a_folder_may_mix_kinds_and_hold_shards(tmp_path):
    write(tmp_path / "data/train-00000-of-00002.parquet", ROWS[:50])
    write(tmp_path / "data/train-00001-of-00002.parquet", ROWS[50:100])
    write(tmp_path / "data/test.csv", ROWS[100:])
    splits = load_splits(str(tmp_path))
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [90, 10, 100]
    assert sorted(splits["train"]["text"][:] + splits["validation"]["text"][:]) == sorted(r["text"] for r in ROWS[:100])


def test_a_subset_of_a_folder_is_a_folder_in_it(tmp_path):
    write(tmp_path / "plain/train.csv")
    assert len(load_splits(str(tmp_path), "plain")["train"]) == 160


@pytest.mark.parametrize("whole", [True, False])
def test_what_save_to_disk_wrote_is_read(tmp_path, whole):
    saved = Dataset.from_list(ROWS)
    (DatasetDict({"train": saved, "val": saved.select(range(20))}) if whole else saved).save_to_disk(tmp_path / "saved")
    splits = load_splits(str(tmp_path / "saved"))
    assert [len(splits[name]) for name in ("train", "validation", "test")] == (
        [180, 20, 20] if whole else [160, 20, 20]
    )


def test_class_names_in_parquet_metadata_are_kept(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    Dataset.from_dict({"text": list("abcdefghijklmnopqrst"), "label": [0, 1] * 10}, features).to_parquet(
        tmp_path / "d.parquet"
    )
    assert load_splits(str(tmp_path / "d.parquet"))["test"].features["label"].names == ["no", "yes"]


def test_texts_that_look_like_nothing_stay_texts(tmp_path):
    rows = [
        {"text": text, "label": i % 2} for i, text in enumerate(["NA", "null", "None", "nan", "007", "1e5", "x"] * 4)
    ]
    splits = load_splits(write(tmp_path / "d.csv", rows), label="label")
    assert Counter(sum(texts(splits).values(), [])) == Counter(row["text"] for row in rows)


def test_numbers_with_leading_zeros_are_names(tmp_path):
    rows = [{"text": str(i), "label": f"0{i % 2}"} for i in range(20)]
    assert load_splits(write(tmp_path / "d.csv", rows))["train"]["label"][0] in ("00", "01")


def test_quotes_of_an_unquoted_tsv_are_part_of_the_text(tmp_path):
    lines = ["text\tlabel", '"an open quote\t1', "plain\t0", 'a "word\t1', 'end"\t0'] + ["more\t1", "more\t0"] * 10
    (tmp_path / "d.tsv").write_text("\n".join(lines) + "\n")
    found = sum(texts(load_splits(str(tmp_path / "d.tsv"), label="label")).values(), [])
    assert len(found) == 24 and '"an open quote' in found and 'end"' in found


def test_line_separators_of_unicode_are_part_of_a_text(tmp_path):
    for name, separator in (("d.tsv", "\t"), ("d.csv", ",")):
        lines = [f"text{separator}label"] + [f"one\u2028two\x85three{separator}{i % 2}" for i in range(20)]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        assert set(load_splits(str(tmp_path / name))["train"]["text"][:]) == {"one\u2028two\x85three"}


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path):
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbftext,label\r\n" + b"caf\xc3\xa9,1\r\nno,0\r\n" * 10)
    splits = load_splits(str(tmp_path / "d.csv"), label="label")
    assert splits["train"].column_names == ["text", "label"] and "café" in splits["train"]["text"][:]


def test_json_lines_under_the_name_json_and_columns_are_read(tmp_path):
    write(tmp_path / "a.jsonl").replace("jsonl", "json")
    (tmp_path / "a.jsonl").rename(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}))
    (tmp_path / "c.json").write_text(json.dumps({"version": 1, "data": ROWS}))
    assert len({fingerprint(load_splits(str(tmp_path / f"{name}.json"))) for name in "abc"}) == 1


def test_cuts_depend_on_the_seed_alone(tmp_path):
    source = write(tmp_path / "d.csv")
    np.random.seed(1)
    first = texts(load_splits(source, seed=1, label="label"))
    np.random.seed(2)
    assert first == texts(load_splits(source, seed=1, label="label"))
    assert first != texts(load_splits(source, seed=2, label="label"))


def test_cuts_keep_each_class_its_share(tmp_path):
    rows = [{"text": str(i), "label": "rare" if i < 12 else "seldom" if i < 100 else "common"} for i in range(600)]
    splits = load_splits(write(tmp_path / "d.jsonl", rows), label="label", seed=3, test=0.25)
    for name, share in (("validation", 0.1), ("test", 0.25)):
        counts = Counter(splits[name]["label"][:])
        assert sum(counts.values()) == round(600 * share)
        for label, count in Counter(row["label"] for row in rows).items():
            assert abs(counts[label] - count * share) <= 1
    assert not set(splits["train"]["text"][:]) & set(splits["test"]["text"][:])


def test_a_class_of_two_rows_keeps_one_in_train(tmp_path):
    rows = [{"text": str(i), "label": "two" if i < 2 else "many"} for i in range(10)]
    splits = load_splits(write(tmp_path / "d.jsonl", rows), label="label", validation=0.3, test=0.3)
    assert Counter(splits["train"]["label"][:])["two"] >= 1


def test_whole_numbers_to_predict_are_no_classes_to_stratify(tmp_path):
    rows = [{"text": str(i), "label": i} for i in range(30)]
    splits = load_splits(write(tmp_path / "d.csv", rows), label="label", kind="regression")
    assert encode_labels(splits, "label", kind="regression")[1].kind == "regression"
    rows[0]["label"] = rows[1]["label"] = 3
    assert len(load_splits(write(tmp_path / "d.csv", [*rows[:2], *rows[3:]]), kind="regression", label="label")) == 3


def test_only_what_is_missing_is_cut(tmp_path):
    write(tmp_path / "train.csv", ROWS[:100])
    write(tmp_path / "test.csv", ROWS[100:])
    splits = load_splits(str(tmp_path), label="label")
    assert texts(splits)["test"] == [row["text"] for row in ROWS[100:]]
    assert len(splits["train"]) == 90 and len(splits["validation"]) == 10


def test_a_test_split_without_labels_is_cut_from_train(tmp_path, caplog):
    write(tmp_path / "train.jsonl")
    write(tmp_path / "test.jsonl", [{**row, "label": -1} for row in ROWS[:30]])
    splits = load_splits(str(tmp_path), label="label")
    assert len(splits["test"]) == 20 and min(splits["test"]["label"][:]) == 0
    assert "test has no labels" in caplog.text


def test_limit_draws_by_seed(tmp_path):
    splits = load_splits(write(tmp_path / "d.csv"))
    few, again = limit(splits, 15, seed=4), limit(splits, 15, seed=4)
    assert [len(split) for split in few.values()] == [15, 15, 15]
    assert texts(few) == texts(again) != texts(limit(splits, 15, seed=5))
    assert texts(few)["train"] != texts(splits)["train"][:15]
    assert limit(splits, None) is splits


def test_the_fingerprint_sees_every_value_and_no_storage(tmp_path):
    rows = [dict(row) for row in ROWS]
    first = fingerprint(load_splits(write(tmp_path / "a.csv", rows)))
    assert first == fingerprint(load_splits(write(tmp_path / "b.parquet", rows)))
    rows[77]["text"] += "."
    assert first != fingerprint(load_splits(write(tmp_path / "c.csv", rows)))


@pytest.mark.parametrize(
    ("name", "label", "rows", "classes"),
    [
        ("sst2", "label", (6920, 872, 1821), 2),
        ("banking77", "label", (9003, 1000, 3080), 77),
        ("ag_news", "label_name", (4500, 500, 7600), 4),
        ("financial_phrasebank", "label", (3382, 484, 970), 3),
        ("stsb", "score", (5749, 1500, 1379), 1),
        ("esnli_explanations", "label_name", (8842, 1000, 9824), 3),
    ],
)
def test_real_sets_load_with_their_published_counts(name, label, rows, classes):
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {SHARED / name}")
    splits, labels = encode_labels(load_splits(str(SHARED / name), label=label), label)
    assert tuple(len(split) for split in splits.values()) == rows
    assert labels.num_labels == classes
    assert labels.kind == ("regression" if name == "stsb" else "single")
    assert not labels.counts or sum(labels.counts) == rows[0]


def test_the_quickstart_data_are_banking77_with_names():
    splits, labels = encode_labels(load_splits(str(ROOT / "recipes/data/banking77"), label="label"), "label")
    assert [len(split) for split in splits.values()] == [9003, 1000, 3080]
    assert (labels.num_labels, labels.names[:2]) == (77, ("activate_my_card", "age_limit"))
    assert sum(file.stat().st_size for file in (ROOT / "recipes/data/banking77").iterdir()) < 1_000_000
    if (SHARED / "banking77").is_dir():
        source = load_splits(str(SHARED / "banking77"))
        for name, split in splits.items():
            assert split["text"][:] == source[name]["text"][:]
            assert [labels.names[i] for i in split["labels"]] == source[name]["label_name"][:]


def test_a_parquet_file_of_predictions_is_data_again(tmp_path):
    shares = pyarrow.array([[("no", 0.25), ("yes", 0.75)]] * 20, pyarrow.map_(pyarrow.string(), pyarrow.float64()))
    table = pyarrow.table({"text": list("abcdefghijklmnopqrst"), "label": ["no", "yes"] * 10, "probabilities": shares})
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    row = load_splits(str(tmp_path / "d.parquet"))["train"][0]
    assert row["probabilities"] == [{"key": "no", "value": 0.25}, {"key": "yes", "value": 0.75}]
