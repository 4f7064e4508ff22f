"""Batches of photos for the tests of augmentation, and the way to PIL and back."""

import numpy as np
import torch
from PIL import Image

from hf_attn.tasks.inputs.images.augmentation import Augment

ROWS, HEIGHT, WIDTH = 8, 40, 56
EVERYTHING = {
    "crop": "resized",
    "vflip": 0.3,
    "color_jitter": 0.4,
    "rand_augment": "rand-m9-n3-mstd0.5-inc1",
    "reprob": 0.5,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mixup_prob": 0.8,
}


def normalize(pixels):
    return (pixels.float() / 255 - 0.5) / 0.25


def photos(rows=ROWS, height=HEIGHT, width=WIDTH, seed=0):
    """Smooth images with some noise, uint8 (rows, 3, height, width)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(rows, 3, 6, 6, generator=random) * 255
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (smooth + 8 * torch.randn(smooth.shape, generator=random)).clamp(3, 250).to(torch.uint8)


def batch(rows=ROWS, first=0):
    labels = torch.arange(rows) % 5
    return {
        "pixels": photos(rows),
        "draws": torch.arange(first, first + rows),
        "labels": labels,
        "partner_pixels": photos(rows, seed=1),
        "partner_labels": (labels + 1 + torch.arange(rows)) % 5,
        "ids": torch.arange(rows),
    }


def made(**options):
    return Augment(**{"normalize": normalize, "num_classes": 5, "seed": 3} | options)


def as_pil(image):
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def from_pil(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
