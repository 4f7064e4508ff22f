"""What looks like a special token in a user's text is text: in training, prediction and maps, for every tokenizer."""

import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from tiny_tokenizers import CORPUS, byte_bpe, save_tiny, unigram, wordlevel, wordpiece
from transformers import AutoTokenizer, ByT5Tokenizer, CanineTokenizer

import hf_attn
from hf_attn import models
from hf_attn.explain import attended
from hf_attn.tasks.inputs.text import bring_together, read, tokenize
from hf_attn.tasks.inputs.text.encoding import encode, special_ids
from hf_attn.tasks.predict import outputs

LOOKALIKES = [
    "</s>",
    "my card </s>",
    "a </s> b [SEP] <mask> <|endoftext|> [CLS] <pad> [PAD] <s> [MASK]",
    "[SEP]",
    "＜/s＞ card",
    "<extra_id_0> \ue001 card",
]
TOKENIZERS = {
    "bpe": byte_bpe,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "wordlevel": wordlevel,
    "byt5": ByT5Tokenizer,
    "canine": CanineTokenizer,
}


def special_count(tokenizer, ids):
    return sum(token in special_ids(tokenizer) for token in ids)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_only_the_tokenizer_puts_special_tokens_in(kind, pairs):
    tokenizer = TOKENIZERS[kind]()
    expected = tokenizer.num_special_tokens_to_add(pair=pairs)
    for ids in encode(tokenizer, LOOKALIKES, LOOKALIKES[::-1] if pairs else None)["input_ids"]:
        assert special_count(tokenizer, ids) == expected
        assert len(ids) > expected


@pytest.mark.parametrize("kind", ["bpe", "byt5"])
def test_a_lookalike_is_spelled_out(kind):
    tokenizer = TOKENIZERS[kind]()
    for text, ids in zip(LOOKALIKES, encode(tokenizer, LOOKALIKES)["input_ids"], strict=True):
        words = ids[: len(ids) - tokenizer.num_special_tokens_to_add()]
        assert tokenizer.decode(words, clean_up_tokenization_spaces=False) == text


def test_a_unigram_spells_a_lookalike_by_its_best_other_pieces():
    tokenizer = unigram()
    spelled = tokenizer.convert_ids_to_tokens(encode(tokenizer, ["a </s>"])["input_ids"][0])
    assert "".join(spelled[:-1]) == "▁a▁</s>" and "</s>" not in spelled[:-1] and spelled[-1] == "</s>"
    score = dict(json.loads(tokenizer.backend_tokenizer.to_str())["model"]["vocab"])
    del score["</s>"]
    best = {0: 0.0}
    for end in range(1, len("▁</s>") + 1):  # the best path by dynamic programming
        pieces = {start: "▁</s>"[start:end] for start in best}
        paths = [best[start] + score[piece] for start, piece in pieces.items() if piece in score]
        best |= {end: max(paths)} if paths else {}
    assert sum(score[piece] for piece in spelled[2 if spelled[0] == "▁" else 1 : -1]) == pytest.approx(best[5])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ordinary_texts_and_added_words_are_as_the_tokenizer_has_them(kind):
    tokenizer = TOKENIZERS[kind]()
    tokenizer.add_tokens(["aspirin"])
    texts = [*CORPUS[:3], "my aspirin", ""] if kind != "bpe" else [*CORPUS[:3], "my aspirin"]
    assert encode(tokenizer, texts)["input_ids"] == [tokenizer(text)["input_ids"] for text in texts]
    (mixed,) = encode(tokenizer, ["aspirin </s>"])["input_ids"]
    assert tokenizer.convert_tokens_to_ids("aspirin") in mixed


@pytest.mark.parametrize("model_type", ["bert", "t5", "bart", "gpt2"])
def test_training_prediction_and_maps_see_the_same_tokens(tmp_path, monkeypatch, model_type):
    folder = save_tiny(tmp_path, model_type)
    model, tokenizer = models.load(folder, labels=["a", "b", "c"]).eval(), models.load_tokenizer(folder)
    bring_together(model, tokenizer)
    rows = Dataset.from_dict({"text": LOOKALIKES})
    trained = tokenize(DatasetDict(train=rows), tokenizer, "text", progress=False)["train"]["input_ids"][:]
    seen = {}
    monkeypatch.setattr(type(model), "forward", spy(type(model).forward, seen), raising=True)
    tokenizer.save_pretrained(tmp_path / "again")
    for row, text in enumerate(LOOKALIKES):
        outputs(model, read([text]), AutoTokenizer.from_pretrained(tmp_path / "again"), 1)
        assert seen["input_ids"] == trained[row]
        seen.clear()
        example = attended.attend(model, tokenizer, text)
        assert tokenizer.convert_tokens_to_ids(list(example.tokens)) == trained[row]


def spy(forward, seen):
    def watched(self, *args, **kwargs):
        seen["input_ids"] = kwargs["input_ids"][0].tolist()
        return forward(self, *args, **kwargs)

    return watched


@pytest.mark.parametrize("model_type", ["t5", "bart"])
def test_a_batch_with_lookalikes_is_classified_as_each_text_alone(tmp_path, model_type):
    folder = save_tiny(tmp_path, model_type)
    together = hf_attn.predict(folder, LOOKALIKES)
    for one, row in zip(LOOKALIKES, together, strict=True):
        (alone,) = hf_attn.predict(folder, [one])
        assert list(alone["probabilities"]) == list(row["probabilities"])
        np.testing.assert_allclose([*alone["probabilities"].values()], [*row["probabilities"].values()], atol=1e-5)


def test_texts_with_lookalikes_are_counted_in_training(caplog):
    rows = DatasetDict(train=Dataset.from_dict({"text": ["a [SEP] b", "plain", "[MASK]"], "pair": ["x", "y", "z"]}))
    tokenize(rows, wordpiece(), "text", "pair", progress=False)
    assert "train: 2 texts hold '[SEP]' or another special token's spelling" in caplog.text
    assert "nothing between" not in caplog.text
    tokenize(rows, byte_bpe(), "text", "pair", progress=False)
    assert "puts nothing between the two texts of a pair" in caplog.text
