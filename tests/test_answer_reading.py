"""Answers out of data: SQuAD's own files of both versions, rows of several kinds; what is wrong with them."""

import json
import logging
from types import SimpleNamespace

import pandas as pd
import pytest
from datasets import Dataset, DatasetDict
from tiny_bert import save_tiny_bert
from transformers import AutoTokenizer

from hf_attn.data.files import split_of
from hf_attn.errors import InputError
from hf_attn.tasks.inputs import passage
from hf_attn.tasks.inputs.passage.reading import fitting
from hf_attn.tasks.inputs.text.windowed import BEFORE
from hf_attn.tasks.targets import spans
from hf_attn.tasks.targets.spans.encoding import tell_unlearnt

CONTEXT = "Zoë paid €5 at the Café Nero 😀 in Łódź, near the Café, on 5 May."
ANSWERS = ["Zoë", "€5", "Café Nero", "Łódź", "the Café"]
ROWS = [
    {
        "id": f"q{number}",
        "question": f"what is number {number}",
        "context": f"{CONTEXT} ({number})",
        "answers": {"text": [text], "answer_start": [CONTEXT.index(text)]},
    }
    for number, text in enumerate(ANSWERS * 5)
]


def arguments(dataset, **given):
    return SimpleNamespace(
        **{
            **{"dataset": str(dataset), "subset": None, "revision": None, "data_dir": None, "delimiter": None},
            **{"encoding": None, "validation_share": 0.1, "test_share": 0.1, "skip_bad_rows": False, "seed": 0},
            **{"question": "question", "context": "context", "answers": "answers", "answer_start": None},
            **{"offsets": "characters", "learn_from": "all", "max_answer_length": 30, "limit": None, **given},
        }
    )


def written(folder, rows, name="data.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / name


def encoded(path, **given):
    args = arguments(path, **given)
    return spans.encode(passage.load_splits(args, spans.columns_of(args), spans.ALSO), args)


def read(splits):
    """Question, and text and characters of its answers, of each row of all splits."""
    return sorted(
        (row["before"], [(one["text"], row["text"][one["start"] : one["end"]]) for one in row["labels"]])
        for split in splits.values()
        for row in split
    )


EXPECTED = sorted((row["question"], [(row["answers"]["text"][0],) * 2]) for row in ROWS)


def nested(rows, version="1.1", **more):
    """As SQuAD's own files are: an article of two passages each, of two questions."""
    articles = []
    for at in range(0, len(rows), 4):
        paragraphs = []
        for some in (rows[at : at + 2], rows[at + 2 : at + 4]):
            for row in some:
                pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
                answers = [{"text": text, "answer_start": start} for text, start in pairs]
                question = {"id": row["id"], "question": row["question"], "answers": answers, **more}
                paragraphs.append({"context": row["context"], "qas": [question]})
        articles.append({"title": f"article {at}", "paragraphs": paragraphs})
    return {"version": version, "data": articles}


def one_answer(row):
    return {**row, "answers": row["answers"]["text"][0], "at": row["answers"]["answer_start"][0]}


LAYOUTS = {
    "lists in an object": (lambda row: row, {}),
    "a list of objects": (
        lambda row: {
            **row,
            "answers": [{"text": row["answers"]["text"][0], "answer_start": row["answers"]["answer_start"][0]}],
        },
        {},
    ),
    "one answer and its place": (one_answer, {"answer_start": "at"}),
    "one answer, looked for": (lambda row: {**row, "answers": row["answers"]["text"][0]}, {}),
    "texts alone": (lambda row: {**row, "answers": row["answers"]["text"]}, {}),
    "JSON in a text": (lambda row: {**row, "answers": json.dumps(row["answers"])}, {}),
    "Python in a text": (lambda row: {**row, "answers": str(row["answers"])}, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_answers_of_any_layout_are_the_same(tmp_path, layout):
    made, given = LAYOUTS[layout]
    splits, target = encoded(written(tmp_path, [made(row) for row in ROWS]), **given)
    assert read(splits) == EXPECTED and not target.unanswerable and target.most == 1


def test_a_table_that_pandas_wrote_as_csv_or_parquet_is_read(tmp_path):
    pd.DataFrame(ROWS).to_parquet(tmp_path / "data.parquet")
    pd.read_parquet(tmp_path / "data.parquet").to_csv(tmp_path / "data.csv", index=False)  # array([...], dtype=object)
    assert read(encoded(tmp_path / "data.parquet")[0]) == EXPECTED
    assert "array(" in (tmp_path / "data.csv").read_text() and read(encoded(tmp_path / "data.csv")[0]) == EXPECTED


@pytest.mark.parametrize("version", ["1.1", "v2.0"])
def test_squads_own_files_are_rows_of_questions(tmp_path, version):
    more = {"is_impossible": False} if version == "v2.0" else {}
    (tmp_path / "train.json").write_text(json.dumps(nested(ROWS, version, **more)))
    splits, _ = encoded(tmp_path / "train.json")
    assert read(splits) == EXPECTED
    assert passage.names(splits["test"], arguments("x"))["id"][0].startswith("q")


def test_a_folder_with_the_names_of_squads_files_and_of_both_versions_is_read(tmp_path):
    rows = [dict(row) for row in ROWS]
    none = {"id": "n", "question": "why", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "5"}]}
    dev = nested(rows[:4], "v2.0", is_impossible=False)
    dev["data"][0]["paragraphs"][0]["qas"].append({**none, "plausible_answers": [{"text": "5", "answer_start": 9}]})
    (tmp_path / "train-v1.1.json").write_text(json.dumps(nested(rows)))
    (tmp_path / "dev-v2.0.json").write_text(json.dumps(dev))
    splits, target = encoded(tmp_path)
    assert len(splits["validation"]) == 5 and [] in splits["validation"]["labels"][:]
    assert not target.unanswerable
    assert split_of("train-v2.0") == "train" and split_of("train-of-thought") is None


def test_contexts_and_articles_stand_in_one_split_alone(tmp_path):
    rows = [{**ROWS[0], "id": str(n), "context": f"{CONTEXT} ({n // 4})", "title": f"t{n // 8}"} for n in range(240)]
    splits, _ = encoded(written(tmp_path, rows))
    contexts = [set(split["text"][:]) for split in splits.values()]
    assert not contexts[0] & contexts[1] and not contexts[0] & contexts[2] and not contexts[1] & contexts[2]
    assert all(len(split) % 8 == 0 for split in splits.values()) and len(splits["test"]) == 24
    again, _ = encoded(tmp_path / "data.jsonl")
    assert again["test"]["text"][:] == splits["test"]["text"][:]


def test_questions_without_an_answer_are_read_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO, "hf_attn")
    rows = [{**row, "answers": {"text": [], "answer_start": []}} if n % 3 == 0 else row for n, row in enumerate(ROWS)]
    splits, target = encoded(written(tmp_path, rows))
    assert target.unanswerable and sum(not answers for _, answers in read(splits)) == 9
    assert "questions without an answer" in caplog.text


