"""Loading pretrained models, and choosing what of them is trained."""

from .loading import load, load_tokenizer
from .trainable import Lora, add_lora, freeze, merge_lora

__all__ = ["Lora", "add_lora", "freeze", "load", "load_tokenizer", "merge_lora"]
