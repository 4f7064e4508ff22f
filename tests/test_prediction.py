import json

import numpy as np
import pyarrow.parquet
import pytest
import torch
from tiny_bert import TEXTS, save_tiny_bert
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import hf_attn
from hf_attn.cli.prediction_files import predict_to
from hf_attn.errors import InputError
from hf_attn.tasks.predict import predict

MANY = [" ".join(TEXTS[(3 * i + j) % 4] for j in range(i % 5 + 1)) for i in range(23)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("runs") / "cards")


@pytest.fixture(scope="module")
def called_directly(run):
    """Probabilities of one text at a time, by transformers and softmax alone."""
    tokenizer, model = (
        AutoTokenizer.from_pretrained(run),
        AutoModelForSequenceClassification.from_pretrained(run).eval(),
    )

    def call(*text):
        with torch.no_grad():
            return (
                model(**tokenizer(*text, return_tensors="pt", truncation=True)).logits.double().softmax(-1)[0].numpy()
            )

    return call


def by_label(found, names=("lost_card", "payment", "other")):
    return np.array([[row["probabilities"][name] for name in names] for row in found])


def test_probabilities_equal_the_model_called_directly_in_the_order_given(run, called_directly):
    found = predict(run, MANY)
    np.testing.assert_allclose(by_label(found), [called_directly(text) for text in MANY], atol=1e-6)
    assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-9 for row in found)
    assert len({row["label"] for row in found}) > 1
    assert all(
        row["score"] == max(row["probabilities"].values()) == row["probabilities"][row["label"]] for row in found
    )


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_batch_size_never_changes_results(run, batch_size):
    reference = by_label(predict(run, MANY, batch_size=5))
    np.testing.assert_allclose(by_label(predict(run, MANY, batch_size=batch_size)), reference, atol=1e-5)


def test_pairs_reach_the_model_as_pairs(run, called_directly):
    found = predict(run, TEXTS[:2], text_pair=TEXTS[2:])
    np.testing.assert_allclose(
        by_label(found), [called_directly(TEXTS[0], TEXTS[2]), called_directly(TEXTS[1], TEXTS[3])], atol=1e-6
    )


def test_top_k_keeps_the_most_probable_in_order(run):
    for full, cut in zip(predict(run, TEXTS), predict(run, TEXTS, top_k=2), strict=True):
        assert (
            list(cut["probabilities"].items()) == sorted(full["probabilities"].items(), key=lambda item: -item[1])[:2]
        )


def test_a_text_longer_than_the_model_is_cut_and_told(run, called_directly, caplog):
    text = "my card " * 200
    np.testing.assert_allclose(by_label(predict(run, [text]))[0], called_directly(text), atol=1e-6)
    assert "1 of 1 texts reach the" in caplog.text


def test_several_labels_an_example(tmp_path):
    run = save_tiny_bert(tmp_path / "multi", problem_type="multi_label_classification")
    tokenizer, model = (
        AutoTokenizer.from_pretrained(run),
        AutoModelForSequenceClassification.from_pretrained(run).eval(),
    )
    for text, row in zip(TEXTS, predict(run, TEXTS), strict=True):
        expected = model(**tokenizer(text, return_tensors="pt")).logits.sigmoid()[0].tolist()
        assert by_label([row])[0] == pytest.approx(expected, abs=1e-6)
        assert set(row["label"]) == {name for name, p in row["probabilities"].items() if p >= 0.5}
        assert row["score"] == [row["probabilities"][name] for name in row["label"]]


def test_a_regression_gives_values(tmp_path):
    run = save_tiny_bert(tmp_path / "regression", names=())
    tokenizer, model = (
        AutoTokenizer.from_pretrained(run),
        AutoModelForSequenceClassification.from_pretrained(run).eval(),
    )
    expected = [model(**tokenizer(text, return_tensors="pt")).logits.item() for text in TEXTS]
    assert [row["value"] for row in predict(run, TEXTS)] == pytest.approx(expected, abs=1e-6)


