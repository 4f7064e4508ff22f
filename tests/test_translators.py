"""Encoder-decoders of each family: their decoders' inputs, losses, texts, variants, languages, where they attend."""

import copy
import json
import logging
import re

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from tiny_translators import FAMILIES, WORDS, pairs, save_tiny_translator, tiny_tokenizer, tiny_translator

import hf_attn
from hf_attn.cli.main import dispatch
from hf_attn.errors import InputError
from hf_attn.interface.arguments import parse
from hf_attn.recipes import translation
from hf_attn.tasks.inputs import text
from hf_attn.tasks.targets import texts
from hf_attn.tasks.targets.generation import in_words
from hf_attn.tasks.targets.texts.generation import greedy, outputs
from hf_attn.tasks.targets.texts.making import encode, tell_short
from hf_attn.tasks.targets.texts.start import start_token

TOKENIZER = tiny_tokenizer()
GIVEN = [source for source, _ in pairs(7, 5)]
CROSS = {"t5": "EncDecAttention"}


def target_of(model, tokenizer=TOKENIZER, **options):
    options = {"max_target_length": 24, **options}
    return texts.made("translation", texts.Options(**options), tokenizer, model)


def batch_of(target, rows=7, multiple=1):
    split = [
        {"input_ids": TOKENIZER(a)["input_ids"], "attention_mask": TOKENIZER(a)["attention_mask"], "ids": at}
        | {"labels": TOKENIZER(b)["input_ids"]}
        for at, (a, b) in enumerate(pairs(rows, 5))
    ]
    return texts.collate(text.collate(TOKENIZER, multiple), target.start, target.pad, multiple)(split)


def written(model, **options):
    inputs = TOKENIZER(GIVEN, return_tensors="pt", padding=True)
    config = copy.deepcopy(target_of(model).generation)
    for name, value in {"max_new_tokens": 12, **options}.items():
        setattr(config, name, value)
    return [row.tolist() for row in outputs(model, dict(inputs), config)]


@pytest.mark.parametrize("kind", FAMILIES)
def test_decoders_read_what_their_class_makes_of_labels(kind):
    model = tiny_translator(kind, TOKENIZER)
    batch = batch_of(target_of(model))
    seen = []
    decoder = model.get_decoder()
    hook = decoder.register_forward_pre_hook(lambda _, a, k: seen.append(k["input_ids"]), with_kwargs=True)
    model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"])
    hook.remove()
    kept = batch["labels"] != -100
    assert torch.equal(seen[0][kept], batch["decoder_input_ids"][kept])


@pytest.mark.parametrize("kind", FAMILIES)
def test_loss_is_the_classes_own_summed_over_target_tokens(kind):
    model = tiny_translator(kind, TOKENIZER)
    target = target_of(model)
    batch = batch_of(target)
    own = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss
    assert float(target.loss(model, batch) / target.count(batch)) == pytest.approx(float(own), rel=1e-5)
    assert int(target.count(batch)) == sum(len(TOKENIZER(b)["input_ids"]) for _, b in pairs(7, 5))
    by_row = target.row_losses_of(model, batch)
    assert sum(row.loss for row in by_row) == pytest.approx(float(target.loss(model, batch)), rel=1e-5)


def test_padding_never_changes_a_loss():
    model = tiny_translator("mbart", TOKENIZER)
    target = target_of(model)
    one, wide = (target.row_losses_of(model, batch_of(target, multiple=multiple)) for multiple in (1, 16))
    assert [row.loss for row in wide] == pytest.approx([row.loss for row in one], rel=1e-5)


def test_smoothing_is_that_of_torch_and_not_in_the_loss_of_evaluation():
    model = tiny_translator("mbart", TOKENIZER)
    plain, smooth = target_of(model), target_of(model, label_smoothing=0.1)
    batch = batch_of(plain)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    given = model(**inputs).logits.flatten(0, 1), batch["labels"].flatten()
    own = torch.nn.functional.cross_entropy(*given, reduction="sum", label_smoothing=0.1)
    assert float(smooth.loss(model, batch)) == pytest.approx(float(own), rel=1e-5)
    assert smooth.row_losses_of(model, batch) == plain.row_losses_of(model, batch)


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("kind", FAMILIES)
def test_texts_are_those_of_generate_one_by_one(kind, beams):
    model = tiny_translator(kind, TOKENIZER)
    together = written(model, num_beams=beams)
    target = target_of(model)
    for source, ids in zip(GIVEN, together, strict=True):
        config = copy.deepcopy(target.generation)
        config.update(max_new_tokens=12, num_beams=beams)
        own = model.generate(**TOKENIZER(source, return_tensors="pt"), generation_config=config)[0]
        assert TOKENIZER.decode(ids) == TOKENIZER.decode(own, skip_special_tokens=True)


