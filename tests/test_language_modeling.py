"""Language modelling: packed texts that do not see each other, masks, scores, and models that others go on from."""

import json
import logging
import math

import numpy as np
import pandas as pd
import pytest
import torch
from recipe_table import save_reviews
from safetensors.torch import load_file
from tiny_bert import save_tiny_bert
from tiny_tokenizers import byte_bpe
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    pipeline,
)

import hf_attn
from hf_attn.errors import InputError
from hf_attn.models.packed import first_position_of, looks_ahead, packing_of, together
from hf_attn.models.token_logits import logits_at
from hf_attn.recipes import language_modeling, text_classification
from hf_attn.tasks.inputs.text.packing import fill
from hf_attn.tasks.inputs.text.unlabelled import words_of
from hf_attn.tasks.targets.tokens import masking

SMALL = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
LENGTH = 48


def made(cls, config):
    torch.manual_seed(0)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model


MODELS = {
    "bert": (lambda: made(BertForMaskedLM, BertConfig(**SMALL, max_position_embeddings=64)), False),
    "roberta": (lambda: made(RobertaForMaskedLM, RobertaConfig(**SMALL, max_position_embeddings=64)), False),
    "modernbert": (
        lambda: made(ModernBertForMaskedLM, ModernBertConfig(**SMALL, pad_token_id=0, local_attention=128)),
        False,
    ),
    "bert decoder": (
        lambda: made(BertLMHeadModel, BertConfig(**SMALL, max_position_embeddings=64, is_decoder=True)),
        True,
    ),
    "gpt2": (
        lambda: made(GPT2LMHeadModel, GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=64)),
        True,
    ),
}
"""Models that take several texts a row, and whether they are causal."""


