"""A tiny random BERT with its tokenizer, saved like a run's model."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

WORDS = "my card was swallowed by the machine at station yesterday evening i want to pay with it please now no".split()
TEXTS = ["my card was swallowed", "i want to pay with it now please", "no", "the machine at the station was"]


def save_tiny_bert(
    folder: Path,
    names: Sequence[str] = ("lost_card", "payment", "other"),
    problem_type: str = "single_label_classification",
    attention: str | None = None,
) -> Path:
    """Save model and tokenizer; regression where there are no names; a variant where one is named."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", ",", "."]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=48).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=48,
        initializer_range=0.3,
        id2label=dict(enumerate(names or ("value",))),
        problem_type=problem_type if names else "regression",
    )
    torch.manual_seed(0)
    model = BertForSequenceClassification(config).eval()
    if attention is not None:
        import hf_attn

        model = hf_attn.swap_attention(model, attention)
    model.save_pretrained(folder)
    return folder
