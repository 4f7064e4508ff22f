"""Scores of tags: seqeval's numbers, kinds of mistakes, words without a token."""

import warnings

import numpy as np
import pytest
import torch
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score

from hf_attn.errors import InputError
from hf_attn.tasks.targets.tags.asked import asked
from hf_attn.tasks.targets.tags.layouts import Layout, names_of
from hf_attn.tasks.targets.tags.scoring import paired
from hf_attn.tasks.targets.tags.tagged import Tagged
from hf_attn.tasks.targets.tags.tags import Tags
from hf_attn.training.evaluation import Predictions

NAMES = tuple(names_of("XYZ", "BIO"))
COUNT = len(NAMES)
LAYOUT = Layout("BIO", NAMES)


def said(tags, classes=COUNT, lost=()):
    """What a model that is sure of these tags says."""
    kept = np.array([at for at in range(len(tags)) if at not in lost], int)
    logits = np.eye(classes, dtype=np.float32)[np.asarray(tags)[kept]] * 5
    spans = np.array([(at * 2, at * 2 + 1) for at in range(len(tags))])
    return Tagged(kept, logits, kept, spans[kept, 1], "a " * len(tags), spans)


def sharing(names, said_of_first):
    """Three letters that are words and have one token, and another word."""
    spans = np.array([(0, 1), (1, 2), (2, 3), (4, 5)])
    logits = np.eye(len(names), dtype=np.float32)[[names.index(said_of_first), 0]]
    return Tagged(np.array([0, 3]), logits, np.array([1, 2]), np.array([3, 5]), "abc d", spans)


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(1)
    truth = [random.integers(0, len(NAMES), random.integers(1, 20)) for _ in range(60)]
    found = [np.where(random.random(len(t)) < 0.6, t, random.integers(0, len(NAMES), len(t))) for t in truth]
    return truth, found


def named(rows):
    return [[NAMES[tag] for tag in row] for row in rows]


def test_entity_scores_are_those_of_seqeval(texts):
    truth, found = texts
    target = Tags(NAMES, LAYOUT)
    scores = target.scores(Predictions(np.arange(60), [said(row) for row in found], [row.tolist() for row in truth]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, score in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
            assert scores[name] == pytest.approx(score(named(truth), named(found)), abs=1e-12)
        theirs = classification_report(named(truth), named(found), output_dict=True)
    assert scores["f1_macro"] == pytest.approx(theirs["macro avg"]["f1-score"], abs=1e-12)


def test_the_report_has_the_numbers_of_seqeval_for_each_type(texts):
    truth, found = texts
    predictions = Predictions(np.arange(60), [said(row) for row in found], [row.tolist() for row in truth])
    ours = Tags(NAMES, LAYOUT).report(predictions)
    theirs = classification_report(named(truth), named(found), digits=4)
    for name in ("X", "Y", "Z", "micro avg", "macro avg", "weighted avg"):
        row = next(line.split() for line in theirs.splitlines() if line.strip().startswith(name))
        assert row == next(line.split() for line in ours.splitlines() if line.strip().startswith(name))


def test_the_interval_is_of_texts_and_holds_the_score(texts):
    truth, found = texts
    predictions = Predictions(np.arange(60), [said(row) for row in found], [row.tolist() for row in truth])
    target = Tags(NAMES, LAYOUT)
    low, high = target.interval(predictions, "f1", samples=200)
    assert low < target.scores(predictions)["f1"] < high


def test_kinds_of_mistakes_are_counted_once_each():
    ids = {name: at for at, name in enumerate(NAMES)}
    truth = [[ids[tag] for tag in "B-X I-X O B-Y O B-Z I-Z O B-X O".split()]]
    found = [[ids[tag] for tag in "B-X I-X O B-Z O B-Z O O O B-Y".split()]]
    errors = paired([said(row) for row in found], truth, LAYOUT).errors
    assert errors == {"type": 1, "boundary": 1, "both": 0, "missed": 1, "spurious": 1}


def test_a_word_without_a_token_is_outside_of_entities_and_its_entity_is_missed():
    truth = [[NAMES.index("B-X"), NAMES.index("O")]]
    predictions = Predictions(np.arange(1), [said([NAMES.index("B-X"), 0], lost=(0,))], truth)
    target = Tags(NAMES, LAYOUT)
    assert target.scores(predictions)["recall"] == 0
    assert target.say(predictions.outputs)[0]["tags"] == ["O", "O"]
    assert target.say(predictions.outputs)[0]["scores"][0] is None


def test_a_word_without_a_token_has_no_tag_and_is_counted_wrong_where_tags_say_no_entities():
    target = Tags(("N", "V"))
    predictions = Predictions(np.arange(1), [said([0, 1], 2, lost=(0,))], [[0, 1]])
    assert target.scores(predictions)["accuracy"] == 0.5
    assert target.say(predictions.outputs)[0]["tags"] == [None, "V"]


@pytest.mark.parametrize(
    ("layout", "said_of_first", "expected"),
    [
        ("BIO", "B-X", ["B-X", "I-X", "I-X", "O"]),
        ("BIO", "O", ["O", "O", "O", "O"]),
        ("IO", "I-X", ["I-X", "I-X", "I-X", "O"]),
        ("BIOES", "S-X", ["S-X", "O", "O", "O"]),
        ("BIOES", "B-X", ["B-X", "I-X", "E-X", "O"]),
        (None, "I-X", ["I-X", "I-X", "I-X", "O"]),
    ],
)
def test_words_that_share_a_token_go_on_with_what_is_said_of_the_first(layout, said_of_first, expected):
    names = names_of("X", layout or "IO")
    item = sharing(names, said_of_first)
    found = item.tags(Layout(layout, tuple(names)) if layout else None)
    assert [names[tag] for tag in found] == expected


@pytest.mark.parametrize("wanted", [None, "X", "word 0", "word 1", "B-X"])
def test_words_that_share_a_token_are_explained_by_it(wanted):
    found = asked(sharing(NAMES, "B-X"), NAMES, LAYOUT, wanted)
    outputs = torch.arange(3.0 * COUNT).reshape(1, -1)
    assert found.score(outputs).item() == pytest.approx(
        outputs.reshape(3, COUNT)[1].softmax(0)[NAMES.index("B-X")].item()
    )


def test_accuracy_is_that_of_words_over_all_texts():
    target = Tags(("N", "V"))
    predictions = Predictions(np.arange(2), [said([0, 1, 1], 2), said([0], 2)], [[0, 0, 1], [1]])
    assert target.scores(predictions)["accuracy"] == 0.5
    assert "f1" not in target.scores(predictions)


def test_a_metric_without_a_value_is_refused_before_training():
    with pytest.raises(InputError, match="'f1' has no value on the validation split"):
        Tags(NAMES, LAYOUT).choose_metric(None, [[0, 0], [0]])
    assert Tags(("N", "V")).choose_metric(None, [[0]]) == "accuracy"


def test_logits_that_are_not_finite_are_no_tags():
    item = said([0, 1], 2)
    item.logits[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        Tags(("N", "V")).scores(Predictions(np.arange(1), [item], [[0, 1]]))
