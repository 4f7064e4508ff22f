"""Tokenizer and model agree on padding, longest input, added tokens, end tokens; or one line says why not."""

import json

import pytest
import torch
from tiny_models import quiet, tiny_model
from tiny_tokenizers import TOKENIZERS, byte_bpe, save_tiny, unigram, wordpiece
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import hf_attn
from hf_attn import models
from hf_attn.errors import InputError
from hf_attn.models import longest_input
from hf_attn.tasks.inputs.text import bring_together

TEXTS = ["my card was swallowed", "the machine at the station " * 30, "i want", "a", "by it now please", "was slow"]
LABELS = ["a", "b", "c"]


def together(folder, max_length=None, **kwargs):
    model, tokenizer = models.load(folder, labels=LABELS, **kwargs), models.load_tokenizer(folder)
    bring_together(model, tokenizer, max_length)
    return model.eval(), tokenizer


def probabilities(model, tokenizer, **kwargs):
    found = hf_attn.predict(model, TEXTS, processor=tokenizer, **kwargs)
    return torch.tensor([[row["probabilities"][name] for name in LABELS] for row in found])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", TOKENIZERS)
def test_a_batch_never_changes_probabilities(tmp_path, model_type, side):
    model, tokenizer = together(save_tiny(tmp_path, model_type, TOKENIZERS[model_type](padding_side=side)))
    alone, batched = (probabilities(model, tokenizer, batch_size=size) for size in (1, 6))
    torch.testing.assert_close(alone, batched, atol=1e-5, rtol=0)
    assert alone.std(0).max() > 1e-3


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gpt_neox", "opt"])
def test_a_padding_token_comes_to_model_and_tokenizer_and_is_saved_with_both(tmp_path, model_type):
    model, tokenizer = together(save_tiny(tmp_path, model_type))
    assert model.config.pad_token_id == tokenizer.pad_token_id == tokenizer.eos_token_id
    model.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert (again.pad_token_id, again.padding_side) == (tokenizer.pad_token_id, "right")
    ids = again(TEXTS, padding=True, truncation=True, max_length=20, return_tensors="pt")
    reloaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    for text, row in zip(TEXTS, reloaded(**ids).logits, strict=True):
        one = again(text, truncation=True, max_length=20, return_tensors="pt")
        torch.testing.assert_close(reloaded(**one).logits[0], row, atol=1e-4, rtol=1e-4)


def test_a_model_that_was_trained_without_padding_predicts_as_it_does_alone(tmp_path):
    folder = save_tiny(tmp_path, "gpt2")
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    expected = [model.eval()(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0] for text in TEXTS[2:]]
    found = [[row["probabilities"][name] for name in LABELS] for row in hf_attn.predict(folder, TEXTS[2:])]
    torch.testing.assert_close(torch.tensor(found), torch.stack(expected), atol=1e-6, rtol=0)
    hf_attn.predict(model, TEXTS[:2], processor=tokenizer)
    assert model.config.pad_token_id is None and tokenizer.pad_token is None


@pytest.mark.parametrize(
    "model_type",
    ["bert", "roberta", "mpnet", "bart", "opt", "gpt2", "esm", "nystromformer", "roformer", "xlm", "convbert", "luke"],
)
def test_the_longest_input_runs_and_one_token_more_does_not(model_type):
    cls = AutoModelForSequenceClassification._model_mapping[CONFIG_MAPPING[model_type]]
    with quiet():
        model = tiny_model(model_type, cls)
    longest = longest_input(model, wordpiece())
    end = model.config.eos_token_id if model.config.is_encoder_decoder else 5
    ids = torch.full((1, longest + 1), 5)
    ids[:, longest - 1 :] = end
    with torch.no_grad():
        assert model(input_ids=ids[:, :longest]).logits.isfinite().all()
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids)


def test_big_bird_fills_blocks(tmp_path):
    folder = save_tiny(
        tmp_path,
        "big_bird",
        attention_type="block_sparse",
        block_size=8,
        num_random_blocks=1,
        max_position_embeddings=116,
    )
    model, tokenizer = together(folder)
    assert tokenizer.model_max_length == 112
    assert probabilities(model, tokenizer).isfinite().all()


