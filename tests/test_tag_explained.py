"""Explaining tags: an entity, a word or a tag is asked about, and parts of the text are weighed for it."""

import numpy as np
import pytest
import torch
from tiny_bert import save_tiny_bert
from transformers import AutoModelForTokenClassification, AutoTokenizer

import hf_attn
from hf_attn.errors import InputError
from hf_attn.explain import explain
from hf_attn.explain.case import Case
from hf_attn.explain.demo import Trial
from hf_attn.explain.eraser import eraser_row

TEXT = "my card was swallowed by the machine at the station"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    names = ("O", "B-thing", "I-thing", "B-place", "I-place")
    folder = save_tiny_bert(tmp_path_factory.mktemp("tags") / "model", names)
    torch.manual_seed(1)
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        model.classifier.weight.normal_(std=0.5)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients", "attention", "relevance", "kernel_shap"])
def test_each_word_gets_a_weight_for_the_tag_that_is_asked_about(loaded, method):
    model, tokenizer = loaded
    found = explain(model, TEXT, processor=tokenizer, method=method, target="word 3")
    assert len(found.weights) == len(TEXT.split()) and np.isfinite(found.weights).all()
    assert found.target.endswith("of 'swallowed' (word 3)")


def test_what_is_explained_is_the_probability_of_the_words_tag(loaded):
    model, tokenizer = loaded
    said = hf_attn.predict(model, [TEXT], processor=tokenizer)[0]
    for word in (0, 3, 9):
        case = Case(model, tokenizer, TEXT, target=f"word {word}")
        assert case.score == pytest.approx(said["scores"][word], abs=1e-5)
        assert case.asked.name == f"{said['tags'][word]} of {said['words'][word]!r} (word {word})"


def test_an_entity_is_explained_by_the_mean_of_its_words(loaded):
    model, tokenizer = loaded
    entities = hf_attn.predict(model, [TEXT], processor=tokenizer)[0]["entities"]
    best = max(entities, key=lambda one: one["score"])
    case = Case(model, tokenizer, TEXT)
    assert case.asked.name == f"{best['label']} of {best['text']!r}"
    assert case.score == pytest.approx(best["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("target", "against", "name"),
    [
        ("word 2 B-place", None, "B-place of 'was' (word 2)"),
        ("machine", None, "of 'machine' (word 6)"),
        (4, None, "of 'by' (word 4)"),
        ("B-thing", None, "B-thing of "),
        ("word 2 O", "B-thing", "O of 'was' (word 2) − B-thing"),
    ],
)
def test_a_word_a_tag_and_a_difference_can_be_asked_about(loaded, target, against, name):
    assert name in Case(*loaded, TEXT, target=target, against=against).asked.name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "word 10"}, "the text has 10 words, numbered from 0"),
        ({"target": "B-person"}, "expected 'word 3', a word of the text, or one of place, thing"),
        ({"target": "word 2 B-person"}, "no such output"),
        ({"target": "word 2 O", "against": "O"}, "target and against are both 'O'"),
        ({"removal": "delete"}, "a tag stands at its word"),
    ],
)
def test_what_cannot_be_asked_is_one_line(loaded, given, message):
    with pytest.raises(InputError, match=message) as error:
        Case(*loaded, TEXT, **given)
    assert "\n" not in str(error.value)


def test_a_word_behind_the_first_window_is_refused(loaded):
    with pytest.raises(InputError, match="word 99 has no token in the first window"):
        Case(*loaded, ["card"] * 120, target="word 99")


def test_the_row_of_eraser_has_the_explained_score(loaded):
    model, tokenizer = loaded
    found = explain(model, TEXT, processor=tokenizer, method="occlusion", target="word 3")
    row = eraser_row(found, "0")
    assert row["classification_scores"] == {found.target: pytest.approx(found.score, abs=1e-6)}


def test_the_page_to_try_a_model_says_entities_in_words(loaded):
    trial = Trial(*loaded, pairs=False)
    answers = list(trial.run("occlusion", -1, TEXT))
    assert trial.has_one_answer and len(answers) == 2
    assert "thing" in answers[0][0] or "place" in answers[0][0]
