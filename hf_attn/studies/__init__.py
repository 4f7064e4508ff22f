"""Many runs: what a recipe's ``main`` is called for again."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(__name__, {"earlier_round": "self_training"})
