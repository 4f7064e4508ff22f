"""Examples: where they come from, what is predicted, and how they become batches."""

from .batching import BatchSampler, eval_loader, train_loader
from .columns import UNLABELLED, id_columns
from .decoding import decode
from .images import check_images, image_column, image_paths
from .labels import Labels, encode_labels
from .pixel_loading import load_pixels
from .pixels import PixelRows, collate_images
from .processing import Processing, check_image_size, set_image_size
from .sources import fingerprint, load_splits
from .splitting import limit
from .text import check_text, collate, tokenize

__all__ = [
    "UNLABELLED",
    "BatchSampler",
    "Labels",
    "PixelRows",
    "Processing",
    "check_image_size",
    "check_images",
    "check_text",
    "collate",
    "collate_images",
    "decode",
    "encode_labels",
    "eval_loader",
    "fingerprint",
    "id_columns",
    "image_column",
    "image_paths",
    "limit",
    "load_pixels",
    "load_splits",
    "set_image_size",
    "tokenize",
    "train_loader",
]