VARIANTS = ["cosine", "additive", "entmax15", "talking_heads"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["mbart", "marian", "t5"])
def test_variants_that_start_as_identity_write_the_same_texts(kind, variant):
    stock = tiny_translator(kind, TOKENIZER)
    options = {"mix": 0.0} if variant == "entmax15" else {}
    for include in ("", CROSS.get(kind, "encoder_attn")):
        swapped = hf_attn.swap_attention(tiny_translator(kind, TOKENIZER), variant, include, **options)
        for beams in (1, 4):
            assert written(swapped, num_beams=beams) == written(stock, num_beams=beams)


@pytest.mark.parametrize("variant", ["entmax15", "sigmoid", "additive"])
def test_a_cache_changes_no_text(variant):
    model = hf_attn.swap_attention(tiny_translator("mbart", TOKENIZER), variant)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".hf_attn." in name:
                parameter.normal_(std=0.5)
    assert written(model, use_cache=True) == written(model, use_cache=False)


def test_sampling_is_drawn_by_its_seed_and_leaves_the_random_state():
    model = tiny_translator("mbart", TOKENIZER)
    before = torch.get_rng_state()
    one, two, other = (written(model, do_sample=True, seed=seed) for seed in (1, 1, 2))
    assert one == two != other and torch.equal(torch.get_rng_state(), before)


def test_evaluation_is_greedy_whatever_the_options():
    config = target_of(tiny_translator("mbart", TOKENIZER), num_beams=4, length_penalty=2.0).generation
    assert config.num_beams == 4 and greedy(config).num_beams == 1 and not greedy(config).do_sample
    assert greedy(config).max_new_tokens == 24


def test_options_of_generation_are_saved_and_used_by_predict(tmp_path):
    model = tiny_translator("mbart", TOKENIZER)
    target_of(model, num_beams=3, no_repeat_ngram_size=2, max_new_tokens=5)
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    found = hf_attn.predict(tmp_path, GIVEN)
    config = copy.deepcopy(model.generation_config)
    assert (config.num_beams, config.no_repeat_ngram_size, config.max_new_tokens) == (3, 2, 5)
    own = [model.generate(**TOKENIZER(one, return_tensors="pt"), generation_config=config)[0] for one in GIVEN]
    assert [row["translation_text"] for row in found] == [
        TOKENIZER.decode(row, skip_special_tokens=True).strip() for row in own
    ]
    assert found == hf_attn.predict(tmp_path, GIVEN, batch_size=1)


def test_answers_are_named_by_the_task(tmp_path):
    model = tiny_translator("t5", TOKENIZER)
    texts.made("summarization", texts.Options(max_target_length=4), TOKENIZER, model)
    assert set(hf_attn.predict(model, ["one dog"], processor=TOKENIZER)[0]) == {"summary_text"}


