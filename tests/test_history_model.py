"""The model over histories: padding, items that are known by their tokens, variants, reloading without the package."""

import json

import interpreter
import numpy as np
import pytest
import torch
from tiny_bert import save_tiny_bert
from tiny_histories import NAMES
from transformers import AutoModel, AutoTokenizer

import hf_attn
from hf_attn.attention.modeling_history import HfAttnHistoryConfig, HistoryForRecommendation, keys_of
from hf_attn.errors import InputError

TEXTS = [*NAMES[:7], "my card was swallowed"]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("encoder") / "model")


@pytest.fixture(scope="module")
def tokenizer(encoder_folder):
    return AutoTokenizer.from_pretrained(encoder_folder)


@pytest.fixture
def model(encoder_folder, tokenizer):
    torch.manual_seed(0)
    encoder = AutoModel.from_pretrained(encoder_folder)
    config = HfAttnHistoryConfig(
        encoder_config=encoder.config, num_items=5, num_labels=2, hidden_size=16, history_length=6
    )
    made = HistoryForRecommendation(config, encoder=encoder).eval()
    with torch.no_grad():
        made.items.keys.copy_(keys_of(**tokens(tokenizer, TEXTS[:5])).sort()[0])
        for parameter in (made.items.embedding, made.items.bias, made.score.weight, made.recency.weight):
            parameter.normal_()
    return made


def tokens(tokenizer, texts):
    found = tokenizer(texts, padding=True, return_tensors="pt")
    return {name: found[name] for name in ("input_ids", "attention_mask")}


def places(history, ratings, candidate):
    return {
        "history": torch.tensor([history]),
        "ratings": torch.tensor([ratings]),
        "candidate": torch.tensor([[candidate]]),
    }


def test_padding_in_front_and_items_that_nobody_names_change_nothing(model, tokenizer):
    alone = model(**places([0, 1, 2], [4.0, 1.0, 3.0], 3), **tokens(tokenizer, TEXTS)).logits
    padded = places([5, 5, 0, 1, 2], [1.0, torch.nan, 4.0, 1.0, 3.0], 3)
    mask = torch.tensor([[False, False, True, True, True]])
    found = model(**padded, history_mask=mask, **tokens(tokenizer, [*TEXTS, "a much longer text"])).logits
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_the_last_items_of_a_long_history_are_read(model, tokenizer):
    inputs = tokens(tokenizer, TEXTS)
    long = model(**places([3, 4, 0, 1, 2, 5, 6, 0], [1.0] * 8, 3), **inputs).logits
    short = places([0, 1, 2, 5, 6, 0], [1.0] * 6, 3)
    torch.testing.assert_close(long, model(**short, older=torch.tensor([[2.0, 2.0]]), **inputs).logits)
    assert not torch.allclose(long, model(**short, **inputs).logits)  # older ratings count by their number and sum


def test_states_computed_once_give_what_tokens_give(model, tokenizer):
    inputs = tokens(tokenizer, TEXTS)
    given = places([0, 1, 2], [4.0, torch.nan, 3.0], 7)
    states = {"item_states": model.encode(**inputs), "item_keys": keys_of(**inputs)}
    torch.testing.assert_close(model(**given, **states).logits, model(**given, **inputs).logits)


