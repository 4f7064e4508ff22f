"""Scores of answers are those of SQuAD's own scripts, of version 1.1 and of 2.0, written here as they are there."""

import collections
import re
import string

import numpy as np
import pytest

from hf_attn.tasks.targets.spans.found import Found
from hf_attn.tasks.targets.spans.groups import kind_of, length_of
from hf_attn.tasks.targets.spans.scoring import (
    best_share,
    best_threshold,
    exact_of,
    f1_of,
    golds_of,
    normalized,
)
from hf_attn.tasks.targets.spans.spans import Spans
from hf_attn.training.evaluation import Predictions

WORDS = [
    "the",
    "a",
    "an",
    "Denver",
    "Broncos",
    "denver,",
    "24–10",
    "O'Brien",
    "The",
    "U.S.",
    "and",
    "?",
    "é",
    "an-d",
    "  ",
]


def normalize_answer(s):
    def remove_articles(text):
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return white_space_fix(remove_articles(remove_punc(s.lower())))


def f1_of_1(prediction, ground_truth):
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = collections.Counter(prediction_tokens) & collections.Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def f1_of_2(a_gold, a_pred):
    gold_toks = normalize_answer(a_gold).split()
    pred_toks = normalize_answer(a_pred).split()
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    return f1_of_1(a_pred, a_gold)


def evaluate_1(predictions, golds):
    exact = [
        max(normalize_answer(said) == normalize_answer(gold) for gold in some)
        for said, some in zip(predictions, golds, strict=True)
    ]
    f1 = [max(f1_of_1(said, gold) for gold in some) for said, some in zip(predictions, golds, strict=True)]
    return np.mean(exact), np.mean(f1)


def raw_scores_2(predictions, golds):
    exact, f1 = [], []
    for said, some in zip(predictions, golds, strict=True):
        answers = [one for one in some if normalize_answer(one)] or [""]
        exact.append(max(int(normalize_answer(one) == normalize_answer(said)) for one in answers))
        f1.append(max(f1_of_2(one, said) for one in answers))
    return exact, f1


def find_best_thresh(preds, scores, na_probs, has_ans):
    num_no_ans = sum(1 for one in has_ans if not one)
    cur_score = best_score = num_no_ans
    best_thresh = 0.0
    for qid in sorted(range(len(na_probs)), key=lambda k: na_probs[k]):
        if has_ans[qid]:
            diff = scores[qid]
        elif preds[qid]:
            diff = -1
        else:
            diff = 0
        cur_score += diff
        if cur_score > best_score:
            best_score = cur_score
            best_thresh = na_probs[qid]
    return best_score / len(scores), best_thresh


def texts(random, count):
    return [" ".join(random.choice(WORDS, random.integers(1, 5))) for _ in range(count)]


@pytest.mark.parametrize("text", ["The  Broncos' a-an", "the the", "a.n", "", " \t", "É, an É", "24–10", "them the, n"])
def test_texts_are_normalized_as_the_script_does(text):
    assert normalized(text) == normalize_answer(text)


def test_scores_of_a_pair_are_those_of_both_scripts():
    random = np.random.default_rng(0)
    for _ in range(500):
        said, some = texts(random, 1)[0], texts(random, int(random.integers(1, 4)))
        assert f1_of(said, [normalized(one) for one in some], empty=False) == pytest.approx(
            max(f1_of_1(said, one) for one in some), abs=1e-12
        )
        exact, f1 = raw_scores_2([said], [some])
        assert exact_of(said, golds_of(some)) == exact[0]
        assert f1_of(said, golds_of(some)) == pytest.approx(f1[0], abs=1e-12)


def found(context, part, score, none=-50.0):
    """What is said where the most probable part of a context, a token a character, is this one."""
    start = context.index(part)
    begins, ends = np.full((2, len(context)), -40.0, np.float32)
    begins[start], ends[start + len(part) - 1] = score / 2, score / 2
    places = np.stack([np.arange(len(context)), np.arange(1, len(context) + 1)], 1)
    at, nones = np.arange(len(context)), np.array([[none / 2, none / 2]], np.float32)
    return Found(begins, ends, places, at, np.zeros(len(context), int), nones, context=context, question="what is it")


def predictions_of(random, count, none):
    items, labels, said, margins = [], [], [], []
    for number in range(count):
        words = texts(random, 3)
        context = " x ".join(words)
        part = str(random.choice(["Denver", "Broncos", "the Broncos", "24–10", "The U.S."]))
        context = f"{context} {part}"
        score, nothing = -random.random() * 5, -random.random() * 5 if none else -50.0
        items.append(found(context, part, score, nothing))
        has = not none or number % 3 > 0
        golds = (
            ["station", *texts(random, int(random.integers(1, 4)))] + ([part] if random.random() < 0.5 else [])
            if has
            else []
        )
        labels.append([{"text": one, "start": 0, "end": 1} for one in golds])
        said.append(part)
        margins.append(items[-1].none - items[-1].best(30).score)
    return Predictions(np.arange(count), items, labels), said, margins


