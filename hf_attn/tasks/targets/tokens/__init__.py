"""Tokens of a text: those that are hidden from a model, or those that follow."""

from ....interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {"Following": "following", "Masked": "masked", "Options": "options", "encode": "encoding"},
)
