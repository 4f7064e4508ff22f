"""A model that reads padding is found by asking it: a text's prediction is its own, and training says what it is."""

import logging

import pytest
import torch
from tiny_models import quiet
from tiny_tokenizers import TOKENIZERS, save_tiny, wordpiece

import hf_attn
from hf_attn import models
from hf_attn.tasks.inputs.text import bring_together

READS = ("fnet", "convbert", "mobilebert", "nystromformer", "yoso")
TEXTS = ["my card was swallowed", "the machine at the station " * 5, "i want", "a", "by it now please", "was slow"]


def saved(folder, model_type):
    with quiet():
        return save_tiny(folder, model_type, TOKENIZERS.get(model_type, wordpiece)())


def probabilities(run, **options):
    return torch.tensor([[row["probabilities"][name] for name in "abc"] for row in hf_attn.predict(run, **options)])


@pytest.mark.parametrize("model_type", READS)
def test_what_a_text_is_given_does_not_change_with_the_texts_beside_it(model_type, tmp_path):
    run = saved(tmp_path, model_type)
    alone = torch.cat([probabilities(run, inputs=[text]) for text in TEXTS])
    torch.testing.assert_close(probabilities(run, inputs=TEXTS, batch_size=6), alone, atol=1e-6, rtol=0)
    assert alone.std(0).max() > 1e-3


@pytest.mark.parametrize("model_type", [*READS, "bert", "roberta", "bart", "gpt2"])
def test_training_says_which_models_read_padding_and_draws_nothing(model_type, tmp_path, caplog):
    folder = saved(tmp_path, model_type)
    model, tokenizer = models.load(folder, labels=["a", "b"]), models.load_tokenizer(folder)
    before = torch.get_rng_state()
    with caplog.at_level(logging.WARNING, "hf_attn"):
        bring_together(model, tokenizer)
    assert ("reads padding" in caplog.text) == (model_type in READS)
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_that_does_not_read_padding_takes_texts_of_all_lengths_together(tmp_path, monkeypatch):
    model = hf_attn.load(saved(tmp_path, "bert"))
    sizes = []
    model.register_forward_hook(lambda module, args, kwargs, output: sizes.append(len(output.logits)), with_kwargs=True)
    hf_attn.predict(model, TEXTS)
    assert sizes == [1, 1, 6]  # one text alone and padded, then all


@pytest.mark.parametrize(("model_type", "reads"), [("bert", False), ("roberta", False), ("fnet", True), ("yoso", True)])
def test_a_model_with_an_answer_for_each_token_is_asked_about_its_own_tokens(model_type, reads, tmp_path, caplog):
    folder = saved(tmp_path, model_type)
    model = models.load(folder, task="token-classification", labels=["a", "b"])
    with caplog.at_level(logging.WARNING, "hf_attn"):
        bring_together(model, models.load_tokenizer(folder))
    assert ("reads padding" in caplog.text) == reads
