"""Texts in windows: every word is answered once, where it has most context, whatever the tokenizer."""

import itertools

import numpy as np
import pytest
from tiny_bert import save_tiny_bert
from tiny_tokenizers import byte_bpe, unigram, wordpiece
from transformers import AutoModelForTokenClassification, AutoTokenizer

from hf_attn.errors import InputError
from hf_attn.tasks.inputs.text.encoding import encode
from hf_attn.tasks.inputs.text.pieces import in_windows
from hf_attn.tasks.inputs.text.windowed import windows_for
from hf_attn.tasks.inputs.words.division import divided, flat, joined
from hf_attn.tasks.targets.tags.tagged import outputs
from hf_attn.tasks.windows import answering, windows_of
from hf_attn.training.evaluation import in_order, run

LONG = ["the", "machine", "at", "the", "station", "swallowed", "my", "card", "yesterday"] * 7


@pytest.fixture(params=[wordpiece, byte_bpe, unigram], ids=lambda make: make.__name__)
def tokenizer(request):
    return request.param(model_max_length=16)


def windows(tokenizer, tokens, length=None):
    text, spans = joined(tokens)
    return windows_for({"text": text, "words": flat(spans)}, in_windows(tokenizer, [text], None, length)[0])


def test_every_word_is_answered_in_one_window(tokenizer):
    found = windows(tokenizer, LONG)
    numbers = np.concatenate([one.words[one.firsts] for one in found])
    assert len(found) > 5 and sorted(numbers) == list(range(len(LONG)))


def test_a_word_begins_at_its_first_token_and_later_tokens_are_of_it(tokenizer):
    text, spans = joined(LONG)
    for one in windows(tokenizer, LONG):
        for at in one.firsts:
            start, end = one.places[at]
            assert text[start:end].strip() and spans[one.words[at]][0] in (start, start + 1)
        later = np.setdiff1d(np.flatnonzero(one.words >= 0), one.firsts)
        assert all(one.words[at - 1] == one.words[at] for at in later)


def test_a_word_is_answered_where_it_has_most_context(tokenizer):
    found = windows(tokenizer, LONG)
    for number in range(len(LONG)):
        text, spans = joined(LONG)
        rooms = []
        for one in found:
            inside = np.flatnonzero(one.places[:, 0] >= 0)
            begins = [at for at in inside if one.places[at, 0] <= spans[number][0] < one.places[at, 1]]
            rooms.append(min(begins[0] - inside[0], inside[-1] - begins[0]) if begins else -1)
        owner = next(at for at, one in enumerate(found) if number in one.words[one.firsts])
        assert rooms[owner] == max(rooms)


def test_a_text_that_fits_is_one_window_of_the_ids_that_training_sees(tokenizer):
    ((inputs, places),) = in_windows(tokenizer, ["my card"])[0]
    assert inputs["input_ids"] == encode(tokenizer, ["my card"])["input_ids"][0]
    assert len(places) == len(inputs["input_ids"])


@pytest.mark.parametrize("spelled", ["[SEP]", "</s>", "<s>", "[CLS]"])
def test_the_spelling_of_a_special_token_stays_text(tokenizer, spelled):
    found = windows(tokenizer, ["my", spelled, "card"])
    assert sorted(np.concatenate([one.words[one.firsts] for one in found])) == [0, 1, 2]
    ids = in_windows(tokenizer, [f"my {spelled} card"])[0][0][0]["input_ids"]
    plain = in_windows(tokenizer, ["my card"])[0][0][0]["input_ids"]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    assert sum(i in special for i in ids) == sum(i in special for i in plain)


def test_words_that_leave_no_token_are_in_no_window_and_the_others_are_not_lost():
    found = windows(wordpiece(model_max_length=16), ["my", "\u200b", "", " ", "\ufe0f", "card"])
    assert np.concatenate([one.words[one.firsts] for one in found]).tolist() == [0, 5]


def test_words_that_share_a_token_are_answered_by_the_one_that_it_begins_in():
    spans = [(0, 1), (1, 2), (2, 3), (4, 5), (6, 7)]
    (one,) = windows_of("abc d e", [[None, (0, 1), (1, 3), (4, 5), None]], spans)
    assert one.words[one.firsts].tolist() == [0, 1, 3] and one.ends.tolist() == [1, 3, 5]
    assert answering(one.words[one.firsts], one.ends, one.spans).tolist() == [0, 1, 1, 3, -1]


def test_what_is_read_before_is_before_each_window():
    tokenizer = wordpiece(model_max_length=24)
    pieces = in_windows(tokenizer, [" ".join(LONG)], ["my card"])[0]
    before = tokenizer("my card", add_special_tokens=False)["input_ids"]
    assert len(pieces) > 2
    for inputs, places in pieces:
        assert inputs["input_ids"][1 : 1 + len(before)] == before and len(inputs["input_ids"]) <= 24
        assert [place[0] for place in places if place] == [0] * len(before) + [1] * (
            len(inputs["input_ids"]) - 3 - len(before)
        )


def test_the_windows_of_a_text_do_not_depend_on_the_texts_beside_it():
    tokenizer = wordpiece(model_max_length=24)
    texts, before = [" ".join(LONG), " ".join(LONG)], ["my card", "the machine at the station was yesterday"]
    for overlap in (0.25, 3, 12):
        together = in_windows(tokenizer, texts, before, overlap=overlap)
        assert together == [
            in_windows(tokenizer, [text], [one], overlap=overlap)[0] for text, one in zip(texts, before, strict=True)
        ]


def test_windows_overlap_by_so_many_tokens():
    text = " ".join(LONG)
    for inputs, after in itertools.pairwise(
        in_windows(wordpiece(model_max_length=24), [text], ["my card"], overlap=5)[0]
    ):
        places, following = (one[1] for one in (inputs, after))
        shared = {place for place in places if place and place[0]} & {place for place in following if place}
        assert len(shared) == 5


def test_what_is_read_before_may_not_fill_the_window():
    with pytest.raises(InputError, match=r"leaves too few of 16 tokens for 1 texts \(rows 0, from 0\)"):
        in_windows(
            wordpiece(model_max_length=16), ["my card"], ["the machine at the station was slow yesterday, please"]
        )


def test_a_tokenizer_that_tells_no_places_is_refused():
    from transformers import CanineTokenizer

    with pytest.raises(InputError, match="does not tell where a token stands"):
        in_windows(CanineTokenizer(), ["my card"])


def test_windows_of_a_text_come_together_in_any_order_and_on_any_processes(tmp_path):
    folder = save_tiny_bert(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    from hf_attn.tasks.inputs import words

    given = words.read([LONG, "my card", LONG[:20]])
    whole = in_order(run(model, words.batches(given, tokenizer, model, 8), model.device, outputs))
    parts = run(model, words.batches(given, tokenizer, model, 1), model.device, outputs)
    mixed = in_order([parts[at] for at in np.random.default_rng(0).permutation(len(parts))])
    assert whole.ids.tolist() == [0, 1, 2] and len(whole.outputs[0].words) == len(LONG)
    for one, other in zip(whole.outputs, mixed.outputs, strict=True):
        assert one.words == other.words
        np.testing.assert_allclose(one.table, other.table, atol=1e-5)


def test_raw_texts_are_divided_at_blanks_and_punctuation():
    text = "Mr. O'Brien, of 東京, paid 5."
    assert [text[start:end] for start, end in divided(text)] == [
        *("Mr", ".", "O'Brien", ",", "of", "東", "京", ",", "paid", "5", ".")
    ]
