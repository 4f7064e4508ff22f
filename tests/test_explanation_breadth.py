"""Explanation of every kind of text model, in every state a user may have it: a result, or a line that says why not."""

import json

import numpy as np
import pytest
import torch
from explained_models import IMAGE, case_of, explain, image_processor, loaded, plain_cnn
from tiny_models import quiet
from tiny_tokenizers import TOKENIZERS, save_tiny, wordpiece

from hf_attn import InputError
from hf_attn.explain.case import Case
from hf_attn.explain.methods import METHODS
from hf_attn.tasks.predict import load

QUICK = {"lime": {"samples": 40}, "kernel_shap": {"samples": 40}, "partition_shap": {"samples": 40}}
TEXT = "a movie, of two sentences; this is the second?"
ARCHITECTURES = (*TOKENIZERS, "distilbert", "electra", "deberta", "fnet")
GRADIENTS = ("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad")


@pytest.fixture(scope="module")
def models_of(tmp_path_factory):
    made = {}

    def model(model_type):
        if model_type not in made:
            folder = tmp_path_factory.mktemp(model_type)
            with quiet():
                made[model_type] = load(save_tiny(folder, model_type, TOKENIZERS.get(model_type, wordpiece)()))
        return made[model_type]

    return model


def run(name, model, text=TEXT, **how):
    return METHODS[name].run(Case(*model, text, **how), **QUICK.get(name, {}))


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_every_method_explains_or_says_why_it_does_not(model_type, models_of):
    model, explained = models_of(model_type), set()
    for name in METHODS:
        try:
            found = run(name, model)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        explained.add(name)
        assert found.weights.shape == (len(found.parts),) and np.isfinite(found.weights).all()
    assert explained >= {"occlusion", "lime", "kernel_shap", "partition_shap", "random", *GRADIENTS}


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_a_text_of_one_token_changes_nothing_for_the_next(model_type, models_of):
    fresh = run("attention", models_of(model_type)).weights
    import copy

    model, tokenizer = models_of(model_type)
    again = copy.deepcopy(model), tokenizer
    run("attention", again, "a")
    np.testing.assert_allclose(run("attention", again).weights, fresh, rtol=1e-5)


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "opt"])
def test_a_removed_word_is_no_padding_by_which_a_decoder_finds_the_end(model_type, models_of):
    case = Case(*models_of(model_type), TEXT)
    assert case.parted.gone != case.parted.pad
    keep = np.zeros((2, len(case)), bool)
    keep[1] = True
    batch = case.parted.kept(keep)
    with torch.no_grad():
        states = case.model.base_model(input_ids=batch["input_ids"][:1]).last_hidden_state[0]
        read = case.model.score(states)[-1] if hasattr(case.model, "score") else None
    if read is not None:
        np.testing.assert_allclose(case.answers(keep)[0], read.numpy(), rtol=1e-4, atol=1e-5)


def test_a_model_without_padding_is_explained_row_by_row(models_of):
    import copy

    model, tokenizer = models_of("gpt2")
    model = copy.deepcopy(model)
    model.config.pad_token_id = None
    for name in ("occlusion", "integrated_gradients", "smooth_grad"):
        assert np.isfinite(run(name, (model, tokenizer)).weights).all()


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_all_words_may_be_deleted_in_batches_of_any_size(batch_size, models_of):
    case = Case(*models_of("gpt2"), TEXT, removal="delete", batch_size=batch_size)
    keep = np.ones((3, len(case)), bool)
    keep[1] = False
    assert np.isfinite(case.scores(keep)).all()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_inside_a_block_without_gradients_all_is_the_same(context):
    for name in ("attention", "relevance", "integrated_gradients", "occlusion"):
        outside = METHODS[name].run(case_of("text")).weights
        with context():
            inside = METHODS[name].run(case_of("text")).weights
        np.testing.assert_allclose(inside, outside, rtol=1e-5, atol=1e-9)


def test_gradients_that_inputs_ask_for_do_no_harm(models_of):
    import copy

    model, tokenizer = models_of("bert")
    model = copy.deepcopy(model)
    model.enable_input_require_grads()
    for name in GRADIENTS:
        assert np.isfinite(run(name, (model, tokenizer)).weights).all()


@pytest.mark.parametrize("kind", ["text", "image", "plain CNN"])
def test_models_in_bfloat16_are_explained(kind):
    import copy

    model, processor = loaded(kind)
    model = copy.deepcopy(model).bfloat16()
    one = IMAGE if kind != "text" else "my card was swallowed"
    for name in ("occlusion", "integrated_gradients", "random"):
        assert np.isfinite(METHODS[name].run(Case(model, processor, one, segments=None)).weights).all()


def test_a_model_of_no_numbers_is_refused(models_of):
    import copy

    model = copy.deepcopy(loaded("text")[0])
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        Case(model, loaded("text")[1], "my card")


@pytest.mark.parametrize("text", ["\u200b", "\u202e\u202d", "\x00"])
def test_a_text_of_which_nothing_is_left_is_refused(text, models_of):
    with pytest.raises(InputError, match="empty"):
        Case(*models_of("bert"), text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ভালো ছবি", ["ভালো", "ছবি"]),
        ("مُحَمَّدٌ جَمِيلٌ", ["مُحَمَّدٌ", "جَمِيلٌ"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("don't re-read", ["don't", "re-read"]),
    ],
)
def test_words_keep_the_marks_that_stand_on_their_letters(text, words):
    from hf_attn.tasks.inputs.text.words import WORD

    assert [match[0] for match in WORD.finditer(text)] == words


def test_what_is_too_far_on_is_said(models_of):
    found = run("occlusion", loaded("text"), "my card " * 40)
    assert "are not read" in found.left_out and found.left_out in json.loads(found.to_json())["left_out"]
    assert run("occlusion", loaded("text"), "my card").left_out == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "seed -1"),
        ({"seed": 1.5}, "seed 1.5"),
        ({"seed": None}, "seed None"),
        ({"samples": 10**9}, "samples 1000000000"),
        ({"samples": "9"}, "samples '9'"),
        ({"samples": True}, "samples True"),
        ({"depth": 3}, "no option 'depth'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        METHODS["lime"].run(case_of("text"), **options)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", True])
def test_batches_of_no_size_are_refused(batch_size):
    with pytest.raises(InputError, match="batch_size"):
        case_of("text", batch_size=batch_size)


def test_a_model_that_gives_no_answer_is_refused():
    from transformers import BertModel

    model, tokenizer = loaded("text")
    with pytest.raises(InputError, match="expected a model that classifies"):
        explain(BertModel(model.config), tokenizer, "my card")
    with pytest.raises(InputError, match="expected a model that classifies"):
        explain(plain_cnn().resnet, image_processor(), IMAGE)


def test_of_a_few_words_it_is_said_that_nothing_can_be_told():
    found = explain(*loaded("text"), "my card", method="occlusion")
    assert "cannot be told from chance" in str(found)
