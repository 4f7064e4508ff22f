"""Texts: tokenized in memory, padded on the right side, with their row numbers."""

import pytest
import torch
from datasets import Dataset, DatasetDict
from test_sources import SHARED
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hf_attn.data import BatchSampler
from hf_attn.data.batching import lengths_of
from hf_attn.errors import InputError
from hf_attn.models import quickstart
from hf_attn.tasks.inputs.text import check_text, collate, tokenize
from hf_attn.tasks.targets.labels import encode_labels, load_splits

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "b", "c"]


@pytest.fixture
def tokenizer():
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        model_max_length=20,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def parts(**columns):
    dataset = Dataset.from_dict(columns)
    return DatasetDict(train=dataset, validation=dataset, test=dataset)


@pytest.fixture(scope="session")
def sst2():
    if not (SHARED / "sst2").is_dir():
        pytest.skip(f"no {SHARED / 'sst2'}")
    try:
        real = AutoTokenizer.from_pretrained(quickstart.checkpoint())
    except InputError as error:
        pytest.skip(str(error))
    data, _ = encode_labels(load_splits(str(SHARED / "sst2")), "label")
    return tokenize(data, real, "text", max_length=128, progress=False), data, real


def test_rows_become_tokens_with_labels_and_row_numbers(tokenizer):
    data, _ = encode_labels(parts(text=["a b", "c", "a"], label=["x", "y", "x"]), "label")
    train = tokenize(data, tokenizer, "text", progress=False)["train"]
    assert train["input_ids"][:] == [[1, 4, 5, 2], [1, 6, 2], [1, 4, 2]]
    assert train["attention_mask"][:] == [[1] * 4, [1] * 3, [1] * 3]
    assert train["labels"][:] == [0, 1, 0] and train["ids"][:] == [0, 1, 2]
    assert set(train.column_names) == {"input_ids", "attention_mask", "token_type_ids", "labels", "ids"}


def test_pairs_are_told_apart_by_token_type(tokenizer):
    data = tokenize(parts(one=["a b"], two=["c"]), tokenizer, "one", "two", progress=False)["train"]
    assert data["input_ids"][0] == [1, 4, 5, 2, 6, 2] and data["token_type_ids"][0] == [0, 0, 0, 0, 1, 1]


def test_long_texts_are_cut_to_max_length_and_to_the_tokenizers_limit(tokenizer):
    data = parts(text=["a " * 50])
    for asked, length in ((8, 8), (None, 20), (1000, 20)):
        assert (
            len(tokenize(data, tokenizer, "text", max_length=asked, progress=False)["train"]["input_ids"][0]) == length
        )


def test_max_length_without_room_for_text_is_refused(tokenizer):
    with pytest.raises(InputError, match="max_length 2: 2 special tokens leave no room"):
        tokenize(parts(text=["a"]), tokenizer, "text", max_length=2)


def test_a_batch_is_padded_to_a_multiple_within_the_limit(tokenizer):
    data, _ = encode_labels(parts(text=["a " * 7, "b", "c"], label=[0, 1, 0]), "label")
    train = tokenize(data, tokenizer, "text", progress=False)["train"]
    batch = collate(tokenizer)([train[0], train[1]])
    assert batch["input_ids"].shape == (2, 16) and batch["input_ids"].dtype == torch.int64
    assert batch["input_ids"][1].tolist() == [1, 5, 2] + [0] * 13
    assert batch["attention_mask"].sum(1).tolist() == [9, 3]
    assert batch["labels"].tolist() == [0, 1] and batch["labels"].dtype == torch.int64
    assert batch["ids"].tolist() == [0, 1]
    assert collate(tokenizer, 1)([train[0], train[1]])["input_ids"].shape == (2, 9)
    assert collate(tokenizer, 64)([train[0]])["input_ids"].shape == (1, 20)


def test_padding_goes_to_the_tokenizers_side(tokenizer):
    tokenizer.padding_side = "left"
    train = tokenize(parts(text=["a b", "c"]), tokenizer, "text", progress=False)["train"]
    assert collate(tokenizer)([train[1]])["input_ids"].tolist() == [[0] * 5 + [1, 6, 2]]


@pytest.mark.parametrize(
    ("values", "kind", "dtype", "shape"),
    [([1, 0, 1], "single", torch.int64, (2,)), ([0.5, 1, 2], "regression", torch.float32, (2,))]
    + [([["x"], ["x", "y"], []], "multi", torch.float32, (2, 2))],
)
def test_labels_of_each_kind_come_as_their_loss_wants_them(tokenizer, values, kind, dtype, shape):
    data, labels = encode_labels(parts(text=["a", "b", "c"], label=values), "label")
    train = tokenize(data, tokenizer, "text", progress=False)["train"]
    batch = collate(tokenizer)([train[0], train[1]])
    assert labels.kind == kind and batch["labels"].dtype == dtype and batch["labels"].shape == shape


def test_a_batch_without_labels_has_none(tokenizer):
    train = tokenize(parts(text=["a", "b"]), tokenizer, "text", progress=False)["train"]
    assert set(collate(tokenizer)([train[0]])) == {"input_ids", "attention_mask", "token_type_ids", "ids"}


def test_a_tokenizer_without_padding_is_refused(tokenizer):
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="no padding token"):
        collate(tokenizer)


def test_good_texts_pass(tokenizer):
    check_text(parts(text=["a"], other=["b"], label=[1]), "text", "other", "label")


def test_texts_of_test_that_train_has_are_told(caplog):
    data = parts(text=["a", "b", "c"], other=["x", "y", "z"])
    data["test"] = Dataset.from_dict({"text": ["a", "d"], "other": ["z", "z"]})
    del data["validation"]
    check_text(data, "text")
    assert "1 of the 2 texts of test are also in train" in caplog.text
    caplog.clear()
    check_text(data, "text", "other")
    assert not caplog.text


def test_padding_agrees_with_the_tokenizers_own(sst2):
    data, texts, real = sst2
    batch = collate(real)([data["train"][row] for row in range(32)])
    expected = real(
        texts["train"]["text"][:32],
        padding=True,
        truncation=True,
        max_length=128,
        pad_to_multiple_of=8,
        return_tensors="pt",
    )
    for name, tensor in expected.items():
        assert torch.equal(batch[name], tensor), name


def test_length_groups_cut_the_padding_of_sst2(sst2):
    lengths = lengths_of(sst2[0]["train"])

    def padding(grouped):
        batches = list(BatchSampler(lengths, 32, group_by_length=grouped))
        return sum(-(-lengths[batch].max() // 8) * 8 * len(batch) for batch in batches) - lengths.sum()

    assert padding(False) / padding(True) > 6
