"""Examples: where they come from, what is predicted, and how they become batches."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "BatchSampler": "batching",
        "UNLABELLED": "columns",
        "check_images": "images",
        "decode": "decoding",
        "eval_loader": "batching",
        "fingerprint": "sources",
        "id_columns": "columns",
        "image_column": "images",
        "image_paths": "images",
        "limit": "splitting",
        "load": "options",
        "load_splits": "sources",
        "train_loader": "batching",
    },
)
