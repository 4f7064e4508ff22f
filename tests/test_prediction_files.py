"""What predict reads its texts from: every file that training reads, in the same way, and nothing else in silence."""

import bz2
import gzip
import importlib
import json
import lzma

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from tiny_bert import TEXTS, save_tiny_bert
from tiny_vit import picture, save_tiny_vit

import hf_attn
from hf_attn.cli import main as cli
from hf_attn.cli.prediction_files import predict_to
from hf_attn.data import pieces
from hf_attn.errors import InputError
from hf_attn.tasks.inputs import images
from hf_attn.tasks.inputs.text.given import trained_columns


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("runs") / "cards")


LINES = "".join(json.dumps({"text": text, "id": f"A{row}"}) + "\n" for row, text in enumerate(TEXTS))
CSV = "id,text\n" + "".join(f'A{row},"{text}"\n' for row, text in enumerate(TEXTS))
ARROW = pyarrow.table({"text": TEXTS, "id": [f"A{row}" for row in range(len(TEXTS))]})


def arrow(path, make=pyarrow.ipc.new_file):
    with make(str(path), ARROW.schema) as writer:
        writer.write_table(ARROW)


FILES = {
    "a.ndjson": lambda path: path.write_text(LINES),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "a.csv.bz2": lambda path: path.write_bytes(bz2.compress(CSV.encode())),
    "a.tsv.xz": lambda path: path.write_bytes(lzma.compress(CSV.replace(",", "\t").encode())),
    "A.CSV": lambda path: path.write_text(CSV),
    "a.arrow": arrow,
    "a.feather": lambda path: arrow(path, pyarrow.ipc.new_stream),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_training_reads_is_read(run, tmp_path, name):
    FILES[name](tmp_path / name)
    predict_to(str(run), [str(tmp_path / name)], output=str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row.pop("id"), row.pop("text")) for row in rows] == [(f"A{i}", text) for i, text in enumerate(TEXTS)]
    assert rows == hf_attn.predict(run, TEXTS)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "text;id\n{};1\n".encode("cp1252"), {"delimiter": ";", "encoding": "cp1252"}),
        ("a.csv", "text\n{}\n".encode("shift_jis"), {"encoding": "shift_jis"}),
        ("a.jsonl", '{"text": "{}"}\n'.encode("utf-16"), {"encoding": "utf-16"}),
        ("a.txt", "{}\r\n".encode("cp1252"), {"encoding": "cp1252"}),
        ("a.txt.gz", gzip.compress(b"{}\n", mtime=0), {}),
        ("a.txt", b"text|id\n{}|1\n", {"delimiter": "|"}),
        ("a.dat", b"text|id\n{}|1\n", {"delimiter": "|"}),
    ],
)
def test_encoding_and_delimiter_are_those_of_training(run, tmp_path, name, content, options):
    text = {"cp1252": "déjà vu “once”", "shift_jis": "日本語", "utf-16": "naïve"}.get(options.get("encoding"), "so, so")
    packed = name.endswith("gz")
    plain = gzip.decompress(content) if packed else content
    encoded = text.encode(options.get("encoding", "utf-8").replace("utf-16", "utf-16-le"))
    mark = "{}".encode(options.get("encoding", "utf-8").replace("utf-16", "utf-16-le"))
    data = plain.replace(mark, encoded)
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    predict_to(str(run), [str(tmp_path / name)], output=str(tmp_path / "out.jsonl"), **options)
    (row,) = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert row["text"] == text and row["score"] == pytest.approx(hf_attn.predict(run, [text])[0]["score"])


