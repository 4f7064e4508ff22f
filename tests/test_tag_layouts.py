"""Layouts of tags: entities as seqeval reads them, conversion, what the data are."""

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities

from hf_attn.tasks.targets.tags.layouts import Layout, layout_of, names_of, of_names, strays, tags_of

ENTITIES = [(0, 2, "X"), (2, 3, "X"), (4, 6, "Y")]


@pytest.mark.parametrize("letters", ["I", "BI", "BIES"])
def test_entities_of_any_sequence_are_those_of_seqeval(letters):
    random = np.random.default_rng(0)
    names = ("O", *(f"{letter}-{kind}" for letter in letters for kind in "XYZ"))
    layout = Layout("BIO", names)
    for _ in range(500):
        tags = random.integers(0, len(names), random.integers(1, 10))
        ours = [(kind, start, end - 1) for start, end, kind in layout.named(tags)]
        assert ours == [tuple(one) for one in get_entities([names[tag] for tag in tags])]


@pytest.mark.parametrize("layout", ["BIO", "IOB1", "BIOES"])
def test_a_layout_gives_back_the_entities_that_its_tags_were_made_of(layout):
    tags, names = tags_of(ENTITIES, 7, layout), names_of("XY", layout)
    assert Layout(layout, tuple(names)).named([names.index(tag) for tag in tags]) == ENTITIES
    assert layout_of([tags]) == layout


def test_io_joins_what_touches_as_it_must():
    assert tags_of(ENTITIES, 7, "IO") == ["I-X", "I-X", "I-X", "O", "I-Y", "I-Y", "O"]


@pytest.mark.parametrize(
    ("tags", "layout"),
    [
        (["B-A", "I-A", "O"], "BIO"),
        (["I-A", "I-A", "O", "I-B"], "IO"),
        (["I-A", "B-A", "O"], "IOB1"),
        (["O", "I-A", "O", "B-A"], "BIO"),  # a stray I does not make it IOB1
        (["S-A", "O"], "BIOES"),
        (["U-A", "B-A", "L-A"], "BIOES"),
        (["B_A", "I_A", "O"], "BIO"),
        (["PER", "O", "LOC"], "IO"),
        (["NOUN", "VERB", "X"], None),
        (["O", "O"], None),
        (["B-NP", "NOUN"], None),
    ],
)
def test_the_layout_of_tags_is_told_by_their_letters(tags, layout):
    assert layout_of([tags]) == layout


def test_bilou_has_the_entities_of_bioes():
    names = ("O", "B-A", "I-A", "L-A", "U-A")
    assert Layout("BIOES", names).named([1, 2, 3, 4, 0]) == [(0, 3, "A"), (3, 4, "A")]


def test_strays_are_counted_where_nothing_begins_the_entity():
    assert strays(["I-A", "I-A", "O", "B-B", "I-A"], "BIO") == 2
    assert strays(["B-A", "I-A", "O"], "BIO") == 0
    assert strays(["I-A", "I-A"], "IO") == 0


def test_a_models_names_tell_its_layout():
    assert of_names(["O", "B-A", "I-A"]).name == "BIO"
    assert of_names(["O", "I-A", "I-B"]).name == "IO"
    assert of_names(["O", "B-A", "I-A", "E-A", "S-A"]).name == "BIOES"
    assert of_names(["ADJ", "NOUN"]) is None


def test_names_of_another_model_may_have_their_letters_last():
    layout = of_names(["O", "PER-B", "PER-I", "LOC-B", "LOC-I"])
    assert layout.name == "BIO" and layout.types == ("LOC", "PER")
    assert layout.named([1, 2, 1, 0, 4]) == [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]


@pytest.mark.parametrize(
    ("said", "by", "expected"),
    [
        ("BBIE", [0, 0, 2, 3], "BIIE"),  # the entity goes on behind the shared token
        ("BBBO", [0, 0, 0, 3], "BIEO"),
        ("OIIB", [0, 1, 1, 3], "OIEB"),
        ("BII", [0, 1, 1], "BIE"),
        ("SSBE", [0, 0, 2, 3], "SOBE"),
    ],
)
def test_words_without_a_token_of_their_own_end_an_entity_that_nothing_goes_on_with(said, by, expected):
    names = names_of("X", "BIOES")
    tags = np.array([next(number for number, name in enumerate(names) if name[0] == letter) for letter in said])
    spread = Layout("BIOES", tuple(names)).spread(tags, np.array(by))
    assert "".join(names[tag][0] for tag in spread) == expected
