"""Loading pretrained models, and choosing what of them is trained."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Lora": "trainable",
        "add_lora": "trainable",
        "check_takes_colour": "processors",
        "check_takes_images": "processors",
        "check_text_model": "processors",
        "freeze": "trainable",
        "load": "loading",
        "load_config": "configuration",
        "load_image_processor": "processors",
        "load_tokenizer": "processors",
        "longest_input": "input_length",
        "merge_lora": "trainable",
        "set_image_size": "vision.resolution",
        "train_in_float32": "trainable",
        "try_image": "vision.resolution",
    },
)
