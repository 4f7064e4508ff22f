"""Images: read once, resized, kept, augmented."""

from ....interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "PixelRows": "pixels",
        "Processing": "processing",
        "check_image_size": "processing",
        "collate_images": "pixels",
        "load_pixels": "pixel_loading",
        "set_image_size": "processing",
    },
)