def test_the_command_has_the_options(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_bytes("wort;text\nx;müde\n".encode("cp1252"))
    cli.dispatch(
        ["predict", str(run), str(tmp_path / "a.csv"), "--text", "text", "--delimiter", ";"] + ["--encoding", "cp1252"]
    )
    assert capsys.readouterr().out.splitlines()[0] == "müde"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["mails.xlsx"], r"extension '\.xlsx' is not read; .* save the sheet as csv"),
        (["mails.dat"], r"extension '\.dat' is not read; .*if these words are the text, put them into a \.txt file"),
        (["mails"], r"extension '' is not read"),
        (["mails.pkl"], "it may run code"),
        (["folder"], "folder is a folder: give a file in it"),
        (["mails.csv", "more.csv"], r"mails\.csv is a file: give one file, or texts alone"),
        (["a text", "folder"], "folder is a folder: give one file"),
        (["gone.csv.gz"], "no such file: gone.csv.gz"),
        (["gone.arrow"], "no such file: gone.arrow"),
        (["gone.xlsx"], "no such file: gone.xlsx"),
        (["gone.gz"], "no such file: gone.gz"),
        (["empty.csv"], r"empty\.csv is empty: expected a file of examples$"),
        (["header.csv"], r"header\.csv has no rows: expected examples$"),
        (["mixed.jsonl"], r"column 'text' mixes str \(line 1\) and int \(line 2\)"),
        (["nulls.jsonl"], r"not text in 2 rows \(lines 3, 4 of nulls\.jsonl; no value\)"),
        (["latin.txt"], "latin.txt is not UTF-8 .*--encoding cp1252"),
    ],
)
def test_no_name_of_a_file_is_taken_for_a_text(tmp_path, monkeypatch, given, message):
    for name in ("mails.xlsx", "mails.dat", "mails", "mails.pkl", "mails.csv", "more.csv"):
        (tmp_path / name).write_text(CSV)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("text,id\n")
    (tmp_path / "mixed.jsonl").write_text('{"text": "a"}\n{"text": 7}\n')
    (tmp_path / "nulls.jsonl").write_text('{"text": "a"}\n\n{"text": null}\n{"id": 1}\n')
    (tmp_path / "latin.txt").write_bytes("déjà vu".encode("cp1252"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        predict_to("no such model", given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["3.50", "and/or", "I unpacked the file.zip", "see example.com", "a.b.c", "", "x" * 999]
)
def test_texts_that_only_look_like_a_path_are_texts(run, tmp_path, monkeypatch, capsys, text):
    monkeypatch.chdir(tmp_path)
    predict_to(str(run), [text])
    assert capsys.readouterr().out.splitlines()[0] == text


@pytest.mark.parametrize("options", [{"delimiter": ";"}, {"encoding": "cp1252"}])
def test_options_of_a_file_need_one(tmp_path, options):
    for given in (["a text"], ["a text", "another"]):
        with pytest.raises(InputError, match=f"--{next(iter(options))} says how a file is read, but there is no file"):
            predict_to("no such model", given, **options)


def test_a_table_of_images_is_read_as_training_reads_it(tmp_path):
    vit, random = save_tiny_vit(tmp_path / "vit"), np.random.default_rng(0)
    for colour, name in enumerate(("é.png", "b.png")):
        picture(colour, random).save(tmp_path / name)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("photo;n\né.png;1\nb.png;2\n".encode("cp1252")))
    options = {"image": "photo", "delimiter": ";", "encoding": "cp1252", "output": str(tmp_path / "out.jsonl")}
    predict_to(str(vit), [str(tmp_path / "a.csv.gz")], **options)
    found = [json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    files = [tmp_path / "é.png", tmp_path / "b.png"]
    assert found == [row["label"] for row in hf_attn.predict(vit, files)]
    with pytest.raises(InputError, match="--delimiter says how a file is read, but there is no file"):
        predict_to(str(vit), [str(tmp_path / "b.png"), str(tmp_path / "é.png")], delimiter=";")


@pytest.mark.parametrize("identity", ["1234567890123456789", "12345678901234567890", "9007199254740993", "007"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_long_number_of_a_row_is_kept_to_its_last_digit(run, tmp_path, identity, ending):
    (tmp_path / "a.csv").write_text(f"tweet_id,text\n{identity},no\n12,please\n")
    output = tmp_path / f"out.{ending}"
    predict_to(str(run), [str(tmp_path / "a.csv")], output=str(output))
    if ending == "jsonl":
        found = [json.loads(line)["tweet_id"] for line in output.read_text().splitlines()]
    else:
        found = pyarrow.parquet.read_table(output)["tweet_id"].to_pylist()
    assert [str(value) for value in found] == [identity, "12"]


def test_a_text_of_digits_is_predicted_as_it_is_written(run, tmp_path):
    (tmp_path / "a.csv").write_text("text\n0.50\n+49\n")
    predict_to(str(run), [str(tmp_path / "a.csv")], output=str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row.pop("text") for row in rows] == ["0.50", "+49"] and rows == hf_attn.predict(run, ["0.50", "+49"])


@pytest.mark.parametrize("argument", ["text", "source"])
@pytest.mark.parametrize("large", [False, True])
def test_the_column_of_training_is_read_where_the_file_has_it(tmp_path, monkeypatch, argument, large):
    trained = save_tiny_bert(tmp_path / "run")
    (trained / "run.json").write_text(json.dumps({"arguments": {argument: "en"}}))
    monkeypatch.setattr(pieces, "LARGE", 0 if large else 2**40)
    (tmp_path / "a.csv").write_text("de,en,text\nnein,007,a\nja,yes,b\n")
    (tmp_path / "b.csv").write_text("de,text\nnein,no\n")
    for name, options, expected in (
        ("a", {}, ["007", "yes"]),
        ("a", {"text": "de"}, ["nein", "ja"]),
        ("b", {}, ["no"]),
    ):
        output = tmp_path / "out.jsonl"
        predict_to(str(trained), [str(tmp_path / f"{name}.csv")], output=str(output), overwrite=True, **options)
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [row.pop("text") for row in rows] == expected and rows == hf_attn.predict(trained, expected)


def test_blank_texts_of_a_file_are_predicted_and_told(run, tmp_path, caplog):
    (tmp_path / "a.csv").write_text("id,text\n1,no\n2,\n3, \n")
    predict_to(str(run), [str(tmp_path / "a.csv")], output=str(tmp_path / "out.jsonl"))
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert "2 rows have a blank text in 'text' (lines 3, 4 of a.csv): they are predicted all the same" in caplog.text


def test_an_address_is_shown_as_it_was_given(run):
    with pytest.raises(InputError, match="no such file: https://x.y/a.csv"):
        predict_to(str(run), ["https://x.y/a.csv"])


@pytest.mark.parametrize("options", [{"top_k": 2.0}, {"top_k": 0}, {"batch_size": 2.5}, {"batch_size": "8"}])
def test_numbers_of_options_are_whole_and_at_least_one(run, options):
    with pytest.raises(InputError, match="expected at least 1"):
        hf_attn.predict(run, ["no"], **options)


@pytest.fixture
def in_pieces(monkeypatch):
    """Every file is large, and read two rows at a time."""
    monkeypatch.setattr(pieces, "LARGE", 0)
    monkeypatch.setattr(pieces, "ROWS", 2)


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl.gz", "a.csv.bz2", "a.tsv.xz", "a.parquet", "a.txt"])
def test_a_large_file_is_predicted_in_pieces_as_the_whole_is(run, tmp_path, name, ending, monkeypatch):
    path = tmp_path / name
    kinds = {"a.parquet": lambda path: pyarrow.parquet.write_table(ARROW, path), "a.txt": lines_to, **FILES}
    kinds[name](path)
    predict_to(str(run), [str(path)], output=str(tmp_path / f"whole{ending}"))
    monkeypatch.setattr(pieces, "LARGE", 0)
    monkeypatch.setattr(pieces, "ROWS", 2)
    sizes, predict = [], hf_attn.tasks.predict.predict
    monkeypatch.setattr(
        "hf_attn.tasks.predict.predict", lambda *given, **how: sizes.append(len(given[1])) or predict(*given, **how)
    )
    predict_to(str(run), [str(path)], output=str(tmp_path / f"pieces{ending}"))
    assert sum(sizes) == len(TEXTS) and 0 < max(sizes) <= 2
    whole, found = (rows_in(tmp_path / f"{how}{ending}") for how in ("whole", "pieces"))
    scores = [np.array([row.pop("score") for row in rows]) for rows in (whole, found)]
    shares = [np.array([list(dict(row.pop("probabilities")).values()) for row in rows]) for rows in (whole, found)]
    assert found == whole
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)


def lines_to(path):
    path.write_text("\n\n".join(TEXTS))


def rows_in(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_wrong_in_the_last_piece_is_said_before_a_model_is_loaded(run, tmp_path, in_pieces, monkeypatch):
    monkeypatch.setattr("hf_attn.tasks.predict.load", lambda *_: pytest.fail("a model is loaded"))
    path = tmp_path / "a.jsonl"
    path.write_text(LINES + '{"id": 7}\n')
    with pytest.raises(InputError, match=rf"not text in 1 rows \(line {len(TEXTS) + 1} of a.jsonl"):
        predict_to(str(run), [str(path)], output=str(tmp_path / "out.jsonl"))
    assert not (tmp_path / "out.jsonl").exists()


def test_images_of_a_large_table_are_predicted_in_pieces(tmp_path, in_pieces):
    random = np.random.default_rng(0)
    for at in range(5):
        picture(at % 3, random).save(tmp_path / f"{at}.png")
    (tmp_path / "a.csv").write_text("image,id\n" + "".join(f"{at}.png,{at}\n" for at in range(5)))
    model = save_tiny_vit(tmp_path / "vit")
    predict_to(str(model), [str(tmp_path / "a.csv")], output=str(tmp_path / "out.jsonl"))
    rows = rows_in(tmp_path / "out.jsonl")
    expected = hf_attn.predict(model, [str(tmp_path / f"{at}.png") for at in range(5)])
    assert [row["id"] for row in rows] == list(range(5))
    assert [row["label"] for row in rows] == [row["label"] for row in expected]


TRAINED = {
    "question": ("passage", {"question": "q", "context": "page"}, {"q": ["who"], "page": ["me"]}),
    "history": (
        "history",
        {"history": "before", "candidate": "then", "history_ratings": "stars"},
        {"before": [["a", "b"]], "then": ["c"], "stars": [[1.0, 2.0]]},
    ),
    "pair": ("text", {"text": "first", "text_pair": "second"}, {"first": ["a"], "second": ["b"], "other": ["c"]}),
    "words": ("words", {"text": "said"}, {"said": ["so it is"], "other": ["c"]}),
}


@pytest.mark.parametrize("case", TRAINED)
def test_the_columns_of_training_are_read_where_no_others_are_named(tmp_path, case):
    kind, arguments, table = TRAINED[case]
    task = importlib.import_module(f"hf_attn.tasks.inputs.{kind}")
    (tmp_path / "run.json").write_text(json.dumps({"arguments": arguments}))
    trained = trained_columns(str(tmp_path), task.COLUMNS)
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    usual = {"q": "question", "page": "context", "before": "history", "then": "candidate", "stars": "ratings"}
    named = {usual.get(name, name): column for name, column in table.items()}
    pyarrow.parquet.write_table(pyarrow.table(named), tmp_path / "b.parquet")
    asked = dict(zip(("text", "text_pair"), arguments.values(), strict=False)) if kind in ("text", "words") else {}
    found = task.read_files([str(tmp_path / "a.parquet")], trained=trained)
    expected = task.read_files([str(tmp_path / "b.parquet")], **asked)
    assert str(found.inputs) == str(expected.inputs)
    assert (found.text_pair, found.rows) == (expected.text_pair, expected.rows)
    assert set(found.used) <= set(table)
    if kind not in ("text", "words"):  # a file of the usual names is read as ever
        again = task.read_files([str(tmp_path / "b.parquet")], trained=trained)
        assert str(again.inputs) == str(expected.inputs)


def test_the_column_of_images_of_training_is_read(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("photo,id\na.png,1\n")
    found = images.read_files([str(tmp_path / "a.csv")], trained={"image": "photo"})
    assert found.inputs == images.read_files([str(tmp_path / "a.csv")], image="photo").inputs and found.used == (
        "photo",
    )