@pytest.mark.parametrize("name", MODELS)
def test_a_text_in_a_packed_row_gets_the_logits_that_it_gets_alone(name):
    make, causal = MODELS[name]
    model = make()
    packing = packing_of(model, range(5, 99), LENGTH, causal=causal)
    texts = torch.randint(5, 99, (LENGTH,), generator=torch.Generator().manual_seed(3)).split([7, 20, 1, 15, 5])
    inputs = together(texts, first_position_of(model))
    with torch.no_grad():
        shared = model(**packing(inputs, model.dtype)).logits[0].split([len(text) for text in texts])
        for text, found in zip(texts, shared, strict=True):
            torch.testing.assert_close(found, model(input_ids=text[None]).logits[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["entmax15", "talking_heads", "cosine", "local"])
def test_variants_keep_packed_texts_apart_or_say_that_they_do_not(variant):
    model = hf_attn.swap_attention(MODELS["bert"][0](), variant)
    packing = packing_of(model, range(5, 99), LENGTH, causal=False)
    assert packing is not None
    changed = together([torch.arange(5, 15), torch.arange(20, 50)])
    other = together([torch.arange(5, 15), torch.arange(50, 80)])
    with torch.no_grad():
        one, two = (model(**packing(inputs, model.dtype)).logits[0, :10] for inputs in (changed, other))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_models_that_mix_texts_whatever_they_are_given_are_found_by_trying():
    deberta = DebertaV2Config(
        **SMALL, max_position_embeddings=64, relative_attention=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0
    )
    assert packing_of(made(DebertaV2ForMaskedLM, deberta), range(5, 99), LENGTH, causal=False) is None
    windows = made(ModernBertForMaskedLM, ModernBertConfig(**SMALL, pad_token_id=0, local_attention=16))
    assert packing_of(windows, range(5, 99), LENGTH, causal=False) is None, "its windows are lost in a mask of blocks"


def test_an_encoder_is_not_taken_for_a_causal_model():
    assert looks_ahead(MODELS["bert"][0](), range(5, 99))
    assert not looks_ahead(MODELS["gpt2"][0](), range(5, 99))


@pytest.mark.parametrize("name", MODELS)
def test_logits_of_some_tokens_are_those_of_all(name):
    model = MODELS[name][0]()
    ids, where = torch.randint(5, 99, (3, 12)), torch.rand(3, 12) < 0.3
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[where]
        found = logits_at(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, where)
        again = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert again.shape == (3, 12, 99), "the model is left as it was"


def test_rows_are_filled_without_waste_and_every_piece_is_in_one_of_them():
    lengths = np.random.default_rng(0).integers(4, 40, 3000)
    rows = fill(lengths, 128)
    assert sorted(piece for row in rows for piece in row) == list(range(3000))
    sums = [lengths[row].sum() for row in rows]
    assert max(sums) <= 128
    assert len(rows) <= math.ceil(lengths.sum() / 128) + 1, "one row more than the least there can be"


def test_words_are_masked_whole_at_the_rate_and_in_the_shares_of_bert():
    words = np.array([-1, 0, 1, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12, 12, -1])
    ids, ordinary = np.arange(100, 100 + len(words)), np.arange(200, 1000)
    hidden = replaced = kept = chosen = 0
    seen = np.zeros(len(words))
    for seed in range(3000):
        random = np.random.default_rng(seed)
        given, truth = masking.masked(ids, words, 0.15, 4, ordinary, random)
        picked = truth != -100
        assert (
            not picked[[0, -1]].any()
            and (truth[picked] == ids[picked]).all()
            and (given[~picked] == ids[~picked]).all()
        )
        for number in range(13):
            assert len(set(picked[words == number].tolist())) == 1, "a word is hidden whole"
        seen += picked
        chosen += picked.sum()
        hidden += (given[picked] == 4).sum()
        replaced += (given[picked] >= 200).sum()
        kept += (given[picked] == ids[picked]).sum()
    assert 0.12 < chosen / (3000 * 19) < 0.18
    assert [hidden / chosen, replaced / chosen, kept / chosen] == pytest.approx([0.8, 0.1, 0.1], abs=0.015)
    assert seen[1:-1].min() > 0.05 * 3000, "long words have their turn"


def test_words_are_those_that_explanations_know(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_bert(tmp_path / "model"))
    text = "my cards [MASK] , now"
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    words = words_of(tokenizer, [text], [ids])[0]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert words[tokens.index("card")] == words[tokens.index("##s")]
    assert len(set(words)) == len(tokens) - 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny BERT of a classifier, reviews, and a run of each objective."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "data").mkdir()
    save_reviews(folder / "data")
    save_tiny_bert(folder / "model")
    for objective in ("masked", "causal"):
        language_modeling.main(arguments(folder, objective, "--objective", objective, "--epochs", "10", "--lr", "3e-3"))
    return folder


def arguments(folder, run, *more):
    argv = [
        "--model",
        folder / "model",
        "--dataset",
        folder / "data",
        "--output_dir",
        folder / run,
        "--precision",
        "no",
    ]
    return [str(word) for word in [*argv, "--batch_size", "4", "--block_size", "24", *more]]


def test_predictions_are_a_row_a_text_and_add_up_to_the_scores(tiny):
    for run in ("masked", "causal"):
        rows = pd.read_parquet(tiny / run / "predictions.parquet")
        scores = json.loads((tiny / run / "run.json").read_text())["scores"]["test"]
        texts = pd.read_csv(tiny / "data/test.csv")["text"]
        assert rows["id"].tolist() == list(range(len(texts)))
        nats = (rows["loss"] * rows["tokens"]).sum()
        assert nats / rows["tokens"].sum() == pytest.approx(scores["loss"])
        assert scores["perplexity"] == pytest.approx(math.exp(scores["loss"]))
        assert (rows["accuracy"] * rows["tokens"]).sum() / rows["tokens"].sum() == pytest.approx(scores["accuracy"])
        if run == "causal":
            assert rows["bytes"].tolist() == [len(text.encode()) for text in texts]
            assert scores["bits_per_byte"] == pytest.approx(nats / math.log(2) / rows["bytes"].sum())


def test_the_causal_loss_is_that_of_a_plain_loop_over_each_text(tiny):
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tiny / "causal").eval(),
        AutoTokenizer.from_pretrained(tiny / "causal"),
    )
    rows = pd.read_parquet(tiny / "causal/predictions.parquet")
    for text, row in zip(pd.read_csv(tiny / "data/test.csv")["text"], rows.itertuples(), strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            loss = model(input_ids=ids, labels=ids).loss
        assert row.tokens == ids.shape[1] - 1
        assert row.loss == pytest.approx(float(loss), abs=1e-4)


def test_a_long_text_goes_on_in_the_next_row_and_none_of_it_is_lost(tiny, tmp_path):
    texts = ["my card was swallowed by the machine at the station yesterday evening " * 3] * 4
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "test.csv", index=False)
    pd.read_csv(tiny / "data/train.csv").to_csv(tmp_path / "train.csv", index=False)
    argv = arguments(
        tiny, "long", "--objective", "causal", "--dataset", tmp_path, "--max_steps", "1", "--overwrite", "true"
    )
    language_modeling.main(argv)
    rows = pd.read_parquet(tiny / "long/predictions.parquet")
    assert rows["tokens"].tolist() == [len(texts[0].split()) + 1] * 4


