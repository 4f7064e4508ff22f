"""Small models to explain, one of each kind, and inputs for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import tiny_models
import torch
from tiny_bert import save_tiny_bert
from tiny_vit import picture, save_tiny_vit
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessorPil

from hf_attn.attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from hf_attn.explain import methods
from hf_attn.explain.case import Case
from hf_attn.tasks.predict import load

TEXT = "my card was swallowed by the machine, please"
PAIR = "i want to pay with it now"
IMAGE = picture(1, np.random.default_rng(3), 24)
NAMES = ("lost_card", "payment", "other")


def head_on_a_cnn() -> Any:
    """A residual network whose last feature map an attention head pools."""
    torch.manual_seed(0)
    config = HfAttnHeadConfig(tiny_models.tiny_config("resnet"), head="attention", num_labels=3)
    config.id2label = dict(enumerate(NAMES))
    model = AttentionHeadForImageClassification(config).eval()
    with torch.no_grad():  # a new head weighs all places alike
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.5)
    return model


def plain_cnn() -> Any:
    """A residual network that averages its last feature map."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        downsample_in_first_stage=False,
        id2label=dict(enumerate(NAMES)),
    )
    model = ResNetForImageClassification(config).eval()
    with torch.no_grad():  # what has run over data is not the identity
        for name, values in model.named_buffers():
            if name.endswith("running_mean"):
                values.normal_(std=0.1)
    return model


def image_processor(side: int = 64) -> Any:
    """Of images of so many pixels a side."""
    return ViTImageProcessorPil(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)


@cache
def loaded(kind: str) -> tuple[Any, Any]:
    """A model and its processor, made once a process."""
    folder = Path(mkdtemp())
    if kind in ("text", "pair"):
        return load(save_tiny_bert(folder))
    if kind == "several labels":
        return load(save_tiny_bert(folder, problem_type="multi_label_classification"))
    if kind == "number":
        return load(save_tiny_bert(folder, names=()))
    if kind == "image":
        return load(save_tiny_vit(folder))
    return (head_on_a_cnn() if kind == "CNN with a head" else plain_cnn()), image_processor()


KINDS = ("text", "pair", "several labels", "number", "image", "CNN with a head", "plain CNN")


def case_of(kind: str, **how: Any) -> Case:
    """An input of one kind, and what is asked of it."""
    one: Any = IMAGE if kind in KINDS[4:] else TEXT
    if kind in KINDS[5:]:
        how = {"segments": "4x4"} | how
    return Case(*loaded(kind), one, PAIR if kind == "pair" else None, **how)


def explain(model: Any, processor: Any, one: Any, text_pair: str | None = None, **how: Any) -> Any:
    """``hf_attn.explain.explain`` of what :func:`loaded` gives."""
    return methods.explain(model, one, text_pair, processor=processor, **how)
