"""A tiny random ViT with its image processor, and pictures that tell their class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

SIZE = 24


def save_tiny_vit(folder: Path, names: Sequence[str] = ("blue", "green", "red")) -> Path:
    """Save model and processor: 24 pixels, patches of 8, two layers of two heads."""
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=SIZE,
        patch_size=8,
        initializer_range=0.1,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    torch.manual_seed(0)
    ViTForImageClassification(config).eval().save_pretrained(folder)
    processor = ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor.save_pretrained(folder)
    return folder


def picture(colour: int, random: np.random.Generator, size: int = 30) -> Image.Image:
    """Noise in which one colour (0 red, 1 green, 2 blue) is stronger."""
    pixels = random.integers(0, 160, (size, size, 3), dtype=np.uint8)
    pixels[..., colour] += 80
    return Image.fromarray(pixels)


def save_pictures(folder: Path, train: int = 16, test: int = 6) -> Path:
    """Save a folder of class folders, ``train/red/0.png`` and so on."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for colour, name in enumerate(("red", "green", "blue")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                picture(colour, random).save(folder / split / name / f"{index}.png")
    return folder
