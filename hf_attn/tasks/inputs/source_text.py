"""Texts from which a model writes others: texts, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...interface.lazy import handed_on
from .text import COLUMNS, NOUN, USAGE
from .text import FORM as PAIR
from .text import __all__ as OF_TEXT
from .text.given import read as read_texts

if TYPE_CHECKING:
    from .text.given import Texts

FORM = PAIR[:1]
__all__ = ["COLUMNS", "FORM", "NOUN", "USAGE", "read", *(name for name in OF_TEXT if name != "read")]

__getattr__, _ = handed_on(__package__, {name: "text" for name in OF_TEXT if name != "read"})


def read(inputs: Any, text_pair: Any = None, run: Any = None) -> Texts:
    """Return what is given as texts, as :func:`.text.given.read` does.

    Raises:
        InputError: all that is wrong with them; a pair.
    """
    if text_pair is not None:
        raise InputError("text_pair is for models of pairs: a model that writes a text from another takes one each")
    return read_texts(inputs, run=run)
