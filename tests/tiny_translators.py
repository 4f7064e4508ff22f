"""Tiny random encoder-decoders with their tokenizers, and sentences that they can learn to translate."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hf_attn.models.new_tokenizer import train_tokenizer
from hf_attn.models.scratch import with_tokens_of

WORDS = {
    "one": "eins",
    "two": "zwei",
    "three": "drei",
    "dog": "Hund",
    "cat": "Katze",
    "green": "grün",
    "house": "Haus",
    "sees": "sieht",
    "runs": "läuft",
    "the": "das",
}
SIZES = {
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
    "max_position_embeddings": 160,
    "init_std": 0.1,
    "dropout": 0.0,
    "dropout_rate": 0.0,
}
FAMILIES = ("mbart", "bart", "marian", "t5", "m2m_100", "pegasus")


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences, and their words in another language, in the same order."""
    random = np.random.default_rng(seed)
    known = list(WORDS)
    chosen = [random.choice(known, random.integers(2, 6)) for _ in range(count)]
    return [(" ".join(words) + ".", " ".join(WORDS[word] for word in words) + ".") for words in chosen]


def save_pairs(folder: Path, train: int = 160, test: int = 18) -> Path:
    """Save splits as jsonl with the columns ``id``, ``source`` and ``target``."""
    for number, (split, count) in enumerate({"train": train, "validation": test, "test": test}.items()):
        rows = [{"id": at, "source": en, "target": de} for at, (en, de) in enumerate(pairs(count, number))]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return folder


def sources_of(folder: Path) -> list[str]:
    return [json.loads(line)["source"] for line in (folder / "test.jsonl").read_text().splitlines()]


def sources_without_targets(folder: Path) -> list[str]:
    given = sources_of(folder)
    rows = [json.dumps({"id": at, "source": source}) for at, source in enumerate(given)]
    (folder / "test.jsonl").write_text("\n".join(rows))
    return given


def source_file(folder: Path) -> list[str]:
    """Save the sources of the test split, one a line; what a command is given for it."""
    (folder / "sources.txt").write_text("\n".join(sources_of(folder)))
    return [str(folder / "sources.txt")]


def tiny_tokenizer():
    return train_tokenizer([text for pair in pairs(200) for text in pair], 330)


def tiny_translator(kind: str = "mbart", tokenizer=None, **fields):
    """Return a random model of an architecture, in evaluation mode."""
    tokenizer = tokenizer or tiny_tokenizer()
    config_class = CONFIG_MAPPING[kind]
    known = {**vars(config_class()), **dict.fromkeys(config_class.attribute_map)}
    config = config_class(**{name: value for name, value in {**SIZES, **fields}.items() if name in known})
    with_tokens_of(config, tokenizer)
    torch.manual_seed(0)
    return AutoModelForSeq2SeqLM.from_config(config).eval()


def save_tiny_translator(folder: Path, kind: str = "mbart", **fields) -> Path:
    """Save a random model and its tokenizer."""
    tokenizer = tiny_tokenizer()
    tiny_translator(kind, tokenizer, **fields).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
