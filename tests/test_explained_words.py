"""Explanations of what a model writes, and of what it says at a mask: numbers, the words asked for, planted causes."""

import json

import numpy as np
import pytest
import torch
from explained_models import explain
from tiny_bert import WORDS
from tiny_translators import pairs, tiny_tokenizer, tiny_translator
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, GPT2Config, GPT2LMHeadModel

import hf_attn
from hf_attn.cli.main import dispatch
from hf_attn.explain.case import Case
from hf_attn.explain.methods import METHODS
from hf_attn.tasks.inputs.text.embeddings import embedded_as
from hf_attn.tasks.inputs.text.words import grouped

FAITHFUL = ("occlusion", "lime", "kernel_shap", "partition_shap", "integrated_gradients", "grad_attention", "attention")
SOURCE = "green dog sees house."
TARGET = "grün Hund sieht Haus."


@pytest.fixture(scope="module")
def translator():
    """A small model that has learned to translate word by word, and its tokenizer."""
    tokenizer = tiny_tokenizer()
    model = tiny_translator("mbart", tokenizer, decoder_layers=1, encoder_layers=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, 300)
    given = pairs(4000, seed=5)
    for step in range(300):
        some = [given[(step * 48 + at) % len(given)] for at in range(48)]
        batch = tokenizer(
            [one for one, _ in some], text_target=[one for _, one in some], padding=True, return_tensors="pt"
        )
        labels = batch.pop("labels")
        labels = labels.masked_fill(labels == tokenizer.pad_token_id, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def writer():
    """A random causal model, and its tokenizer."""
    tokenizer = tiny_tokenizer()
    torch.manual_seed(3)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64, **ids)
    model = GPT2LMHeadModel(config).eval()
    model.generation_config.update(pad_token_id=tokenizer.pad_token_id, max_new_tokens=8)
    return model, tokenizer


@pytest.fixture(scope="module")
def filler(tmp_path_factory):
    """A random model of masks, and its tokenizer."""
    folder = tmp_path_factory.mktemp("filler")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s"]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32
    )
    return BertForMaskedLM(config).eval(), BertTokenizerFast(str(folder / "vocab.txt"))


def forced(model, tokenizer, source, target):
    """(tokens,) logarithms of the probabilities of a target's tokens, by the model in float64."""
    ids = tokenizer(text_target=target, add_special_tokens=False)["input_ids"]
    model = model.double()
    begun = torch.tensor([[model.generation_config.decoder_start_token_id, *ids]])
    with torch.no_grad():
        logits = model(**tokenizer(source, return_tensors="pt"), decoder_input_ids=begun).logits
    model.float()
    return [float(logits[0, at].log_softmax(-1)[token]) for at, token in enumerate(ids)], ids


