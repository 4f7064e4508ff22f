"""Texts and pairs of texts: read, checked, made into tokens, brought together with a model."""

from ....interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "bring_together": "agreement",
        "check_text": "tokens",
        "collate": "tokens",
        "tokenize": "tokens",
    },
)
