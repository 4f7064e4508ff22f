"""Tags out of data: columns of tokens, files of a token a line, spans of raw texts; what is wrong with them."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import datasets
import pytest

from hf_attn.errors import InputError
from hf_attn.tasks.inputs import words
from hf_attn.tasks.targets import tags

SENTENCES = [
    (["EU", "rejects", "German", "call"], ["B-ORG", "O", "B-MISC", "O"]),
    (["Peter", "Blackburn", "of", "Leeds"], ["B-PER", "I-PER", "O", "B-LOC"]),
    (["Paris", ",", "he", "said"], ["B-LOC", "O", "O", "O"]),
]
ROWS = [{"tokens": tokens, "tags": one} for tokens, one in SENTENCES] * 8


def arguments(dataset, **given):
    return SimpleNamespace(
        **{
            **{"dataset": str(dataset), "subset": None, "revision": None, "data_dir": None, "delimiter": None},
            **{"encoding": None, "validation_share": 0.1, "test_share": 0.1, "skip_bad_rows": False, "seed": 0},
            **{"tokens": "tokens", "text": None, "tags": "tags", "tag_names": None, "spans": None, "layout": None},
            **{"label_all_tokens": False, "label_smoothing": 0.0, "focal_gamma": 0.0, "class_weights": None},
            **{"offsets": "characters", "limit": None, **given},
        }
    )


def written(folder: Path, rows=ROWS, name="data.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / name


def encoded(path, **given):
    args = arguments(path, **given)
    return tags.encode(words.load_splits(args, tags.column_of(args)), args)


def tagged(split, target):
    """Words and names of tags of each text."""
    found = []
    for row in split:
        spans = zip(row["words"][::2], row["words"][1::2], strict=True)
        found.append(
            ([row["text"][start:end] for start, end in spans], [target.names[number] for number in row["labels"]])
        )
    return found


def every(splits, target):
    return [one for split in splits.values() for one in tagged(split, target)]


def test_lists_of_names_are_read_as_they_are(tmp_path):
    splits, target = encoded(written(tmp_path))
    assert target.layout.name == "BIO" and target.kinds == ("LOC", "MISC", "ORG", "PER")
    assert target.names[:3] == ("O", "B-LOC", "I-LOC")
    assert all(one in [(list(a), list(b)) for a, b in SENTENCES] for one in every(splits, target))


def test_class_labels_keep_their_order(tmp_path):
    names = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
    rows = {"tokens": [a for a, _ in SENTENCES] * 8, "tags": [[names.index(t) for t in b] for _, b in SENTENCES] * 8}
    features = {
        "tokens": datasets.List(datasets.Value("string")),
        "tags": datasets.List(datasets.ClassLabel(names=names)),
    }
    datasets.Dataset.from_dict(rows, datasets.Features(features)).to_parquet(tmp_path / "data.parquet")
    splits, target = encoded(tmp_path / "data.parquet")
    assert list(target.names) == names
    assert all(one in [(list(a), list(b)) for a, b in SENTENCES] for one in every(splits, target))


def test_numbers_have_the_names_that_are_given(tmp_path):
    names = sorted({tag for _, b in SENTENCES for tag in b})
    rows = [{"tokens": a, "tags": [names.index(tag) for tag in b]} for a, b in SENTENCES] * 8
    (tmp_path / "names.json").write_text(json.dumps(names))
    path = written(tmp_path, rows)
    for given in (str(tmp_path / "names.json"), ",".join(names)):
        splits, target = encoded(path, tag_names=given)
        assert all(one in [(list(a), list(b)) for a, b in SENTENCES] for one in every(splits, target))


NAMES = ["O", *(f"{letter}-{number}" for number in range(6) for letter in "BI")]


@pytest.mark.parametrize(
    "held",
    [
        dict(sorted((str(number), name) for number, name in enumerate(NAMES))),
        {name: number for number, name in enumerate(NAMES)},
    ],
)
def test_names_of_an_object_are_those_of_its_numbers_in_whatever_order(held, tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(held))
    rows = [{"tokens": ["a", "b", "c"], "tags": [0, 3, 10]}] * 12
    splits, target = encoded(written(tmp_path, rows), tag_names=str(tmp_path / "names.json"))
    assert every(splits, target)[0][1] == [NAMES[0], NAMES[3], NAMES[10]]


@pytest.mark.parametrize("held", [{"1": "O", "2": "B-X"}, {"O": 1, "B-X": 2}, {"id2label": {"0": "O"}}, {}])
def test_names_whose_numbers_do_not_count_from_0_are_refused(held, tmp_path):
    (tmp_path / "names.json").write_text(json.dumps(held))
    with pytest.raises(InputError, match="their numbers, from 0 on"):
        encoded(written(tmp_path), tag_names=str(tmp_path / "names.json"))


def test_numbers_without_names_are_told(tmp_path, caplog):
    encoded(written(tmp_path, [{"tokens": ["a", "b"], "tags": [0, 1]}] * 12))
    assert "numbers without names" in caplog.text


def test_texts_that_blanks_divide_and_lists_as_text_are_lists(tmp_path):
    plain = [{"tokens": " ".join(a), "tags": " ".join(b)} for a, b in SENTENCES] * 8
    listed = [{"tokens": str(a), "tags": str(b)} for a, b in SENTENCES] * 8
    for name, rows in (("a.jsonl", plain), ("b.jsonl", listed)):
        splits, target = encoded(written(tmp_path, rows, name))
        assert all(one in [(list(a), list(b)) for a, b in SENTENCES] for one in every(splits, target))


def conll(sentences, separator=" ", middle=()):
    lines = [
        separator.join([token, *middle, tag]) + "\n" for a, b in sentences for token, tag in zip(a, b, strict=True)
    ]
    at = 0
    for a, _ in sentences:
        at += len(a)
        lines.insert(at, "\n")
        at += 1
    return "".join(lines)


@pytest.mark.parametrize("separator", [" ", "\t", "   "])
def test_a_file_of_a_token_a_line_is_read(tmp_path, separator):
    text = "-DOCSTART- -X- O\n\n" + conll(SENTENCES * 8, separator, ["NN"]).replace("\n", "\r\n")
    (tmp_path / "data.conll").write_bytes(("\ufeff" + text).encode())
    splits, target = encoded(tmp_path / "data.conll")
    assert sum(map(len, splits.values())) == 24
    assert all(one in [(list(a), list(b)) for a, b in SENTENCES] for one in every(splits, target))


@pytest.mark.parametrize("token", ["10\u00a0000", "\u3000", "a\x85b", "a\u2028b"])
@pytest.mark.parametrize("separator", [" ", "\t"])
def test_a_blank_that_does_not_break_is_of_its_token(token, separator, tmp_path):
    sentences = [([token, "Leeds"], ["O", "B-LOC"])]
    (tmp_path / "data.conll").write_bytes(conll(sentences * 12, separator).encode())
    assert every(*encoded(tmp_path / "data.conll"))[0] == sentences[0]
    rows = [{"tokens": " ".join(a), "tags": separator.join(b)} for a, b in sentences * 12]
    assert every(*encoded(written(tmp_path, rows)))[0] == sentences[0]


def test_lines_may_end_in_a_carriage_return_alone(tmp_path):
    (tmp_path / "data.conll").write_bytes(conll(SENTENCES * 8).replace("\n", "\r").encode())
    splits, _ = encoded(tmp_path / "data.conll")
    assert sum(map(len, splits.values())) == 24


def test_a_table_of_a_token_a_row_is_told(tmp_path, caplog):
    rows = [{"word": token, "tag": tag} for a, b in SENTENCES * 4 for token, tag in zip(a, b, strict=True)]
    encoded(written(tmp_path, rows), tokens="word", tags="tag")
    assert "has one token, and is tagged without those around it" in caplog.text and ".conll" in caplog.text
    caplog.clear()
    encoded(written(tmp_path))
    assert "one token" not in caplog.text


def test_a_folder_of_txt_files_with_a_token_a_line_is_told_their_name(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(conll(SENTENCES))
    with pytest.raises(InputError, match=r"no train file .*\.conll of a token a line.* it holds test\.txt, train\.txt"):
        encoded(tmp_path)


def test_another_column_of_a_token_a_line_is_chosen_by_its_number(tmp_path):
    lines = "".join(f"w{n} {'NN' if n % 2 else 'VB'} O\n\n" for n in range(24))
    (tmp_path / "data.conll").write_text(lines)
    _, target = encoded(tmp_path / "data.conll", tags="column_2")
    assert target.names == ("NN", "VB") and target.layout is None


def test_a_hash_may_be_a_token_and_a_comment(tmp_path):
    text = "# id = 1\n# O\n#tag B-X\n\n" * 12
    (tmp_path / "data.bio").write_text(text)
    splits, target = encoded(tmp_path / "data.bio")
    assert every(splits, target)[0] == (["#", "#tag"], ["O", "B-X"])


def test_conll_u_has_its_columns_without_multiword_lines(tmp_path):
    line = "{}\t{}\t_\t{}\t_\t_\t_\t_\t_\t_\n"
    one = "# text = im Haus\n1-2\tim\t" + "_\t" * 7 + "_\n"
    one += line.format(1, "in", "ADP") + line.format(2, "dem", "DET") + line.format(3, "Haus", "NOUN")
    one += "3.1\tx\t" + "_\t" * 7 + "_\n\n"
    (tmp_path / "de-ud-train.conllu").write_text(one * 12)
    splits, target = encoded(tmp_path, tags="upos")
    assert every(splits, target)[0] == (["in", "dem", "Haus"], ["ADP", "DET", "NOUN"])


def test_lines_of_unlike_fields_are_named(tmp_path):
    (tmp_path / "data.conll").write_text("a O\nb O\nc\n\n" * 8)
    with pytest.raises(InputError, match=r"8 lines have not 2 fields like the others \(lines 3, 7, .*blank line"):
        encoded(tmp_path / "data.conll")


RAW = [
    {
        "text": "Angela Merkel was in Paris.",
        "spans": [{"start": 0, "end": 13, "label": "PER"}, {"start": 21, "end": 26, "label": "LOC"}],
    },
    {"text": "He paid.", "spans": []},
]


@pytest.mark.parametrize("form", ["objects", "lists", "json", "python", "tuples"])
def test_labelled_spans_of_raw_texts_become_tags(tmp_path, form):
    rows = [dict(row) for row in RAW * 10]
    for row in rows:
        if form in ("lists", "json", "tuples"):
            row["spans"] = [(one["start"], one["end"], one["label"]) for one in row["spans"]]
        if form != "objects" and form != "lists":
            row["spans"] = json.dumps(row["spans"]) if form == "json" else str(row["spans"])  # as pandas does in csv
    splits, target = encoded(written(tmp_path, rows), text="text", spans="spans")
    found = every(splits, target)
    assert (["Angela", "Merkel", "was", "in", "Paris", "."], ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]) in found


def test_a_span_may_have_its_text_and_blanks_are_no_matter_of_it(tmp_path):
    spans = [{"start": 0, "end": 14, "label": "PER", "text": "Angela  Merkel"}, RAW[0]["spans"][1]]
    splits, target = encoded(written(tmp_path, [{**RAW[0], "spans": spans}] * 12), text="text", spans="spans")
    assert every(splits, target)[0][1] == ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]


@pytest.mark.parametrize(("offsets", "code", "width"), [("utf16", "utf-16-le", 2), ("bytes", "utf-8", 1)])
def test_places_of_spans_in_bytes_and_in_units_of_utf_16_are_told_and_read(offsets, code, width, tmp_path):
    text = "Hi 😀😀 é Angela Merkel"
    start, end = (len(part.encode(code)) // width for part in (text.partition("Angela")[0], text))
    rows = [{"text": text, "spans": [{"start": start, "end": end, "label": "PER", "text": "Angela Merkel"}]}] * 12
    path = written(tmp_path, rows)
    with pytest.raises(InputError, match=f"--offsets {offsets}"):
        encoded(path, text="text", spans="spans")
    splits, target = encoded(path, text="text", spans="spans", offsets=offsets)
    (words, found), *_ = every(splits, target)
    assert [word for word, tag in zip(words, found, strict=True) if tag != "O"] == ["Angela", "Merkel"]


def test_a_span_that_ends_within_a_word_takes_it_and_is_told(tmp_path, caplog):
    rows = [{"text": "a Berlin-based firm", "spans": [{"start": 2, "end": 8, "label": "LOC"}]}, RAW[0]] * 10
    splits, target = encoded(written(tmp_path, rows), text="text", spans="spans")
    assert (["a", "Berlin-based", "firm"], ["O", "B-LOC", "O"]) in every(splits, target)
    assert "spans end within a word" in caplog.text


@pytest.mark.parametrize("layout", ["IO", "IOB1", "BIOES"])
def test_tags_are_converted_to_the_layout_that_is_asked_for(tmp_path, layout):
    splits, target = encoded(written(tmp_path), layout=layout)
    assert target.layout.name == layout
    ours = {tuple(a): target.layout.named([target.names.index(tag) for tag in b]) for a, b in every(splits, target)}
    assert ours["Peter", "Blackburn", "of", "Leeds"] == [(0, 2, "PER"), (3, 4, "LOC")]


def test_iob1_is_trained_as_bio_and_said(tmp_path, caplog):
    rows = [
        {"tokens": ["a", "b", "c"], "tags": ["I-X", "I-X", "O"]},
        {"tokens": ["a", "b"], "tags": ["I-X", "B-X"]},
    ] * 10
    with caplog.at_level(logging.INFO, "hf_attn"):
        splits, target = encoded(written(tmp_path, rows))
    assert "the tags are IOB1, trained as BIO" in caplog.text
    assert (["a", "b"], ["B-X", "B-X"]) in every(splits, target)


def test_entities_that_io_joins_are_counted(tmp_path, caplog):
    rows = [{"tokens": ["a", "b"], "tags": ["B-X", "B-X"]}, {"tokens": ["a", "b"], "tags": ["B-Y", "O"]}] * 10
    encoded(written(tmp_path, rows), layout="IO")
    assert "10 of 30 entities touch another of their type" in caplog.text


def test_letters_without_a_type_are_entities_of_one(tmp_path):
    rows = [{"tokens": ["a", "b", "c"], "tags": ["B", "I", "O"]}] * 12
    splits, target = encoded(written(tmp_path, rows))
    assert target.kinds == ("entity",) and target.layout.name == "BIO"
    assert every(splits, target)[0][1] == ["B-entity", "I-entity", "O"]


@pytest.mark.parametrize("tags", [["PER-B", "PER-I", "O", "LOC-B"], ["PER_B", "PER_M", "O", "LOC_B"]])
def test_tags_with_their_letter_last_are_read_as_with_it_first_and_told(tags, tmp_path, caplog):
    rows = [{"tokens": ["a", "b", "c", "d"], "tags": tags}] * 12
    with caplog.at_level(logging.INFO, "hf_attn"):
        splits, target = encoded(written(tmp_path, rows))
    assert target.kinds == ("LOC", "PER") and target.layout.name == "BIO"
    assert every(splits, target)[0][1] == ["B-PER", "I-PER", "O", "B-LOC"] and "letter last" in caplog.text


def test_types_that_end_in_a_letter_of_a_layout_are_types(tmp_path):
    rows = [{"tokens": ["a", "b", "c"], "tags": ["GROUP_B", "O", "GROUP_A"]}] * 12
    _, target = encoded(written(tmp_path, rows))
    assert target.kinds == ("GROUP_A", "GROUP_B") and target.layout.name == "IO"


def test_tags_that_nothing_begins_are_counted(tmp_path, caplog):
    rows = [*ROWS, {"tokens": ["a", "b"], "tags": ["O", "I-PER"]}, {"tokens": ["a"], "tags": ["B-PER"]}]
    encoded(written(tmp_path, rows))
    assert "1 tags in 1 texts go on with an entity that nothing begins (I- without B-)" in caplog.text


def test_a_tag_that_train_has_not_is_told_and_scored(tmp_path, caplog):
    written(tmp_path, ROWS, "train.jsonl")
    written(tmp_path, [*ROWS, {"tokens": ["x"], "tags": ["B-NEW"]}], "test.jsonl")
    _, target = encoded(tmp_path)
    assert "B-NEW" in target.names and "test has tags that train has not" in caplog.text
    assert "line 25 of test.jsonl" in caplog.text


BAD = {
    "fewer tags than tokens": ([{"tokens": ["a", "b"], "tags": ["O"]}], "not as many tags as tokens, such as 1 for 2"),
    "more tags than tokens": ([{"tokens": ["a"], "tags": ["O", "O"]}], "not as many tags as tokens, such as 2 for 1"),
    "no tokens": ([{"tokens": [], "tags": []}], "no tokens in 'tokens'"),
    "null tokens": ([{"tokens": None, "tags": ["O"]}], "no tokens in 'tokens'"),
    "null tags": ([{"tokens": ["a"], "tags": None}], "no list of tags in 'tags'"),
    "a null tag": ([{"tokens": ["a"], "tags": [None]}], "the tag None"),
    "a blank tag": ([{"tokens": ["a"], "tags": [" "]}], "the tag ' '"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_named_and_may_be_skipped(case, tmp_path, caplog):
    rows, message = BAD[case]
    path = written(tmp_path, [*ROWS, *rows])
    with pytest.raises(InputError) as error:
        encoded(path)
    assert message in str(error.value) and "line 25 of data.jsonl" in str(error.value)
    assert "--skip_bad_rows" in str(error.value) and "\n" not in str(error.value)
    splits, _ = encoded(path, skip_bad_rows=True)
    assert sum(map(len, splits.values())) == 24 and "left out" in caplog.text


BAD_SPANS = {
    "beyond the text": ([{"start": 0, "end": 99, "label": "X"}], "not within its text, such as \\[0, 99\\) of 8"),
    "below the text": ([{"start": -1, "end": 2, "label": "X"}], "not within its text"),
    "of nothing": ([{"start": 3, "end": 3, "label": "X"}], "not within its text"),
    "of a blank": ([{"start": 2, "end": 3, "label": "X"}], "a span without a word, such as ' '"),
    "overlapping": ([{"start": 0, "end": 7, "label": "X"}, {"start": 3, "end": 7, "label": "Y"}], "spans that overlap"),
    "of one word": (
        [{"start": 3, "end": 5, "label": "X"}, {"start": 5, "end": 7, "label": "Y"}],
        "spans that share a word, such as 'id'",
    ),
    "without a label": ([{"start": 0, "end": 2, "label": ""}], "no labelled spans"),
    "of another text": ([{"start": 3, "end": 7, "label": "X", "text": "He"}], "than 'He': 'paid' stands there"),
    "in columns of unlike length": ({"start": [0, 3], "end": [2, 7], "label": ["X"]}, "no labelled spans"),
    "of other keys": ([{"from": 0, "to": 2, "label": "X"}], "no labelled spans .*expected"),
}


@pytest.mark.parametrize("case", BAD_SPANS)
def test_bad_spans_are_refused_with_their_row(case, tmp_path):
    spans, message = BAD_SPANS[case]
    rows = [*[{"text": row["text"], "spans": json.dumps(row["spans"])} for row in RAW * 10]]
    path = written(tmp_path, [*rows, {"text": "He paid.", "spans": json.dumps(spans)}])
    with pytest.raises(InputError, match=message) as error:
        encoded(path, text="text", spans="spans")
    assert "line 21 of data.jsonl" in str(error.value)


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        ([{"tokens": [1, 2], "tags": ["O", "O"]}], {}, "holds no tokens but"),
        ([{"tokens": ["a"], "tags": ["O"]}], {}, "train has one tag only"),
        ([{"tokens": ["a"], "tags": [7]}], {"tag_names": "O,B-X"}, "the tag 7, which is none of 2 names"),
        ([{"text": "a b", "tags": ["O", "O"]}], {"text": "text"}, "--text names raw texts.*--spans"),
        ([{"tokens": ["a"], "tags": ["O"]}], {"spans": "tags"}, "--spans are characters of raw texts.*--text"),
        ([{"tokens": ["a", "b"], "tags": ["N", "V"]}], {"layout": "BIO"}, "say no entities"),
        ([{"tokens": ["a", "b", "c"], "tags": ["O", "B-X", "[CLS]"]}], {}, r"say entities, and '\[CLS\]' do not"),
        ([{"tokens": ["a", "b", "c"], "tags": ["o", "b-per", "i-per"]}], {}, "in small letters"),
        ([{"tokens": ["a", "b", "c"], "tags": ["O", "b-per", "i-per"]}], {}, "in small letters"),
        ([{"tokens": ["a", "b", "c"], "tags": ["O", "B/PER", "I/PER"]}], {}, "without a hyphen"),
        ([{"tokens": ["a", "b", "c"], "tags": ["_", "B-PER", "I-PER"]}], {}, "say entities, and '_' do not"),
        ([{"words": ["a"], "tags": ["O"]}], {}, "no column 'tokens'.*--tokens.*--text"),
        ([{"tokens": ["a"], "ner": ["O"]}], {}, "no column 'tags'"),
    ],
)
def test_what_cannot_be_tags_is_refused_in_one_line(rows, given, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        encoded(written(tmp_path, rows * 12), **given)
    assert "\n" not in str(error.value)