@pytest.mark.parametrize("answer", ["1998", "12.50", "007", "true"])
@pytest.mark.parametrize("start", [None, "at"])
def test_answers_that_are_numbers_are_texts_in_a_csv_file(answer, start, tmp_path):
    rows = [{"question": f"when {n}", "context": f"{n}: in {answer}", "answers": answer, "at": 6.0} for n in range(10)]
    pd.DataFrame([*rows, {**rows[0], "answers": "", "at": None}]).to_csv(tmp_path / "data.csv", index=False)
    splits, _ = encoded(tmp_path / "data.csv", answer_start=start)
    assert {tuple(answers) for _, answers in read(splits)} == {((answer, answer),), ()}


@pytest.mark.parametrize("name", ["data.jsonl", "data.csv"])
def test_questions_without_an_answer_are_no_bad_rows(name, tmp_path):
    rows = [{**row, "answers": None if number % 3 else "Zoë"} for number, row in enumerate(ROWS)]
    if name == "data.csv":
        pd.DataFrame(rows).to_csv(tmp_path / name, index=False)
    else:
        written(tmp_path, rows)
    splits, target = encoded(tmp_path / name, skip_bad_rows=True)
    assert len(read(splits)) == len(ROWS) and target.unanswerable


@pytest.mark.parametrize("flags", [("true", "false"), ("Yes", "no"), (1, 0), (1.0, 0.0), (True, None), ("TRUE", "")])
@pytest.mark.parametrize("empty", [[], [{"text": "", "answer_start": -1}]])
def test_whether_there_is_an_answer_is_read_as_files_write_it(flags, empty, tmp_path):
    rows = [
        {
            **row,
            "is_impossible": flags[number % 2],
            "answers": [{"text": "Zoë", "answer_start": 0}] if number % 2 else empty,
        }
        for number, row in enumerate(ROWS * 2)
    ]
    splits, target = encoded(written(tmp_path, rows))
    assert target.unanswerable and sum(bool(answers) for _, answers in read(splits)) == len(ROWS)