class TestTranslations:
    def test_the_whole_text_is_explained_by_the_mean_probability_of_its_tokens(self, translator):
        case = Case(*translator, SOURCE)
        expected, _ = forced(*translator, SOURCE, TARGET)
        assert case.said == TARGET == case.asked.name
        assert case.score == pytest.approx(np.exp(np.mean(expected)), abs=1e-5)

    def test_a_word_is_explained_by_its_own_tokens_given_those_before(self, translator):
        expected, ids = forced(*translator, SOURCE, TARGET)
        before, _ = forced(*translator, SOURCE, "grün")
        both, _ = forced(*translator, SOURCE, "grün Hund")
        own = expected[len(before) : len(both)]
        assert Case(*translator, SOURCE, target="Hund").score == pytest.approx(np.exp(np.mean(own)), abs=1e-5)
        assert Case(*translator, SOURCE, target=1).score == Case(*translator, SOURCE, target="Hund").score
        assert Case(*translator, SOURCE, target="1").asked.name == "Hund"

    def test_another_word_is_compared_at_the_first_token_that_differs(self, translator):
        case = Case(*translator, SOURCE, target="Hund", against="Katze")
        own, ids = forced(*translator, SOURCE, TARGET)
        other, others = forced(*translator, SOURCE, TARGET.replace("Hund", "Katze"))
        at = next(at for at in range(len(ids)) if ids[at] != others[at])
        assert case.score == pytest.approx(own[at] - other[at], abs=1e-4)
        assert case.asked.name == "Hund rather than Katze"

    @pytest.mark.parametrize("method", FAITHFUL)
    @pytest.mark.parametrize(("word", "cause"), [("Hund", "dog"), ("grün", "green"), ("sieht", "sees")])
    def test_the_word_that_is_translated_is_found(self, translator, method, word, cause):
        found = explain(*translator, SOURCE, method=method, target=word)
        assert found.parts[int(np.argmax(found.weights))].name == cause

    def test_what_is_added_up_is_complete(self, translator):
        found = explain(*translator, SOURCE, method="integrated_gradients", target="Hund")
        assert found.notes["completeness_error"] < 0.01

    def test_attention_is_that_of_the_word_s_own_place_in_the_decoder(self, translator):
        model, tokenizer = translator
        before, _ = forced(*translator, SOURCE, "grün")
        _, ids = forced(*translator, SOURCE, TARGET)
        place = len(before)
        begun = torch.tensor([[model.generation_config.decoder_start_token_id, *ids[:-1]]])
        model.set_attn_implementation("eager")
        with torch.no_grad():
            crossed = model(
                **tokenizer(SOURCE, return_tensors="pt"), decoder_input_ids=begun, output_attentions=True
            ).cross_attentions
        model.set_attn_implementation("sdpa")
        case = Case(*translator, SOURCE, target="Hund")
        row = np.mean([crossed[-1][0].mean(0)[one].double().numpy() for one in case.read], 0)
        np.testing.assert_allclose(METHODS["attention"].run(case).weights, case.parted.of_tokens(row), atol=1e-5)
        assert case.read[0] == place

    def test_what_a_decoder_writes_is_no_input_where_it_is_the_very_text(self):
        table = torch.nn.Embedding(5, 3)
        ids, other = torch.tensor([1, 2]), torch.zeros(1, 2, 3)
        with embedded_as([table], ids, other, once=True) as put:
            first, second = table(ids[None]), table(ids[None])
        assert put == [True] and not first.any() and torch.equal(second, table(ids[None]))

    @pytest.mark.parametrize("removal", ["mask", "delete"])
    def test_a_batch_of_rows_gives_what_each_row_gives(self, translator, removal):
        case = Case(*translator, SOURCE, target="Haus", removal=removal)
        keep = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)[:, : len(case)]
        one = [float(Case(*translator, SOURCE, target="Haus", removal=removal).scores(row[None])[0]) for row in keep]
        np.testing.assert_allclose(case.scores(keep), one, atol=1e-6)

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"target": "Katze"}, "'Katze': the model writes 'grün Hund sieht Haus.'; expected some of these words"),
            ({"target": 9}, "9: the model writes"),
            ({"target": True}, "True: the model writes"),
            ({"target": "Hund", "against": "Hund"}, "against 'Hund': its tokens differ"),
            ({"target": "Hund", "against": 3}, "against 3: expected words"),
            ({"target": "Hund", "against": " "}, "against ' ': expected words"),
        ],
    )
    def test_what_cannot_be_explained_is_one_line(self, translator, how, message):
        with pytest.raises(hf_attn.InputError) as refused:
            explain(*translator, SOURCE, **how)
        assert message in str(refused.value) and "\n" not in str(refused.value)

    def test_a_text_in_which_nothing_is_written_is_refused(self, translator):
        model, tokenizer = translator
        kept = model.generation_config.forced_bos_token_id
        model.generation_config.forced_bos_token_id = tokenizer.eos_token_id
        try:
            with pytest.raises(hf_attn.InputError, match="writes nothing"):
                explain(model, tokenizer, SOURCE)
        finally:
            model.generation_config.forced_bos_token_id = kept

    def test_the_command_explains_a_word_on_a_page_and_in_a_file(self, translator, tmp_path, capsys):
        model, tokenizer = translator
        model.save_pretrained(tmp_path / "run")
        tokenizer.save_pretrained(tmp_path / "run")
        run = [str(tmp_path / "run"), SOURCE, "--method", "occlusion", "--target", "Hund"]
        assert dispatch(["explain", *run, "--output", str(tmp_path / "page.html")]) in (None, 0)
        page = (tmp_path / "page.html").read_text()
        assert "Hund" in page and "green" in page
        assert dispatch(["explain", *run, "--output", str(tmp_path / "rows.jsonl")]) in (None, 0)
        row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
        assert row["classification"] == TARGET and set(row["classification_scores"]) == {"Hund"}

    def test_a_prefix_of_all_sources_is_no_part(self, translator):
        model, tokenizer = translator
        model.config.task_specific_params = {"translation": {"prefix": "the house. "}}
        try:
            case = Case(model, tokenizer, SOURCE)
            assert [part.name for part in case.parted.parts][:2] == ["green", "dog"]
            assert [SOURCE[slice(*part.span)] for part in case.parted.parts] == [one.name for one in case.parted.parts]
            longer = tokenizer("the house. " + SOURCE)["input_ids"]
            assert case.parted.batch["input_ids"][0].tolist() == longer
        finally:
            model.config.task_specific_params = None


