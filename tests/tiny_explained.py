"""Inputs of each kind explained with tiny random models, and the attention that a page of them is to show."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from explained_models import explain
from tiny_bert import save_tiny_bert
from tiny_tokenizers import save_tiny, wordlevel, wordpiece
from tiny_vit import picture, save_tiny_vit
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ResNetConfig,
    ResNetForImageClassification,
)

import hf_attn
from hf_attn.explain.attribution import Attribution

TEXT = "my cards was swallowed, now."
PAIR = ("my cards was swallowed", "i want to pay with it now please")
IMAGE = picture(0, np.random.default_rng(0))
SEEN = ("text", "pair", "image", "slic")
"""Kinds of inputs whose attention can be shown."""
UNSEEN = ("cnn", "deberta")


@cache
def model_for(kind: str) -> tuple[Any, Any]:
    """Return a model and its processor for a kind of input; the tokenizer of ``blanks`` divides at nothing else."""
    if kind in ("pair", "slic"):
        return model_for({"pair": "text", "slic": "image"}[kind])
    if kind == "cnn":
        torch.manual_seed(0)
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
        return ResNetForImageClassification(config).eval(), model_for("image")[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        if kind == "image":
            save_tiny_vit(path)
            return AutoModelForImageClassification.from_pretrained(path), AutoImageProcessor.from_pretrained(path)
        if kind == "text":
            save_tiny_bert(path)
        else:
            save_tiny(path, *{"deberta": ("deberta-v2", wordpiece()), "blanks": ("bert", wordlevel())}[kind])
        return AutoModelForSequenceClassification.from_pretrained(path), AutoTokenizer.from_pretrained(path)


@cache
def explained(kind: str) -> list[Attribution]:
    """Return an input of a kind by two methods, of which the first is signed."""
    given = {"text": (TEXT,), "deberta": (TEXT,), "pair": PAIR}.get(kind, (IMAGE,))
    segments = {"slic": "slic", "cnn": "4x4"}.get(kind)
    methods = ("occlusion", "saliency" if kind in UNSEEN else "attention")
    return [explain(*model_for(kind), *given, method=method, segments=segments) for method in methods]


def attention(kind: str, model: Any = None) -> np.ndarray:
    """Return (layers · heads, places, places): words, or patches, and then the model's own tokens."""
    own, processor = model_for(kind)
    if kind == "image":
        inputs = processor(IMAGE, return_tensors="pt")
        groups = [[at] for at in (*range(1, 10), 0)]
    else:
        inputs = processor(*(PAIR if kind == "pair" else (TEXT,)), return_tensors="pt")
        words = list(zip(inputs.sequence_ids(), inputs.word_ids(), strict=True))
        named = [one for one in dict.fromkeys(words) if one[0] is not None]
        groups = [[at for at, word in enumerate(words) if word == one] for one in named]
        groups += [[at] for at, word in enumerate(words) if word[0] is None]
    maps = hf_attn.attention_map(model or own, inputs).double().flatten(0, 2).numpy()
    columns = np.stack([maps[:, :, group].sum(-1) for group in groups], -1)
    return np.stack([columns[:, group].mean(1) for group in groups], 1)