@pytest.mark.parametrize("answer", [" paid €5", "paid €5 ", "\n paid €5\u00a0"])
def test_blanks_around_an_answer_are_not_of_its_place(answer, tmp_path):
    rows = [
        {"question": f"what {number}", "context": f"Zoë{answer}", "answers": {"text": [answer], "answer_start": [3]}}
        for number in range(12)
    ]
    splits, _ = encoded(written(tmp_path, rows))
    assert {tuple(answers) for _, answers in read(splits)} == {(("paid €5", "paid €5"),)}


def test_several_answers_are_all_learnt_or_the_first(tmp_path):
    rows = [{**row, "answers": {"text": ["Zoë", "Zoë", "€5"], "answer_start": [0, 0, 9]}} for row in ROWS]
    assert encoded(written(tmp_path, rows))[1].most == 3
    assert encoded(tmp_path / "data.jsonl", learn_from="first")[1].most == 1


@pytest.mark.parametrize(("offsets", "code"), [("bytes", "utf-8"), ("utf16", "utf-16-le")])
def test_places_in_bytes_and_in_units_of_utf_16_are_told_and_read(tmp_path, offsets, code):
    rows = []
    for row in ROWS:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        width = 1 if code == "utf-8" else 2
        place = len(row["context"][:start].encode(code)) // width
        rows.append({**row, "answers": {"text": [text], "answer_start": [place]}})
    path = written(tmp_path, rows)
    with pytest.raises(InputError, match=rf"stand elsewhere.*\d+ of them count .*: --offsets {offsets}"):
        encoded(path)
    assert read(encoded(path, offsets=offsets)[0]) == EXPECTED
    assert read(encoded(path, offsets="search")[0]) == EXPECTED


def test_an_answer_that_stands_several_times_is_found_where_it_stands_first_and_told(tmp_path, caplog):
    rows = [{**row, "answers": "Café"} for row in ROWS]
    splits, _ = encoded(written(tmp_path, rows))
    assert splits["train"][0]["labels"][0]["start"] == CONTEXT.index("Café")
    assert "answers stand several times in their context" in caplog.text


def bad(change, every=7):
    return [{**row, **change(row)} if number % every == 3 else row for number, row in enumerate(ROWS)]


BAD = {
    "a wrong place": (
        lambda row: {"answers": {"text": ["€5"], "answer_start": [11]}},
        r"has \d+ rows with answers that stand elsewhere, not where they are said to \(lines .* of data.jsonl; such as "
        r"'€5', and ' a' stands at 11\): --offsets search",
    ),
    "a place below 0": (lambda row: {"answers": {"text": ["€5"], "answer_start": [-1]}}, "stand elsewhere"),
    "a place beyond the end": (lambda row: {"answers": {"text": ["€5"], "answer_start": [9999]}}, "stand elsewhere"),
    "another case": (lambda row: {"answers": {"text": ["zoë"], "answer_start": [0]}}, "answers in other case"),
    "not in the context": (lambda row: {"answers": {"text": ["Adam"], "answer_start": [0]}}, "not in their context"),
    "a blank answer": (lambda row: {"answers": {"text": [" "], "answer_start": [3]}}, "an answer that is blank"),
    "fewer places than texts": (
        lambda row: {"answers": {"text": ["Zoë", "€5"], "answer_start": [0]}},
        "no answer: exp",
    ),
    "impossible with an answer": (lambda row: {"is_impossible": True}, "says that there is no answer, and some"),
    "text that says possible without an answer": (
        lambda row: {"is_impossible": "False", "answers": {"text": [], "answer_start": []}},
        "says that there is an answer, and none is given",
    ),
    "neither possible nor impossible": (lambda row: {"is_impossible": "maybe"}, "is_impossible that is neither true"),
    "possible without an answer": (
        lambda row: {"is_impossible": False, "answers": {"text": [], "answer_start": []}},
        "says that there is an answer, and none is given",
    ),
    "an empty question": (lambda row: {"question": " "}, "'question' of .* has .* empty text"),
    "an empty context": (lambda row: {"context": ""}, "'context' of .* has .* empty text"),
    "a null context": (lambda row: {"context": None}, "'context' of .* has .* null text"),
    "a question that is a number": (lambda row: {"question": 5}, "mixes|is not text"),
}