class TestWordsThatFollow:
    def test_the_answer_is_that_of_predict_and_its_probability_that_of_the_model(self, writer):
        model, tokenizer = writer
        case = Case(model, tokenizer, "the dog sees")
        begun, more = case.predictions.outputs[0]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([begun + more])).logits[0].double().log_softmax(-1)
        own = [float(logits[len(begun) - 1 + at, token]) for at, token in enumerate(more)]
        assert case.score == pytest.approx(np.exp(np.mean(own)), abs=1e-6)
        assert [part.name for part in case.parted.parts] == ["the", "dog", "sees"]

    @pytest.mark.parametrize("removal", ["mask", "delete"])
    def test_rows_of_unlike_length_are_read_at_their_own_ends(self, writer, removal):
        keep = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1]], bool)
        together = Case(*writer, "the dog sees", target=0, removal=removal).scores(keep)
        apart = [Case(*writer, "the dog sees", target=0, removal=removal).scores(row[None])[0] for row in keep]
        np.testing.assert_allclose(together, apart, atol=1e-6)

    @pytest.mark.parametrize("method", [name for name in METHODS if name not in ("deep_lift", "grad_cam")])
    def test_every_method_explains_it(self, writer, method):
        found = explain(*writer, "the dog sees", method=method, target=0, faithfulness=True)
        assert len(found.weights) == 3 and np.isfinite(found.weights).all() and found.faithfulness["area"]

    def test_a_text_that_leaves_no_room_is_refused(self, writer):
        with pytest.raises(hf_attn.InputError, match="fills the 64 tokens"):
            explain(*writer, "the dog sees the house " * 30)

    def test_what_it_reads_after_the_text_gets_no_weight_of_the_text(self, writer):
        found = explain(*writer, "the dog sees", method="attention")
        assert found.weights.sum() + sum(found.sinks.values()) == pytest.approx(1, abs=1e-6)


class TestWordsAtMasks:
    def test_the_most_probable_word_is_explained_by_its_probability(self, filler):
        model, tokenizer = filler
        case = Case(model, tokenizer, "my card [MASK] swallowed")
        (said,) = hf_attn.predict(model, ["my card [MASK] swallowed"], processor=tokenizer)
        assert case.said == said["token_str"] and case.score == pytest.approx(said["score"], abs=1e-6)
        assert [part.name for part in case.parted.parts] == ["my", "card", "swallowed"]

    def test_a_word_against_another_is_a_difference_of_logits(self, filler):
        model, tokenizer = filler
        case = Case(model, tokenizer, "my card [MASK] swallowed", target="was", against="the")
        with torch.no_grad():
            logits = model(**tokenizer("my card [MASK] swallowed", return_tensors="pt")).logits[0, 3]
        was, the = tokenizer.convert_tokens_to_ids(["was", "the"])
        assert case.score == pytest.approx(float(logits[was] - logits[the]), abs=1e-5)

    @pytest.mark.parametrize("removal", ["mask", "delete"])
    def test_masks_that_stand_for_removed_words_are_not_asked(self, filler, removal):
        keep = np.array([[0, 1, 1], [0, 0, 0], [1, 1, 1]], bool)
        given = (*filler, "my card [MASK] swallowed")
        together = Case(*given, target="was", removal=removal).scores(keep)
        apart = [Case(*given, target="was", removal=removal).scores(row[None])[0] for row in keep]
        np.testing.assert_allclose(together, apart, atol=1e-6)

    def test_masks_are_seen_in_the_text_that_is_printed(self, filler):
        assert "my [MASK] was [MASK]" in str(explain(*filler, "my [MASK] was [MASK]", method="saliency"))

    def test_several_masks_are_explained_together(self, filler):
        case = Case(*filler, "my [MASK] was [MASK]", target="card swallowed")
        alone = [Case(*filler, "my [MASK] was [MASK]", target=one).score for one in ("card the", "the swallowed")]
        both = Case(*filler, "my [MASK] was [MASK]", target="the the").score
        assert case.score * both == pytest.approx(alone[0] * alone[1], rel=1e-5)

    @pytest.mark.parametrize(
        ("text", "how", "message"),
        [
            ("my card was", {}, r"the text has no [MASK]"),
            ("my [MASK] was", {"target": "card was"}, "expected as many words"),
            ("my [MASK] was", {"target": "cards"}, "not one token each"),
            ("my [MASK] was", {"target": 3}, "target 3: expected words"),
            ("my [MASK] was", {"text_pair": "a"}, "takes one text each"),
        ],
    )
    def test_what_cannot_be_explained_is_one_line(self, filler, text, how, message):
        with pytest.raises(hf_attn.InputError) as refused:
            explain(*filler, text, **how)
        assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_blank_that_is_a_token_belongs_to_the_word_after_it():
    places = [None, (0, 0, 3), (0, 3, 4), (0, 4, 5), (0, 5, 5), (0, 6, 7), (0, 7, 8), None]
    assert grouped(["one 2 🐶 "], places) == [[1], [2, 3], [4, 5]]
