"""Arguments that recipes share beside those of training; each group does what it says.

A recipe asks ``args.load_model(...)``, ``args.load_texts(...)`` and ``args.losses(...)``, and stays short.
"""

from .data import TextOptions
from .hub import HubOptions
from .loss import LossOptions
from .model import ModelOptions
from .vision import AugmentOptions, ImageModelOptions, ImageOptions

__all__ = [
    "AugmentOptions",
    "HubOptions",
    "ImageModelOptions",
    "ImageOptions",
    "LossOptions",
    "ModelOptions",
    "TextOptions",
]