def test_a_variant_is_loaded_as_the_variant(tmp_path):
    run = save_tiny_bert(tmp_path / "cosine", attention="cosine")
    model, tokenizer = hf_attn.load(run), AutoTokenizer.from_pretrained(run)
    assert model.config.model_type == "hf_attn_bert"
    assert predict(model, TEXTS, processor=tokenizer) == predict(run, TEXTS)


def test_a_model_in_hand_keeps_its_mode_and_finds_its_tokenizer(run):
    model = AutoModelForSequenceClassification.from_pretrained(run).train()
    assert predict(model, TEXTS) == predict(run, TEXTS)
    assert model.training


def test_nothing_in_nothing_out(run):
    assert predict(run, []) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(inputs="my card"), r"texts is one string, expected a list"),
        (dict(inputs=["a", None, 3]), r"texts must be strings, but 2 are not, the first at 1 \(NoneType\)"),
        (dict(inputs=["a", "b"], text_pair=["c"]), r"2 texts but 1 in text_pair"),
        (dict(inputs=["a"], top_k=0, batch_size=0), r"top_k is 0.*; batch_size is 0"),
    ],
)
def test_bad_arguments_are_named(run, arguments, message):
    with pytest.raises(InputError, match=message):
        predict(run, **arguments)


def test_a_model_without_a_trained_head_is_refused(tmp_path):
    from transformers import BertModel

    folder = save_tiny_bert(tmp_path / "encoder")
    BertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(InputError, match=r"no trained classification head \(BertModel\)"):
        predict(folder, TEXTS)


@pytest.fixture
def files(tmp_path):
    """The same texts in every format that is read."""
    import pandas

    frame = pandas.DataFrame({"text": TEXTS, "number": range(4), "second": TEXTS[::-1]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "a.json", orient="records")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("\n".join(TEXTS) + "\n\n")
    return tmp_path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.txt"])
def test_every_file_format_gives_the_same_rows(run, files, name):
    predict_to(str(run), [str(files / name)], output=str(files / "out.jsonl"))
    rows = [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()]
    assert [row.pop("text") for row in rows] == TEXTS
    assert rows == predict(run, TEXTS)


def test_parquet_holds_what_jsonl_holds(run, files):
    for output in ("out.jsonl", "out.parquet"):
        predict_to(str(run), [str(files / "a.csv")], text="second", text_pair="text", output=str(files / output))
    lines = [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()]
    rows = pyarrow.parquet.read_table(files / "out.parquet").to_pylist()
    assert [row | {"probabilities": dict(row["probabilities"])} for row in rows] == lines
    assert [(row["text"], row["text_pair"]) for row in lines] == list(zip(TEXTS[::-1], TEXTS, strict=True))


def test_an_output_is_only_replaced_when_asked(run, files):
    output = files / "out.jsonl"
    output.write_text("precious")
    with pytest.raises(InputError, match="exists: give another name, or --overwrite"):
        predict_to(str(run), ["no"], output=str(output))
    assert output.read_text() == "precious"
    predict_to(str(run), ["no"], output=str(output), overwrite=True)
    assert json.loads(output.read_text())["text"] == "no"


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["missing.csv"], {}, "no such file"),
        (["a.csv"], {"text": "txt"}, r"no column 'txt' in .* \(columns: text, number, second\)"),
        (["a.csv"], {"text_pair": "other"}, r"no column 'other'"),
        (["a.csv"], {"text": "number"}, "column number holds values that are not text"),
        (["a.txt"], {"text": "text"}, "has no columns"),
        (["nameless.csv"], {}, "no column 'text' .* name the one to read by --text"),
        (["a text"], {"text": "body"}, "--text names a column, but there is no file"),
        (["a text", "b text"], {"text_pair": "c"}, "--text_pair goes with one text, 2 were given"),
        (["a text"], {"output": "out.xlsx"}, r"must end in one of \.jsonl, \.parquet"),
        (["a text"], {"output": "nowhere/out.jsonl"}, "does not exist or is not writable"),
    ],
)
def test_bad_files_are_refused_before_a_model_is_loaded(files, monkeypatch, given, options, message):
    (files / "nameless.csv").write_text("subject,body\na b,c d\ne f,g h\n")
    monkeypatch.chdir(files)
    with pytest.raises(InputError, match=message):
        predict_to("no such model", given, **options)
