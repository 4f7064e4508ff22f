"""Images: read once, resized, kept, augmented."""

from ....interface.lazy import handed_on

NOUN = "image"
COLUMNS = ("image",)
"""Columns of a file that hold one, as the command's arguments call them."""
FORM = (("Image", {"label": "Image", "type": "filepath", "image_mode": None, "sources": ["upload", "clipboard"]}),)
"""Fields of a form that takes one: components of gradio, and their arguments; the file is read as it was given."""
USAGE = """\
predictions = hf_attn.predict(model_id, ["photo.jpg"])

# the same by transformers alone
from PIL import Image
from transformers import AutoImageProcessor, {auto}

processor = AutoImageProcessor.from_pretrained(model_id)
model = {auto}.from_pretrained(model_id{trust})
logits = model(**processor(Image.open("photo.jpg").convert("RGB"), return_tensors="pt")).logits"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "AugmentOptions": "options",
        "Examples": "examples",
        "Options": "options",
        "PixelRows": "pixels",
        "Processing": "processing",
        "attend": "examples",
        "augment_for": "augmentation.of_run",
        "batches": "prediction",
        "check_folder": "prediction",
        "check_image_size": "processing",
        "collate_images": "pixels",
        "files": "splits",
        "load_pixels": "pixel_loading",
        "load_processing": "splits",
        "load_processor": "prediction",
        "load_splits": "splits",
        "marks": "parts",
        "names": "splits",
        "parted": "parts",
        "read": "given",
        "read_files": "reading",
        "rows": "splits",
        "set_image_size": "processing",
        "takes": "prediction",
    },
)


def trained_on_pairs(source: str) -> bool:
    """Return False: an image comes alone."""
    return False
