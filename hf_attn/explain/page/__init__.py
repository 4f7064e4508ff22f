"""The page: explained inputs as one file of HTML, to look at, click and print, without a network."""

from ...interface.lazy import handed_on

__getattr__, __all__ = handed_on(__name__, {"page": "document", "snippet": "document"})