@pytest.mark.parametrize(
    ("model_type", "asked", "stated", "longest"),
    [
        ("bert", None, None, 48),
        ("bert", 256, None, 48),
        ("bert", 20, 30, 20),
        ("bert", None, 30, 30),
        ("bert", 10**30, 512, 48),
        ("roberta", 256, 512, 47),
        ("t5", None, None, None),
        ("t5", 256, None, 256),
        ("xlnet", None, None, None),
        ("llama", None, None, 48),
        ("llama", 100, None, 100),
    ],
)
def test_the_longest_input_is_the_least_of_what_is_known(tmp_path, model_type, asked, stated, longest):
    options = {} if stated is None else {"model_max_length": stated}
    folder = save_tiny(tmp_path, model_type, TOKENIZERS[model_type](**options))
    assert longest_input(models.load(folder), models.load_tokenizer(folder), asked) == longest


@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
def test_added_tokens_get_rows(tmp_path, model_type):
    tokenizer = TOKENIZERS[model_type]()
    rows = len(tokenizer)
    tokenizer.add_tokens(["<drug>", "aspirin"])
    model, tokenizer = together(save_tiny(tmp_path, model_type, tokenizer, vocab_size=rows))
    assert model.get_input_embeddings().weight.shape == (rows + 2, 32) and model.config.vocab_size == rows + 2
    assert tokenizer("aspirin", add_special_tokens=False)["input_ids"] == [rows + 1]
    hf_attn.predict(model, ["aspirin at <drug>"], processor=tokenizer)


def test_the_tokenizer_of_another_model_is_refused(tmp_path):
    folder = save_tiny(tmp_path, "bert", vocab_size=60)
    with pytest.raises(InputError, match=r"has \d+ tokens and the model 60: it is the tokenizer of another model"):
        together(folder)
    with pytest.raises(InputError, match=r"text 1 has the token .* and the model embeds 60 tokens"):
        hf_attn.predict(folder, ["a", "machine yesterday swallowed"])


def test_a_tokenizer_far_smaller_than_the_model_is_told(tmp_path, caplog):
    together(save_tiny(tmp_path, "bert", vocab_size=300))
    assert "tokens and the model 300: is it this model's?" in caplog.text


@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_an_encoder_decoder_classifies_by_the_end_that_its_tokenizer_puts(tmp_path, model_type):
    model, _ = together(save_tiny(tmp_path / "a", model_type, eos_token_id=9))
    assert model.config.eos_token_id == 1
    tokenizer = unigram()
    tokenizer._tokenizer.post_processor = byte_bpe()._tokenizer.post_processor
    with pytest.raises(InputError, match=r"puts no end token \(1\) after a text"):
        together(save_tiny(tmp_path / "b", model_type, tokenizer))


def test_token_types_go_only_to_a_model_that_has_embeddings_for_them(tmp_path):
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = wordpiece(model_input_names=names)
    for model_type in ("bert", "gpt2", "roberta", "distilbert"):
        folder = save_tiny(tmp_path / model_type, model_type, tokenizer)
        model, own = together(folder)
        assert own.model_input_names == (names if model_type == "bert" else names[::2])
        assert len(hf_attn.predict(model, ["a"], text_pair=["b"], processor=own)) == 1


def test_what_a_tokenizer_file_says_of_cutting_and_padding_does_not_leak(tmp_path):
    folder = save_tiny(tmp_path / "plain", "bert")
    expected = hf_attn.predict(folder, TEXTS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer._tokenizer.enable_truncation(5)
    tokenizer._tokenizer.enable_padding(length=40, pad_id=0)
    tokenizer._tokenizer.save(str(folder / "tokenizer.json"))
    assert json.loads((folder / "tokenizer.json").read_text())["padding"]["strategy"] == {"Fixed": 40}
    assert hf_attn.predict(folder, TEXTS) == expected


def test_predicting_leaves_a_users_tokenizer_as_it_was(tmp_path):
    model = models.load(save_tiny(tmp_path, "bert"))
    tokenizer = wordpiece(padding_side="left", model_max_length=20)
    hf_attn.predict(model, TEXTS, processor=tokenizer)
    assert (tokenizer.padding_side, tokenizer.model_max_length, tokenizer.split_special_tokens) == ("left", 20, False)