def test_the_command_writes_as_generation_says(tmp_path, capsys):
    folder = save_tiny_translator(tmp_path / "model")
    (tmp_path / "a.txt").write_text("\n".join(GIVEN))
    for how in (
        {"num_beams": 3, "length_penalty": 2.0, "max_new_tokens": 7},
        {"max_new_tokens": 9, "no_repeat_ngram_size": 1},
        {"do_sample": True, "seed": 5, "max_new_tokens": 9},
    ):
        output = ["--output", str(tmp_path / "out.jsonl"), "--overwrite"]
        dispatch(["predict", str(folder), str(tmp_path / "a.txt"), "--generation", json.dumps(how), *output])
        found = [json.loads(line)["translation_text"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert found == [row["translation_text"] for row in hf_attn.predict(folder, GIVEN, generation=how)]
    draws = [hf_attn.predict(folder, GIVEN, generation={**how, "seed": seed}) for seed in (5, 6)]
    assert found == [row["translation_text"] for row in draws[0]] and draws[0] != draws[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("num_beams=4", "expected fields of GenerationConfig as JSON, such as"),
        ("[4]", "expected fields of GenerationConfig as JSON"),
        ("{}", "expected fields of GenerationConfig as JSON"),
        ('{"beams": 4}', "GenerationConfig has no 'beams'"),
        ('{"num_beam": 4}', "did you mean 'num_beams'"),
        ('{"num_beams": "4"}', "num_beams is '4': expected a whole number"),
        (
            '{"do_sample": 1, "seed": 0.5}',
            "do_sample is 1: expected true or false; seed is 0.5: expected a whole number",
        ),
        ('{"num_beams": 0}', "num_beams is 0: it must be at least 1"),
        ('{"do_sample": true, "temperature": 0}', "temperature is 0: it must be above 0"),
        ('{"do_sample": true, "top_p": 2}', "top_p is 2: it must be above 0 and at most 1"),
        ('{"num_return_sequences": 2, "num_beams": 2}', "num_return_sequences is 2: each input has one text"),
        ('{"return_dict_in_generate": true}', "return_dict_in_generate is True: each input has one text"),
        ('{"max_length": 5}', "max_length is 5: give max_new_tokens"),
    ],
)
def test_generation_that_cannot_be_is_refused_before_a_model_is_loaded(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        dispatch(["predict", "no/such/folder", "the dog runs", "--generation", given])


def test_each_source_has_its_own_text_whatever_the_checkpoint_says():
    several, one = (tiny_translator("mbart", TOKENIZER, init_std=0.3) for _ in range(2))
    for model, count in ((several, 3), (one, 1)):
        target_of(model, num_beams=3)
        model.generation_config.num_return_sequences = count
        model.generation_config.return_dict_in_generate = count > 1
    found = hf_attn.predict(several, GIVEN, processor=TOKENIZER)
    assert found == hf_attn.predict(one, GIVEN, processor=TOKENIZER) and len(found) == len(GIVEN)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"min_new_tokens": 40}, "min_new_tokens is 40 and max_new_tokens 24: no text could end"),
        ({"min_length": 40}, "min_length .* is 40 and max_new_tokens 24: no text could end"),
        ({"max_new_tokens": 500}, "max_new_tokens is 500: the decoder has 160 positions"),
        ({"forced_bos_token_id": 9999}, "9999 is out of bounds"),
        ({"length_penalty": 2.0}, "generation: length_penalty needs num_beams above 1$"),
        ({"temperature": 0.5, "top_p": 0.9}, "generation: temperature and top_p need do_sample true$"),
        ({"num_beams": 4, "num_beam_groups": 2}, "Group Beam Search requires"),
        ({"bad_words_ids": [5]}, "has to be a list of lists"),
    ],
)
def test_generation_that_a_model_cannot_is_one_line(asked, message):
    model = tiny_translator("mbart", TOKENIZER)
    target_of(model)
    with pytest.raises(InputError, match=message) as error:
        hf_attn.predict(model, GIVEN, processor=TOKENIZER, generation=asked)
    assert "\n" not in str(error.value)


def test_a_checkpoint_whose_texts_could_not_end_is_refused_before_training():
    model = tiny_translator("bart", TOKENIZER)
    model.generation_config.min_length = 56
    with pytest.raises(InputError, match="min_length .* is 56 and max_new_tokens 24: .* give other min_new_tokens"):
        target_of(model)
    assert target_of(model, min_new_tokens=0).generation.min_length is None


def test_targets_shorter_than_a_checkpoint_writes_are_told(caplog):
    config = target_of(tiny_translator("bart", TOKENIZER)).generation
    with caplog.at_level(logging.WARNING):
        tell_short([[1] * 4, [1] * 9], config)
        assert not caplog.text
        config.min_length = 5
        tell_short([[1] * 4, [1] * 9], config)
    assert "1 of 2 targets of train are shorter than min_length 5" in caplog.text


@pytest.mark.parametrize(
    ("checkpoint", "asked", "words"),
    [
        ({"num_beams": 4, "early_stopping": True, "length_penalty": 2.0}, {"num_beams": 1}, "greedy"),
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.9}, {"do_sample": False}, "greedy"),
        ({"temperature": 0.9, "top_p": 0.6}, {}, "greedy"),
        ({"num_beams": 4, "length_penalty": 2.0}, {}, "num_beams 4, length_penalty 2.0"),
        ({"do_sample": True, "temperature": 0.7}, {}, "do_sample True, temperature 0.7"),
    ],
)
def test_a_checkpoints_own_way_to_write_is_left_where_another_is_asked_for_and_named_where_not(
    checkpoint, asked, words
):
    model = tiny_translator("bart", TOKENIZER)
    for name, value in checkpoint.items():
        setattr(model.generation_config, name, value)
    config = target_of(model, **asked).generation
    told = [one for one in in_words(config).split(", ") if not one.startswith("max_new_tokens")]
    assert ", ".join(told) == words
    assert (getattr(config, "seed", None) is not None) == bool(config.do_sample)
    hf_attn.predict(model, GIVEN[:1], processor=TOKENIZER, generation={"do_sample": False, "num_beams": 1})


