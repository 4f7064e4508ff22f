"""What predict is given: any column of texts or images, pairs told from single texts, modes and ids kept."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch
from datasets import Dataset
from tiny_bert import TEXTS, save_tiny_bert
from tiny_vit import picture, save_tiny_vit
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

import hf_attn
from hf_attn import models
from hf_attn.cli.prediction_files import predict_to
from hf_attn.data.pieces import Pieces
from hf_attn.errors import InputError
from hf_attn.explain import attended
from hf_attn.tasks.inputs.text.reading import read_files

CASES = Path(os.environ.get("HF_ATTN_SHARED", "../shared")).resolve() / "cases" / "text" / "16_predict"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("runs") / "cards")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return save_tiny_vit(tmp_path_factory.mktemp("vit"))


COLUMNS = {
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "map": lambda texts: map(str, texts),
    "keys": lambda texts: dict.fromkeys(texts).keys(),
    "series": lambda texts: pd.Series(texts, index=[7, 7, 3, 0]),
    "strings": lambda texts: pd.Series(texts, dtype="string"),
    "index": pd.Index,
    "frame's column": lambda texts: pd.DataFrame({"t": texts})["t"],
    "array": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "datasets' column": lambda texts: Dataset.from_dict({"t": texts})["t"],
    "arrow": pyarrow.array,
    "chunks": lambda texts: pyarrow.chunked_array([texts[:1], texts[1:]]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_any_column_of_texts_is_taken_in_its_order(run, kind):
    assert hf_attn.predict(run, COLUMNS[kind](TEXTS)) == hf_attn.predict(run, TEXTS)
    pairs = hf_attn.predict(run, TEXTS, text_pair=COLUMNS[kind](TEXTS[::-1]))
    assert pairs == hf_attn.predict(run, TEXTS, text_pair=TEXTS[::-1])


@pytest.mark.parametrize("nothing", [[], (), iter([]), np.array([], str), pd.Series([], dtype=object)])
def test_nothing_gives_nothing(run, nothing):
    assert hf_attn.predict(run, nothing) == []


def test_an_empty_text_is_a_text(run):
    (alone,) = hf_attn.predict(run, [""])
    together = hf_attn.predict(run, ["", *TEXTS])
    assert alone["score"] == pytest.approx(together[0]["score"], abs=1e-6) and len(together) == 1 + len(TEXTS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a text", "one string, expected a list"),
        (b"a text", "one bytes, expected a list"),
        (3, "one int, expected a list"),
        (None, "one NoneType, expected a list"),
        (np.array("a"), "one ndarray, expected a list"),
        (pd.DataFrame({"body": ["a"], "id": [1]}), r"a table \(DataFrame of body, id\).* give one column"),
        (Dataset.from_dict({"body": ["a"]}), r"a table \(Dataset of body\)"),
        ({"text": ["a"]}, r"a table \(dict of text\)"),
        ({"a", "b"}, "a set, which has no order"),
        ([b"a"], r"the first at 0 \(bytes\)"),
        (["a", 1], r"1 are not, the first at 1 \(int\)"),
        (pd.Series(["a", None, "b", np.nan]), "2 are not, the first at 1"),
        ([("a", "b")], r"\(tuple\): give second texts as text_pair"),
        (np.array([["a", "b"]]), r"\(ndarray\)"),
    ],
)
def test_what_is_no_list_of_texts_is_named(run, given, message):
    with pytest.raises(InputError, match=message) as caught:
        hf_attn.predict(run, given)
    assert "\n" not in str(caught.value)


def test_any_column_of_images_is_taken_and_one_image_is_not(vit):
    random = np.random.default_rng(0)
    images = [np.asarray(picture(colour, random, 32)) for colour in range(3)]
    expected = hf_attn.predict(vit, images)
    for column in (tuple(images), iter(images), np.stack(images), pd.Series(images)):
        assert hf_attn.predict(vit, column) == expected
    assert hf_attn.predict(vit, iter([])) == []
    for one in (images[0], images[0][..., 0], b"png", Path("a.png"), {"image": images}, pd.DataFrame({"a": [1]})):
        with pytest.raises(InputError, match=r"expected|give one column"):
            hf_attn.predict(vit, one)


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("kind", ["predict", "images", "attend"])
def test_each_module_keeps_its_mode(run, vit, kind):
    cls, folder = (
        (AutoModelForImageClassification, vit) if kind == "images" else (AutoModelForSequenceClassification, run)
    )
    model = cls.from_pretrained(folder).train()
    model.base_model.eval()  # a frozen encoder
    before = modes(model)
    assert len(set(before)) == 2
    if kind == "attend":
        attended.attend(model, models.load_tokenizer(folder), TEXTS[0])
    else:
        hf_attn.predict(model, [np.zeros((32, 32, 3), np.uint8)] if kind == "images" else TEXTS)
    assert modes(model) == before


@pytest.mark.parametrize(("text_pair", "given", "told"), [("q2", None, "pairs"), (None, TEXTS, "single texts")])
def test_a_run_of_pairs_says_so_for_single_texts_and_the_reverse(tmp_path, caplog, text_pair, given, told):
    folder = save_tiny_bert(tmp_path / "run")
    arguments = {"text": "q1", "text_pair": text_pair}
    (folder / "run.json").write_text(json.dumps({"arguments": arguments}))
    with caplog.at_level(logging.WARNING):
        hf_attn.predict(folder, TEXTS, text_pair=TEXTS if text_pair else None)
        assert not caplog.text
        for model in (folder, hf_attn.load(folder)):
            caplog.clear()
            hf_attn.predict(model, TEXTS, text_pair=given)
            assert f"was trained on {told}" in caplog.text and caplog.text.count("\n") == 1


def test_a_model_without_names_has_numbers_and_two_of_one_name_are_refused(tmp_path):
    folder = save_tiny_bert(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": None, "label2id": None, "num_labels": 3}))
    assert set(hf_attn.predict(folder, TEXTS)[0]["probabilities"]) == {"LABEL_0", "LABEL_1", "LABEL_2"}
    (folder / "config.json").write_text(json.dumps({**config, "id2label": {"0": "a", "1": "b", "2": "a"}}))
    with pytest.raises(InputError, match="several classes named 'a'"):
        hf_attn.predict(folder, TEXTS)


def written(run, path, *, output="out.jsonl", **options):
    predict_to(str(run), [str(path)], output=str(path.parent / output), overwrite=True, **options)
    if output.endswith("parquet"):
        return pyarrow.parquet.read_table(path.parent / output).to_pylist()
    return [json.loads(line) for line in (path.parent / output).read_text().splitlines()]


@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("name", ["id", "ID", "tweet_id", "PassengerId", "docID", "index", "guid"])
def test_id_columns_go_into_the_output(run, tmp_path, name, output):
    frame = pd.DataFrame({name: [f"A{i}" for i in (3, 1, 2, 2)], "text": TEXTS, "valid": 1, "idea": "x"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    rows = written(run, tmp_path / "a.csv", output=output)
    assert [row[name] for row in rows] == ["A3", "A1", "A2", "A2"] and [row["text"] for row in rows] == TEXTS
    assert list(rows[0]) == [name, "text", "label", "score", "probabilities"]


def test_other_columns_go_into_the_output_where_asked(run, tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "source": list("wxyz"), "stars": range(4), "label": 1})
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert [row["source"] for row in written(run, tmp_path / "a.csv", keep=["source"])] == list("wxyz")
    with pytest.raises(InputError, match="no column 'sauce'.*did you mean 'source'"):
        written(run, tmp_path / "a.csv", keep=["sauce"])
    with pytest.raises(InputError, match="the output has a 'label' of its own"):
        written(run, tmp_path / "a.csv", keep=["all"])
    frame.drop(columns="label").to_csv(tmp_path / "a.csv", index=False)
    assert {"source", "stars"} < set(written(run, tmp_path / "a.csv", keep=["all"])[0])
    with pytest.raises(InputError, match="--keep id names a column, but there is no file"):
        predict_to(str(run), ["a text"], keep=["id"])


def test_ids_of_a_table_of_images_go_into_the_output(vit, tmp_path):
    random = np.random.default_rng(0)
    for number in range(2):
        picture(number, random).save(tmp_path / f"{number}.png")
    (tmp_path / "a.csv").write_text("photo_id,image\nP7,0.png\nP3,1.png\n")
    assert [row["photo_id"] for row in written(vit, tmp_path / "a.csv")] == ["P7", "P3"]


def test_lines_are_those_that_an_editor_shows_and_blank_ones_between_are_told(run, tmp_path, caplog):
    (tmp_path / "a.txt").write_bytes("one\u2028still one\r\ntwo\x0cstill two\r\n\r\nthree\r\n\r\n".encode())
    with caplog.at_level(logging.WARNING):
        rows = written(run, tmp_path / "a.txt")
    assert [row["text"] for row in rows] == ["one\u2028still one", "two\x0cstill two", "three"]
    assert "1 blank lines are left out, the first is line 3" in caplog.text


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("one\rstill one\ntwo\n", ["one\rstill one", "two"]),
        ("one\rstill one\r\r\ntwo\r\n", ["one\rstill one", "two"]),
        ("one\rtwo\r", ["one", "two"]),
    ],
)
def test_a_carriage_return_inside_a_line_makes_no_row_of_its_own(tmp_path, content, lines):
    (tmp_path / "a.txt").write_bytes(content.encode())
    assert read_files([str(tmp_path / "a.txt")]).inputs == lines
    if "\n" in content:  # a file that is read in pieces
        assert [text for piece in Pieces(tmp_path / "a.txt") for text in piece["text"]] == lines


@pytest.mark.parametrize("how", [{"trained": {"text": "en"}}, {"text": "en"}])
def test_a_column_inside_of_objects_is_read_as_in_training(tmp_path, how):
    rows = [{"id": at, "translation": {"en": f"dog {at}", "de": f"Hund {at}"}} for at in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = read_files([str(tmp_path / "a.jsonl")], **how)
    assert list(read.inputs) == ["dog 0", "dog 1", "dog 2"]


@pytest.mark.skipif(not CASES.is_dir(), reason="no cases")
def test_the_cases(run, tmp_path):
    for name in ("two.csv", "pairs.csv", "nulls.jsonl"):
        (tmp_path / name).write_bytes((CASES / name).read_bytes())
    assert [row["id"] for row in written(run, tmp_path / "two.csv")] == ["A17", "A18"]
    rows = written(run, tmp_path / "pairs.csv", text="q1", text_pair="q2")
    assert [(row["text"], row["text_pair"]) for row in rows] == [("good movie", "bad movie"), ("bad", "never again")]
    with pytest.raises(InputError, match=r"not text in 1 rows \(line 2 of nulls.jsonl; no value\)"):
        written(run, tmp_path / "nulls.jsonl")


def test_a_regression_of_several_numbers_gives_them_all(tmp_path):
    folder = save_tiny_bert(tmp_path, names=("x", "y"), problem_type="regression")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    (row,) = hf_attn.predict(model, TEXTS[:1])
    with torch.no_grad():
        expected = model(**models.load_tokenizer(folder)(TEXTS[:1], return_tensors="pt")).logits[0].tolist()
    assert row["value"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["bytes", "path", "grey of one channel"])
def test_an_image_is_taken_as_datasets_and_arrays_have_it(vit, tmp_path, form):
    image = picture(0, np.random.default_rng(0))
    image = image.convert("L").convert("RGB") if form.startswith("grey") else image
    image.save(tmp_path / "a.png")
    given = {
        "bytes": {"bytes": (tmp_path / "a.png").read_bytes(), "path": None},
        "path": {"bytes": None, "path": str(tmp_path / "a.png")},
        "grey of one channel": np.asarray(image)[..., :1],
    }
    assert hf_attn.predict(vit, [given[form]]) == hf_attn.predict(vit, [image])


@pytest.mark.parametrize("kind", ["float32", "int64", "uint16", "bool"])
def test_an_array_of_another_type_is_named_by_it(vit, kind):
    with pytest.raises(InputError, match=f"image 0: an array of {kind} given, expected .* an array of uint8"):
        hf_attn.predict(vit, [np.zeros((8, 8, 3), kind)])
