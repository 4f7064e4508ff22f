"""Texts from which a model writes others: texts, one each."""

from ...interface.lazy import handed_on
from .text import COLUMNS, NOUN, USAGE
from .text import FORM as PAIR
from .text import __all__ as OF_TEXT
from .text.given import one_each

FORM = PAIR[:1]
__all__ = ["COLUMNS", "FORM", "NOUN", "USAGE", "read", *(name for name in OF_TEXT if name != "read")]

__getattr__, _ = handed_on(__package__, {name: "text" for name in OF_TEXT if name != "read"})

read = one_each("a model that writes a text from another takes one each")
