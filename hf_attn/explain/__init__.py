"""Where a model looks."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(__name__, {"attend": "attended", "shown": "attended"})
