"""Where a model looks, why it answers, and whether to believe an explanation."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__, {"METHODS": "methods", "attend": "attended", "explain": "methods", "shown": "attended"}
)
