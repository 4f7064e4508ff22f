"""The run folder: what a recipe leaves behind, and what is put on the Hub."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(__name__, {"RunRecord": "record", "begin": "folder", "complete": "folder"})
