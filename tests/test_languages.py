"""Tokenizers of several languages: the code of each where the model's class wants it, in training and generation."""

import logging
import re

import pytest
from tiny_translators import WORDS, tiny_translator
from transformers import AutoTokenizer, MBartTokenizer, NllbTokenizer

import hf_attn
from hf_attn.errors import InputError
from hf_attn.tasks.targets import texts
from hf_attn.tasks.targets.texts.languages import of_targets, set_languages

LETTERS = sorted(set("".join([*WORDS, *WORDS.values(), "."])))


def mbart(**options):
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    return MBartTokenizer(vocab=pieces + [(letter, -2.0) for letter in LETTERS], **options)


def nllb(**options):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS]
    return NllbTokenizer(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[], **options)


CASES = {"mbart": (mbart, "en_XX", "de_DE"), "m2m_100": (nllb, "eng_Latn", "deu_Latn")}


def made(kind):
    maker, source, target = CASES[kind]
    tokenizer = maker()
    set_languages(tokenizer, source, target)
    model = tiny_translator(kind, tokenizer, init_std=0.3)
    options = texts.Options(source_lang=source, target_lang=target, max_target_length=12)
    return model, tokenizer, texts.made("translation", options, tokenizer, model)


@pytest.mark.parametrize("kind", CASES)
def test_sources_and_targets_have_the_codes_of_their_languages(kind):
    _, tokenizer, target = made(kind)
    _, source_code, target_code = CASES[kind]
    source, wanted = tokenizer("the dog")["input_ids"], target.targets("das Haus")["input_ids"]
    own = tokenizer(text_target="das Haus")["input_ids"]
    assert tokenizer.convert_tokens_to_ids(source_code) in source and wanted == own
    assert tokenizer.convert_tokens_to_ids(target_code) in wanted
    assert tokenizer("the dog")["input_ids"] == source


@pytest.mark.parametrize("kind", CASES)
def test_generation_starts_with_what_training_puts_there(kind):
    model, tokenizer, target = made(kind)
    code = tokenizer.convert_tokens_to_ids(CASES[kind][2])
    labels = target.targets("das Haus")["input_ids"]
    start = [target.start, labels[0]] if labels[0] == code else [target.start]
    found = model.generate(**tokenizer("the dog", return_tensors="pt"), generation_config=target.generation)[0]
    assert found[: len(start)].tolist() == start and code in start


@pytest.mark.parametrize("kind", CASES)
def test_a_saved_model_translates_into_the_language_it_was_trained_for(kind, tmp_path):
    model, tokenizer, _ = made(kind)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("the dog")["input_ids"] == tokenizer("the dog")["input_ids"]
    assert of_targets(again)("das")["input_ids"] == of_targets(tokenizer)("das")["input_ids"]
    assert hf_attn.predict(tmp_path, ["the dog"]) == hf_attn.predict(model, ["the dog"], processor=tokenizer)


@pytest.mark.parametrize("kind", CASES)
def test_a_model_that_says_no_language_is_told_and_one_that_was_trained_for_one_is_not(kind, caplog):
    plain, tokenizer = tiny_translator(kind, CASES[kind][0]()), CASES[kind][0]()
    with caplog.at_level(logging.WARNING):
        hf_attn.predict(made(kind)[0], ["the dog"], processor=tokenizer)
        assert not caplog.text
        hf_attn.predict(plain, ["the dog"], processor=tokenizer)
    code = re.search(r"\"forced_bos_token_id\": (\d+)} for (\w+)", caplog.text)
    assert "does not say which one to write" in caplog.text
    assert tokenizer.convert_tokens_to_ids(code[2]) == int(code[1])


@pytest.mark.parametrize("kind", CASES)
def test_unknown_and_missing_codes_are_one_line(kind):
    maker, source, target = CASES[kind]
    with pytest.raises(InputError, match="target_lang 'de' is no language of the tokenizer") as error:
        set_languages(maker(), source, "de")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="of several languages: give --source_lang.*give --target_lang"):
        set_languages(maker(), None, None)


def test_other_tokenizers_take_no_code_and_say_so(caplog):
    from tiny_translators import tiny_tokenizer

    assert set_languages(tiny_tokenizer(), None, None) is None and not caplog.text
    assert set_languages(tiny_tokenizer(), "en", None) is None
    assert "source_lang en: the tokenizer has no tokens of languages, so none is put before a text" in caplog.text