@pytest.mark.parametrize("case", BAD)
def test_rows_that_cannot_be_used_are_refused_by_line(tmp_path, case):
    change, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        encoded(written(tmp_path, bad(change)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("case", [case for case in BAD if "number" not in case])
def test_rows_that_cannot_be_used_are_skipped_as_asked_and_counted(tmp_path, case, caplog):
    change, _ = BAD[case]
    rows = bad(change)
    splits, _ = encoded(written(tmp_path, rows), skip_bad_rows=True)
    left = [row["question"] for row, before in zip(rows, ROWS, strict=True) if row == before]
    assert [question for question, _ in read(splits)] == sorted(left) and "left out" in caplog.text


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        ([{**row, "answers": 5} for row in ROWS], {}, "what is no answer"),
        ([{**row, "answers": {"spans": ["Zoë"]}} for row in ROWS], {}, "what is no answer"),
        ([{**row, "answers": [{"value": "Zoë"}]} for row in ROWS], {}, "what is no answer"),
        ([{**row, "answers": {"text": [], "answer_start": []}} for row in ROWS], {}, "no question of .* has an answer"),
        ([{k: v for k, v in row.items() if k != "answers"} for row in ROWS], {}, "no column 'answers'"),
        (ROWS, {"answers": "context"}, "'context' is given both as text and as answers"),
        (ROWS, {"question": "frage"}, "no column 'frage'"),
        ([one_answer(row) for row in ROWS], {"answer_start": "begin"}, "no column 'begin'"),
        ([{**one_answer(row), "at": "x"} for row in ROWS], {"answer_start": "at"}, "what is no answer"),
        (
            [{**row, "answers": {"text": ["Adam"], "answer_start": [0]}} for row in ROWS],
            {"skip_bad_rows": True},
            "no row",
        ),
    ],
)
def test_columns_that_cannot_be_used_are_refused(tmp_path, rows, given, message):
    with pytest.raises(InputError, match=message) as error:
        encoded(written(tmp_path, rows), **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"version": "2", "data": [{"title": "a", "paragraphs": "none"}]}, "'paragraphs' holds no list of objects"),
        ({"version": "2", "data": [{"title": "a", "paragraphs": []}]}, "there is no question"),
        ({"version": "2", "data": [{"paragraphs": [{"context": "c"}]}]}, "no column 'question'|no column 'answers'"),
        ({"version": "2", "data": [{"paragraphs": [{"context": "c", "qas": ["why"]}]}]}, "'qas' holds no list of obj"),
    ],
)
def test_files_of_squads_layout_that_are_none_are_refused(tmp_path, content, message):
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        encoded(tmp_path / "train.json")


def test_rows_of_nested_files_are_told_as_questions_of_their_file(tmp_path):
    content = nested(ROWS)
    content["data"][1]["paragraphs"][2]["qas"][0]["answers"][0]["answer_start"] = 1
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="question 6 of train.json, from 0"):
        encoded(tmp_path / "train.json")


def test_a_test_split_whose_answers_are_hidden_is_predicted(tmp_path):
    written(tmp_path, ROWS, "train.jsonl")
    written(tmp_path, [{k: v for k, v in row.items() if k != "answers"} for row in ROWS[:5]], "test.jsonl")
    splits, _ = encoded(tmp_path)
    assert len(splits["unlabelled"]) == 5 and "labels" not in splits["unlabelled"].column_names


def test_a_context_that_is_also_in_train_is_told(tmp_path, caplog):
    written(tmp_path, ROWS, "train.jsonl")
    written(tmp_path, [{**ROWS[0], "question": "another one"}] * 2, "test.jsonl")
    encoded(tmp_path)
    assert "2 of the 2 contexts of test are also in train" in caplog.text


def test_answers_that_no_window_holds_whole_or_that_are_too_long_to_be_said_are_told(caplog):
    import datasets

    rows = {"ids": [0, 0, 1], "labels": [[0, 0, 0], [1, 4, 9], [0, 0, 0]]}
    some = [{"text": "x", "start": 0, "end": 1}]
    split = datasets.Dataset.from_dict({"text": ["x", "x"], "labels": [some, some]})
    tell_unlearnt(rows, split, 6)
    assert "the answers of 1 questions lie whole in no window" in caplog.text and "tokens" not in caplog.text
    tell_unlearnt(rows, split, 5)
    assert "the first answer of 1 questions has more than 5 tokens" in caplog.text


def test_a_stride_of_more_than_half_of_the_room_is_told(tmp_path, caplog):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_bert(tmp_path))
    splits = DatasetDict(train=Dataset.from_dict({"text": ["good film"] * 2, BEFORE: ["who?", "who is good?"]}))
    for stride, told in ((2, ""), (8, "train: stride 8 is more than half of the room that 2 of 2 questions leave")):
        fitting(splits, tokenizer, SimpleNamespace(max_length=20, stride=stride, skip_bad_rows=False))
        assert told in caplog.text and (told or not caplog.text)