def test_texts_without_a_prefix_that_the_model_knows_are_told(caplog):
    tasks = {"summarization": {"prefix": "summarize: "}, "translation_en_to_de": {"prefix": "translate: "}}
    splits = DatasetDict(train=Dataset.from_dict({"source": GIVEN, "target": GIVEN}))
    for put, told in (("", True), ("translate: ", False)):
        model = tiny_translator("t5", TOKENIZER)
        model.config.task_specific_params = tasks
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            hf_attn.predict(model, [put + one for one in GIVEN], processor=TOKENIZER)
            assert ("such as 'summarize: ', and these have none" in caplog.text) == told
            args = parse(translation.Config, ["--model", "m", "--dataset", "d", "--source_prefix", put], recipe="t")
            encode(splits, args, TOKENIZER, model, text.with_labels)
            assert ("--source_prefix puts one before each" in caplog.text) == told


def test_the_prefix_of_training_is_put_before_what_is_predicted():
    model = tiny_translator("t5", TOKENIZER)
    target_of(model, max_target_length=6)
    plain = hf_attn.predict(model, ["translate: the dog runs"], processor=TOKENIZER)
    model.config.task_specific_params = {"translation_en_to_de": {"prefix": "translate: "}}
    assert hf_attn.predict(model, ["the dog runs"], processor=TOKENIZER) == plain


@pytest.mark.parametrize("kind", FAMILIES)
def test_words_are_aligned_by_the_cross_attention(kind):
    model = tiny_translator(kind, TOKENIZER)
    target_of(model)
    seen = text.align(model, TOKENIZER, "the dog runs.", "das Haus läuft.")
    assert list(seen.sources) == ["the", "dog", "runs", "."] and list(seen.written) == ["das", "Haus", "läuft", "."]
    assert seen.weights.shape == (2, 4, 4, 4)
    assert (seen.shown.sum(1) <= 1 + 1e-5).all() and (seen.shown.sum(1) > 0.5).all()


def test_a_decoder_without_a_start_token_is_told():
    model = tiny_translator("bart", TOKENIZER)
    model.config.decoder_start_token_id = None
    with pytest.raises(InputError, match="does not say what its decoder starts with"):
        start_token(model, [5, 6, 2])


def test_a_tokenizer_that_ends_no_text_is_refused():
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(InputError, match="puts no end token after a text"):
        target_of(tiny_translator("bart", tokenizer), tokenizer)


def test_scores_need_targets_and_a_loss_that_is_finite():
    from hf_attn.tasks.targets.texts.texts import Output
    from hf_attn.training.evaluation import Predictions

    target = target_of(tiny_translator("mbart", TOKENIZER))
    with pytest.raises(InputError, match="no target texts"):
        target.scores(Predictions(np.arange(1), [Output(np.array([5]))]))
    with pytest.raises(FloatingPointError, match="first: row 0"):
        target.scores(Predictions(np.arange(1), [Output(None, float("nan"), 3)]))


def test_a_special_token_spelled_in_a_text_stays_text():
    assert set(WORDS)  # the corpus has none of them
    splits = {"train": {"t": ["a </s> b"]}}
    from datasets import Dataset, DatasetDict

    made = text.with_labels(DatasetDict({k: Dataset.from_dict(v) for k, v in splits.items()}), TOKENIZER, "t", 24)
    ids = made["train"]["labels"][0]
    assert ids.count(TOKENIZER.eos_token_id) == 1 and TOKENIZER.decode(ids[:-1]).strip() == "a </s> b"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text_pair": ["the cat"]}, "a model that writes a text from another takes one each"),
        ({"top_k": 3}, "top_k is 3: a text has one answer"),
    ],
)
def test_what_a_translator_does_not_take_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        hf_attn.predict(tiny_translator("bart"), ["the dog"], processor=tiny_tokenizer(), **given)
