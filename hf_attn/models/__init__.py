"""Loading pretrained models, and choosing what of them is trained."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Lora": "trainable",
        "ScratchOptions": "source",
        "add_lora": "trainable",
        "check_takes_colour": "image_processor",
        "check_takes_images": "image_processor",
        "check": "of_run",
        "check_text_model": "tokenizer",
        "freeze": "trainable",
        "load": "loading",
        "load_for": "of_run",
        "load_language_model": "language",
        "load_config": "configuration",
        "load_image_processor": "image_processor",
        "load_tokenizer": "tokenizer",
        "longest_input": "input_length",
        "merge_lora": "trainable",
        "source_of": "source",
        "set_image_size": "vision.resolution",
        "train_in_float32": "trainable",
        "try_image": "vision.resolution",
    },
)