def test_many_candidates_get_the_scores_that_each_gets_alone(model, tokenizer):
    given, inputs = places([0, 1, 2], [4.0, 1.0, 3.0], 3), tokens(tokenizer, TEXTS)
    together = model(**{**given, "candidate": torch.tensor([[3, 7, 5]])}, **inputs).scores[0]
    alone = [model(**{**given, "candidate": torch.tensor([one])}, **inputs).scores[0, 0] for one in (3, 7, 5)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_items_are_known_by_their_tokens_whatever_the_padding(tokenizer):
    left = tokenizer(TEXTS, padding=True, padding_side="left", return_tensors="pt")
    alone = [keys_of(**tokens(tokenizer, [text])).item() for text in TEXTS]
    assert (
        keys_of(**tokens(tokenizer, TEXTS)).tolist() == alone == keys_of(left.input_ids, left.attention_mask).tolist()
    )
    assert len(set(alone)) == len(TEXTS)
    turned = tokens(tokenizer, ["my card", "card my"])
    assert keys_of(**turned)[0] != keys_of(**turned)[1]


def test_what_was_learned_of_an_item_is_used_for_it_alone(model, tokenizer):
    inputs = tokens(tokenizer, TEXTS)
    known, new = (places([0], [4.0], candidate) for candidate in (3, 6))
    before = [model(**one, **inputs).logits for one in (known, new)]
    with torch.no_grad():
        model.items.bias += 1.0
    after = [model(**one, **inputs).logits for one in (known, new)]
    assert not torch.allclose(before[0], after[0])
    # of a new candidate the items of its history alone have changed
    empty = {**new, "history_mask": torch.tensor([[False]])}
    with_bias = model(**empty, **inputs).logits
    with torch.no_grad():
        model.items.bias -= 1.0
    torch.testing.assert_close(model(**empty, **inputs).logits, with_bias)


def test_a_history_without_items_is_no_history(model, tokenizer):
    given, inputs = places([0, 1], [4.0, 1.0], 3), tokens(tokenizer, TEXTS)
    empty = model(**given, history_mask=torch.tensor([[False, False]]), **inputs).logits
    other = model(**places([5, 6], [2.0, 2.0], 3), history_mask=torch.tensor([[False, False]]), **inputs).logits
    assert empty.isfinite().all()
    torch.testing.assert_close(empty, other)


@pytest.mark.parametrize("variant", ["additive", "cosine", "entmax15", "sparsemax", "sigmoid", "talking_heads"])
def test_every_variant_reaches_the_attention_over_the_history(model, tokenizer, variant):
    swapped = hf_attn.swap_attention(model, variant, include="cross_attention")
    assert type(swapped) is HistoryForRecommendation and swapped.config.attn_variant == variant
    assert swapped.cross_attention.hf_attn.name == variant
    given, inputs = places([0, 1, 2], [4.0, 1.0, 3.0], 3), tokens(tokenizer, TEXTS)
    maps = hf_attn.attention_map(swapped, {**given, **inputs}, layers=[-1])
    assert maps.shape == (1, 1, 4, 1, 3) and swapped(**given, **inputs).logits.isfinite().all()


def test_a_plain_mean_weighs_all_items_alike_whatever_the_candidate(model, tokenizer):
    model.config.history_pooling = "mean"
    maps = hf_attn.attention_map(
        model, {**places([0, 1, 2], [4.0, 1.0, 3.0], 3), **tokens(tokenizer, TEXTS)}, layers=[-1]
    )
    torch.testing.assert_close(maps, torch.full_like(maps, 1 / 3))


PROGRAM = """
import sys; sys.modules["hf_attn"] = None
import json, torch
from transformers import AutoModel, AutoTokenizer
folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
items = tokenizer(json.loads(sys.argv[2]), padding=True, truncation=True, return_tensors="pt")
places = {"history": torch.tensor([[0, 1]]), "ratings": torch.tensor([[4.0, 2.5]]), "candidate": torch.tensor([[2]])}
print(json.dumps([type(model.cross_attention.hf_attn).__name__, model(**places, **items).logits.tolist()]))
"""


def test_a_saved_model_is_loaded_by_an_auto_class_without_the_package(model, tokenizer, tmp_path):
    swapped = hf_attn.swap_attention(model, "entmax15", include="cross_attention")
    swapped.save_pretrained(tmp_path / "saved")
    tokenizer.save_pretrained(tmp_path / "saved")
    done = interpreter.run(["-c", PROGRAM, str(tmp_path / "saved"), json.dumps(TEXTS[:3])], check=True)
    variant, logits = json.loads(done.stdout.strip().splitlines()[-1])
    expected = swapped(**places([0, 1], [4.0, 2.5], 2), **tokens(tokenizer, TEXTS[:3])).logits
    assert variant == "Entmax15"
    torch.testing.assert_close(torch.tensor(logits), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 10}, "not divisible by 4 heads"),
        ({"history_pooling": "max"}, "expected one of attention, mean"),
        ({"num_labels": 3}, "3 labels: expected 2, liked or not, or 1, a rating"),
        ({"history_length": 0}, "history_length 0"),
        ({"encoder_config": None}, "encoder_config is missing"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(encoder_folder, options, message):
    config = AutoModel.from_pretrained(encoder_folder).config
    with pytest.raises(ValueError, match=message):
        HistoryForRecommendation(HfAttnHistoryConfig(**{"encoder_config": config, "num_labels": 2, **options}))


GIVEN = {"history": NAMES[:3], "ratings": [4.0, 1.0, None], "candidate": NAMES[4]}
BAD = {
    "a text": ("my card", "inputs is one string"),
    "a list of texts": (["my card"], "input 0: is str: expected a dict of history, candidate, ratings"),
    "no candidate": ([{"history": ["a"]}], "input 0: has no candidate"),
    "no history": ([{"candidate": "a"}], "input 0: has no history"),
    "an empty candidate": ([{**GIVEN, "candidate": " "}], "input 0: its candidate is empty"),
    "a candidate that is a number": ([{**GIVEN, "candidate": 4}], "its candidate is int"),
    "a history that is a text": ([{**GIVEN, "history": "a b"}], "its history is one text"),
    "a history of numbers": ([{**GIVEN, "history": [1, 2, 3]}], "its history holds what is no text"),
    "too many ratings": ([GIVEN, {**GIVEN, "ratings": [1.0] * 4}], "input 1: ratings: has 4 ratings for 3 texts"),
    "a rating that is a word": ([{**GIVEN, "ratings": [1, 2, "good"]}], "ratings: holds what is no number"),
    "a rating that is infinite": ([{**GIVEN, "ratings": [1, 2, float("inf")]}], "not finite"),
    "a key that is none": ([{**GIVEN, "rating": 3}], "has 'rating': expected history, candidate, ratings"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_predicted_is_one_line_that_says_which(model, tokenizer, case):
    given, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        hf_attn.predict(model, given, processor=tokenizer)
    assert "\n" not in str(error.value)


def test_predictions_do_not_hang_on_their_neighbours(model, tokenizer):
    model.name_or_path = "tiny"
    rows = [GIVEN, {**GIVEN, "history": NAMES[:9], "ratings": None}, {"history": [], "candidate": "a new one"}]
    together = [row["probabilities"]["LABEL_1"] for row in hf_attn.predict(model, rows, processor=tokenizer)]
    alone = [
        hf_attn.predict(model, [row], processor=tokenizer, batch_size=1)[0]["probabilities"]["LABEL_1"] for row in rows
    ]
    np.testing.assert_allclose(together, alone, atol=1e-6)