def test_masks_of_what_is_scored_are_the_same_in_every_run(tiny):
    for seed in ("1", "2"):
        language_modeling.main(arguments(tiny, f"seed{seed}", "--seed", seed, "--lr", "1e-12", "--max_steps", "1"))
    one, two = (pd.read_parquet(tiny / f"seed{seed}/predictions.parquet")["tokens"] for seed in ("1", "2"))
    assert one.tolist() == two.tolist()


def test_packed_rows_train_as_padded_ones_do(tiny):
    still = [
        "--config_options",
        '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}',
        "--max_steps",
        "1",
    ]
    still += ["--batch_size", "200", "--objective", "causal", "--lr", "1e-2", "--warmup", "0"]
    for packing in ("true", "false"):
        language_modeling.main(arguments(tiny, f"packing-{packing}", *still, "--packing", packing))
    one, two = (load_file(tiny / f"packing-{packing}/model.safetensors") for packing in ("true", "false"))
    first = json.loads((tiny / "packing-true/log.jsonl").read_text().splitlines()[0])
    second = json.loads((tiny / "packing-false/log.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(second["loss"], rel=1e-5)
    assert first["grad_norm"] == pytest.approx(second["grad_norm"], rel=1e-4)
    assert one.keys() == two.keys()


def test_the_pooler_is_kept_and_a_classifier_made_of_the_run_has_all_of_the_encoder(tiny, caplog):
    before, run = load_file(tiny / "model/model.safetensors"), load_file(tiny / "masked/model.safetensors")
    assert torch.equal(run["bert.pooler.dense.weight"], before["bert.pooler.dense.weight"])
    with caplog.at_level("INFO", logger="hf_attn"):
        model = hf_attn.load(tiny / "masked", task="text-classification", labels=["lost", "paid"])
    assert "new parameters: classifier.bias, classifier.weight" in caplog.text
    for name, value in model.bert.state_dict().items():
        assert torch.equal(value, run[f"bert.{name}"]), name


def test_a_continued_encoder_is_fine_tuned_by_the_classification_recipe(tiny):
    argv = ["--model", tiny / "masked", "--dataset", tiny / "data", "--output_dir", tiny / "classifier", "--lr", "1e-3"]
    scores = text_classification.main([str(word) for word in [*argv, "--precision", "no", "--batch_size", "8"]])
    assert scores["accuracy"] > 0.8


def test_a_causal_encoder_becomes_one_that_sees_both_sides_for_a_classifier(tiny, caplog):
    with caplog.at_level("INFO", logger="hf_attn"):
        model = hf_attn.load(tiny / "causal", task="text-classification", labels=["lost", "paid"])
    assert model.config.is_decoder is False and "sees those on both sides" in caplog.text


def test_words_at_a_mask_are_those_of_the_pipeline(tiny):
    run, texts = tiny / "masked", ["my card was [MASK]", "i want to [MASK] with it"]
    fill_mask = pipeline("fill-mask", model=str(run), tokenizer=str(run))
    found = hf_attn.predict(run, texts, top_k=3)
    for answer, expected in zip(found, fill_mask(texts, top_k=3), strict=True):
        assert [one["token_str"] for one in answer["tokens"]] == [one["token_str"] for one in expected]
        assert [one["sequence"] for one in answer["tokens"]] == [one["sequence"] for one in expected]
        np.testing.assert_allclose(
            [one["score"] for one in answer["tokens"]], [one["score"] for one in expected], atol=1e-5
        )
        assert answer["token_str"] == expected[0]["token_str"] and answer["score"] == answer["tokens"][0]["score"]
    assert type(AutoModelForMaskedLM.from_pretrained(run)).__name__ == "BertForMaskedLM"


def test_several_masks_are_filled_each_and_a_batch_changes_nothing(tiny):
    texts = ["[MASK] card was [MASK]", "pay with [MASK]"]
    together, alone = hf_attn.predict(tiny / "masked", texts), hf_attn.predict(tiny / "masked", texts, batch_size=1)
    assert [len(one["tokens"]) for one in together] == [2, 1]
    assert [one["token_str"] for one in together] == [one["token_str"] for one in alone]
    assert "[MASK]" not in together[0]["sequence"]


def test_generated_text_is_that_of_transformers_and_takes_fields_of_generation_config(tiny):
    run, texts = tiny / "causal", ["my card", "i want to pay", "no"]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(run).eval(), AutoTokenizer.from_pretrained(run)
    for how in ({"max_new_tokens": 4}, {"num_beams": 3, "max_new_tokens": 4, "no_repeat_ngram_size": 1}):
        found = hf_attn.predict(run, texts, generation=how)
        for text, answer in zip(texts, found, strict=True):
            ids = torch.tensor([tokenizer(text)["input_ids"][:-1]])
            more = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_length=None, **how)
            assert answer["generated_text"] == tokenizer.decode(more[0], skip_special_tokens=True)
            assert answer["generated_text"] == text + answer["continuation"]
    made = pipeline("text-generation", model=str(run), tokenizer=str(run))("my card", max_new_tokens=3)
    assert made[0]["generated_text"].startswith("my card")


def test_sampling_is_the_same_each_time_and_hangs_on_the_seed(tiny):
    draw = {"do_sample": True, "max_new_tokens": 8, "top_k": 20}
    one, two = (hf_attn.predict(tiny / "causal", ["my card"], generation=draw) for _ in range(2))
    assert one == two


BAD_GIVEN = {
    "no mask": ("masked", ["my card"], {}, r"1 of 1 texts have no \[MASK\]"),
    "a pair": ("masked", ["a [MASK]"], {"text_pair": ["b"]}, "takes one text each"),
    "a mask beyond the model": ("masked", ["my " * 60 + "[MASK]"], {}, r"\[MASK\] of 1 texts is beyond"),
    "too many words": ("masked", ["a [MASK]"], {"top_k": 101}, "expected at most 100"),
    "writing that does not write": ("masked", ["a [MASK]"], {"generation": {"num_beams": 2}}, "for models that write"),
    "a prompt as long as the model": ("causal", ["my card " * 40], {}, "nothing can be added; shorten them"),
    "labels of a prompt": ("causal", ["my card"], {"top_k": 3}, "a prompt has one answer"),
    "an unknown field": ("causal", ["my card"], {"generation": {"beams": 2}}, "GenerationConfig has no 'beams'"),
    "a value that is none": ("causal", ["my card"], {"generation": {"max_new_tokens": -1}}, "max_new_tokens"),
    "a pair of prompts": ("causal", ["my card"], {"text_pair": ["b"]}, "takes one each"),
}


@pytest.mark.parametrize("case", BAD_GIVEN)
def test_what_a_language_model_cannot_answer_is_one_line(tiny, case):
    run, texts, options, message = BAD_GIVEN[case]
    with pytest.raises(InputError, match=message) as error:
        hf_attn.predict(tiny / run, texts, **options)
    assert "\n" not in str(error.value)


def test_texts_that_cannot_be_read_are_named_by_their_lines(tiny, tmp_path):
    pd.DataFrame({"text": ["my card", " ", None, "pay"] * 4}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="'text' of train has .* empty texts? .lines? 3.*a.csv"):
        language_modeling.main(arguments(tiny, "bad", "--dataset", tmp_path / "a.csv"))


def test_files_of_lines_are_read_as_tables_of_their_texts(tiny, tmp_path, caplog):
    texts = [f"my card was slow {at}" for at in range(24)]
    for name, rows in (("train", texts), ("validation", texts[:4]), ("test", texts[4:9])):
        for kind in ("lines", "table"):
            (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / "lines" / f"{name}.txt").write_bytes("\r\n\r\n".join(rows).encode())
        pd.DataFrame({"text": rows}).to_csv(tmp_path / "table" / f"{name}.csv", index=False)
    lines, table = (
        language_modeling.main(arguments(tiny, kind, "--dataset", tmp_path / kind, "--max_steps", "2"))
        for kind in ("lines", "table")
    )
    assert lines == table
    assert "train.txt: 23 blank lines are left out, the first is line 2" in caplog.text


def test_a_file_of_lines_has_no_labels(tiny, tmp_path):
    from hf_attn.recipes import text_classification

    (tmp_path / "corpus.txt").write_text("my card\n" * 20)
    argv = [
        "--model",
        str(tiny / "model"),
        "--dataset",
        str(tmp_path / "corpus.txt"),
        "--output_dir",
        str(tmp_path / "x"),
    ]
    with pytest.raises(InputError, match=r"if each line is a text, write it as .*\.jsonl; if its lines are fields"):
        text_classification.main(argv)


def test_texts_that_end_because_the_model_takes_no_more_are_told(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        hf_attn.predict(tiny / "causal", ["good film"], generation={"max_new_tokens": 5000, "min_new_tokens": 4999})
    assert "tokens that the model takes, prompt included, before they have max_new_tokens 5000 more" in caplog.text


def test_rows_shorter_than_a_model_takes_do_not_shorten_what_it_takes_later(tiny):
    before, after = (AutoTokenizer.from_pretrained(tiny / name).model_max_length for name in ("model", "masked"))
    assert before == after > 24


def test_a_folder_without_texts_to_train_on_is_told_that_lines_are_read_too(tiny, tmp_path):
    (tmp_path / "tset.txt").write_text("a text\n")
    with pytest.raises(InputError, match=r"no train file .*, or \.txt of a text a line\)"):
        language_modeling.main(arguments(tiny, "bad", "--dataset", tmp_path))


def test_texts_of_which_a_tokenizer_leaves_nothing_are_told_and_a_split_of_them_is_refused(tiny, tmp_path, caplog):
    texts = [*[f"my card was slow {at}" for at in range(20)], *["\u200b\u200d"] * 20]
    for name, rows in (("train", texts[:20]), ("validation", texts[17:23]), ("test", texts[18:])):
        pd.DataFrame({"text": rows}).to_csv(tmp_path / f"{name}.csv", index=False)
    with caplog.at_level(logging.WARNING):
        scores = language_modeling.main(arguments(tiny, "few", "--dataset", tmp_path, "--max_steps", "2"))
    assert math.isfinite(scores["loss"]) and "test: the tokenizer leaves no token of 20 texts" in caplog.text
    pd.DataFrame({"text": texts[20:]}).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(InputError, match="leaves no token of any text of test .line"):
        language_modeling.main(arguments(tiny, "none", "--dataset", tmp_path, "--max_steps", "2"))


def test_a_tokenizer_without_a_mask_is_refused_before_training(tiny, tmp_path):
    folder = save_tiny_bert(tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text()) | {"mask_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="no mask token.*--objective causal"):
        language_modeling.main(arguments(tiny, "bad", "--model", folder))


def test_gpt2_learns_where_a_text_ends_though_it_pads_with_its_end(tiny, tmp_path):
    tokenizer = byte_bpe()
    tokenizer.save_pretrained(tmp_path / "model")
    end = tokenizer.eos_token_id
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=48, **GPT, bos_token_id=end, eos_token_id=end)
    made(GPT2LMHeadModel, config).save_pretrained(tmp_path / "model")
    argv = arguments(tiny, "gpt2", "--model", tmp_path / "model", "--objective", "causal", "--block_size", "48")
    language_modeling.main([*argv, "--epochs", "25", "--lr", "3e-3"])
    texts = pd.read_csv(tiny / "data/test.csv")["text"].tolist()
    rows = pd.read_parquet(tiny / "gpt2/predictions.parquet")
    assert rows["tokens"].tolist() == [len(tokenizer(text)["input_ids"]) + 1 for text in texts], (
        "its tokens and its end"
    )
    model = AutoModelForCausalLM.from_pretrained(tiny / "gpt2").eval()
    ids = torch.tensor([[end, *tokenizer(texts[0])["input_ids"], end]])
    with torch.no_grad():
        assert rows["loss"][0] == pytest.approx(float(model(input_ids=ids, labels=ids).loss), abs=1e-4)
    found = hf_attn.predict(tiny / "gpt2", texts[:3], generation={"max_new_tokens": 40})
    assert any(len(tokenizer(one["continuation"])["input_ids"]) < 30 for one in found), "some end by themselves"
