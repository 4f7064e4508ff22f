"""Loading pretrained models, and choosing what of them is trained."""

from .agreement import bring_together
from .input_length import longest_input
from .loading import load, load_config
from .processors import check_takes_colour, check_takes_images, load_image_processor, load_tokenizer
from .resolution import set_image_size, try_image
from .trainable import Lora, add_lora, freeze, merge_lora, train_in_float32

__all__ = [
    "Lora",
    "add_lora",
    "bring_together",
    "check_takes_colour",
    "check_takes_images",
    "freeze",
    "load",
    "load_config",
    "load_image_processor",
    "load_tokenizer",
    "longest_input",
    "merge_lora",
    "set_image_size",
    "train_in_float32",
    "try_image",
]