@pytest.mark.parametrize("seed", range(3))
def test_a_split_with_answers_to_all_is_scored_as_squad_1(seed):
    predictions, said, _ = predictions_of(np.random.default_rng(seed), 60, none=False)
    scores = Spans().scores(predictions)
    golds = [[one["text"] for one in answers] for answers in predictions.labels]
    exact, f1 = evaluate_1(said, golds)
    assert scores["exact_match"] == pytest.approx(exact, abs=1e-9) and scores["f1"] == pytest.approx(f1, abs=1e-9)
    assert set(scores) == {"loss", "f1", "exact_match"}


@pytest.mark.parametrize("threshold", [0.0, -1.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_split_of_both_kinds_is_scored_as_squad_2(seed, threshold):
    predictions, said, margins = predictions_of(np.random.default_rng(seed), 90, none=True)
    golds = [[one["text"] for one in answers] for answers in predictions.labels]
    has = [bool(one) for one in golds]
    raw = raw_scores_2(said, golds)
    final = raw_scores_2(["" if margin > threshold else one for one, margin in zip(said, margins, strict=True)], golds)
    scores = Spans(unanswerable=True, threshold=threshold).scores(predictions)
    for name, some in zip(("exact_match", "f1"), final, strict=True):
        some, there = np.array(some, float), np.array(has)
        assert scores[name] == pytest.approx(some.mean(), abs=1e-9)
        assert scores[f"has_answer_{name}"] == pytest.approx(some[there].mean(), abs=1e-9)
    assert scores["no_answer_accuracy"] == pytest.approx(np.array(final[0])[~np.array(has)].mean(), abs=1e-9)
    for name, some in zip(("best_exact_match", "best_f1"), raw, strict=True):
        assert scores[name] == pytest.approx(find_best_thresh(said, some, margins, has)[0], abs=1e-9)


def test_the_tuned_threshold_is_the_one_of_the_best_f1_and_is_tuned_again_to_the_same():
    for seed in range(3):
        predictions, *_ = predictions_of(np.random.default_rng(seed), 80, none=True)
        tuned = Spans(unanswerable=True).tuned(predictions)
        scores = tuned.scores(predictions)
        assert scores["f1"] == pytest.approx(scores["best_f1"], abs=1e-9)
        assert tuned.tuned(predictions).threshold == tuned.threshold
        others = np.linspace(-8, 8, 33)
        assert (
            max(Spans(unanswerable=True, threshold=one).scores(predictions)["f1"] for one in others)
            <= scores["f1"] + 1e-9
        )


def test_margins_that_are_equal_are_told_apart_by_no_threshold():
    items = [found("my card was", "card", -1.0, -2.0) for _ in range(4)]
    labels = [[{"text": "card", "start": 3, "end": 7}], [], [], []]
    predictions = Predictions(np.arange(4), items, labels)
    tuned = Spans(unanswerable=True).tuned(predictions)
    assert tuned.scores(predictions)["f1"] == 0.75 and tuned.threshold == pytest.approx(-2.0)


def test_a_model_trained_on_answers_alone_always_says_one():
    predictions, *_ = predictions_of(np.random.default_rng(0), 30, none=True)
    target = Spans()
    assert target.tuned(predictions) is target
    assert all(answer["answer"] for answer in target.say(predictions.outputs))
    assert target.scores(predictions)["no_answer_accuracy"] == 0
    assert "always gives an answer" in target.report(predictions)


def test_the_report_has_lengths_and_kinds_and_sums_to_all():
    predictions, *_ = predictions_of(np.random.default_rng(0), 90, none=True)
    report = Spans(unanswerable=True).report(predictions)
    rows = [line for line in report.splitlines() if line.startswith("answer: ")]
    assert sum(int(row.split()[-3]) for row in rows) == 90 and "answer: no answer" in report
    assert "question: what" in report


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("In what year?", "what"),
        ("HOW MANY cards", "how many"),
        ("Somewhat?", "other"),
        ("¿Cuándo?", "other"),
        ("Whom", "whom"),
    ],
)
def test_the_kind_of_a_question_is_its_first_question_word(question, kind):
    assert kind_of(question) == kind


@pytest.mark.parametrize(
    ("text", "length"), [("a", "1 word"), ("a b c", "3 to 5 words"), ("a " * 40, "11 words and more")]
)
def test_the_length_of_an_answer_is_counted_in_words(text, length):
    assert length_of([{"text": text}]) == length


def test_scores_that_have_no_value_are_refused_as_the_one_to_choose_by():
    from hf_attn.errors import InputError

    with pytest.raises(InputError, match="no question without an answer"):
        Spans().choose_metric("best_f1", [[{"text": "x"}]])
    assert np.isnan(best_share(Spans().judged(predictions_of(np.random.default_rng(0), 9, none=False)[0]), np.zeros(9)))
    assert np.isfinite(best_threshold(Spans().judged(predictions_of(np.random.default_rng(0), 9, none=True)[0])))
