"""Examples: where they come from, what is predicted, and how they become batches."""

from .batching import BatchSampler, eval_loader, train_loader
from .labels import Labels, encode_labels
from .sources import fingerprint, load_splits
from .splitting import limit
from .text import check_text, collate, tokenize

__all__ = [
    "BatchSampler",
    "Labels",
    "check_text",
    "collate",
    "encode_labels",
    "eval_loader",
    "fingerprint",
    "limit",
    "load_splits",
    "tokenize",
    "train_loader",
]
