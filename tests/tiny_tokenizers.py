"""Tiny trained tokenizers of each kind, and tiny random classifiers saved beside them as people have them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

CORPUS = [
    "the machine at the station was slow yesterday",
    "my card was swallowed by the machine",
    "i want to pay with it now please",
    "a </s> b [SEP] <mask> <|endoftext|> [CLS] <pad> <s>",
] * 5
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "d_model": 32,
    "d_ff": 48,
    "d_kv": 8,
    "num_heads": 4,
    "num_layers": 2,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "num_key_value_heads": 2,
    "n_layer": 2,
    "n_head": 4,
    "d_inner": 48,
}


def template(tokenizer: Tokenizer, single: str, pair: str, *special: str) -> None:
    """Put special tokens around texts."""
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def byte_bpe(**options) -> PreTrainedTokenizerFast:
    """GPT-2's: bytes, merged; no special token around a text, and none for padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{"bos_token": end, "eos_token": end, "model_input_names": ["input_ids", "attention_mask"], **options},
    )


def unigram(**options) -> PreTrainedTokenizerFast:
    """T5's: pieces by their probability, special ones among them, and ``</s>`` after a text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<s>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=70, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([*CORPUS[:3] * 5, "a < / s > b [ SEP ]"], trainer)
    template(tokenizer, "$A </s>", "$A </s> $B </s>", "</s>")
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{**names, "model_input_names": ["input_ids", "attention_mask"], **options}
    )


def wordpiece(**options) -> PreTrainedTokenizerFast:
    """BERT's: words in pieces, ``[CLS]`` before and ``[SEP]`` after a text."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", "[CLS]", "[SEP]")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{**names, "model_input_names": inputs, **options})


def wordlevel(**options) -> PreTrainedTokenizerFast:
    """Whole words, special tokens among them, which nothing but a blank divides."""
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *dict.fromkeys(" ".join(CORPUS[:3]).split())]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", "[CLS]", "[SEP]")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{**names, **options})


TOKENIZERS = {
    "bert": wordpiece,
    "roberta": unigram,
    "xlm-roberta": unigram,
    "gpt2": byte_bpe,
    "opt": byte_bpe,
    "llama": byte_bpe,
    "gpt_neox": byte_bpe,
    "t5": unigram,
    "bart": unigram,
    "xlnet": unigram,
    "longformer": unigram,
    "big_bird": wordpiece,
}
EXTRA = {
    "roberta": {"pad_token_id": 0, "type_vocab_size": 1},
    "xlm-roberta": {"pad_token_id": 0, "type_vocab_size": 1},
    "longformer": {"pad_token_id": 0, "type_vocab_size": 1, "attention_window": 8, "sep_token_id": 1},
    "t5": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    "bart": {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3, "decoder_start_token_id": 1},
    "gpt2": {"bos_token_id": 0, "eos_token_id": 0},
    "opt": {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "word_embed_proj_dim": 32, "ffn_dim": 48},
    "llama": {"bos_token_id": 0, "eos_token_id": 0},
    "gpt_neox": {"bos_token_id": 0, "eos_token_id": 0},
    "big_bird": {"attention_type": "original_full"},
}


def save_tiny(folder: Path, model_type: str, tokenizer=None, names=("a", "b", "c"), **config) -> Path:
    """Save a tiny random classifier with a tokenizer, and nothing done to make them agree."""
    tokenizer = TOKENIZERS[model_type]() if tokenizer is None else tokenizer
    cls = CONFIG_MAPPING[model_type]
    known = {**vars(cls()), **{name: 0 for name in cls.attribute_map}}
    fields = {name: value for name, value in SMALL.items() if name in known} | EXTRA.get(model_type, {})
    fields = {"vocab_size": len(tokenizer), "id2label": dict(enumerate(names)), **fields, **config}
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(cls(**fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert len(AutoTokenizer.from_pretrained(folder)) == len(tokenizer)
    return folder
