"""A folder has a tokenizer if AutoTokenizer makes one with a vocabulary, whatever the files are named."""

import pytest
from tiny_tokenizers import save_tiny, unigram
from transformers import (
    AutoModelForSequenceClassification,
    ByT5Tokenizer,
    CanineConfig,
    CanineTokenizer,
    T5Config,
)

import hf_attn
from hf_attn import models
from hf_attn.errors import InputError
from hf_attn.models import check_text_model
from hf_attn.models.tokenizer import TOKENIZERS

CANINE = CanineConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=128,
    num_hash_buckets=64,
)  # fmt: skip
BYT5 = T5Config(
    vocab_size=384, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, pad_token_id=0, decoder_start_token_id=0
)


@pytest.mark.parametrize(("config", "tokenizer"), [(CANINE, CanineTokenizer), (BYT5, ByT5Tokenizer)])
def test_a_tokenizer_of_characters_or_bytes_needs_no_vocabulary_file(tmp_path, config, tokenizer):
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    made = tokenizer()
    made.save_pretrained(tmp_path)
    assert not any((tmp_path / name).exists() for name in TOKENIZERS)
    check_text_model(tmp_path)
    loaded, model = models.load_tokenizer(tmp_path), hf_attn.load(tmp_path)
    assert loaded("a\u00e9").input_ids == made("a\u00e9").input_ids
    texts = ["a", "", "a long text " * 50]

    def first(*texts):
        return [row["probabilities"]["LABEL_0"] for row in hf_attn.predict(model, texts, processor=loaded)]

    alone, together = [first(text)[0] for text in texts], first(*texts)
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("model_type", ["bert", "t5", "gpt2", "llama", "roberta", "xlnet"])
def test_a_folder_without_tokenizer_files_has_none(tmp_path, model_type):
    folder = save_tiny(tmp_path, model_type)
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(InputError, match="the tokenizer is missing"):
        check_text_model(folder)


def test_a_damaged_tokenizer_is_one_line(tmp_path):
    folder = save_tiny(tmp_path, "bert")
    for content in ("{broken", '{"model": {"type": "nothing"}}', "[]"):
        (folder / "tokenizer.json").write_text(content)
        with pytest.raises(InputError, match="its tokenizer cannot be loaded") as caught:
            models.load_tokenizer(folder)
        assert "\n" not in str(caught.value)


def test_a_sentencepiece_file_is_loaded_or_names_what_reads_it(tmp_path):
    folder = save_tiny(tmp_path, "deberta-v2", unigram())
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "spm.model").write_bytes(b"no model")
    with pytest.raises(InputError, match="sentencepiece|SentencePiece|cannot be loaded|missing"):
        models.load_tokenizer(folder)
