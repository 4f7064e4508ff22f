"""Functions around a loss: each takes one and returns one."""

from ...interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "RationaleOptions": "options",
        "augmented": "augmentation",
        "supervised": "rationale",
        "with_rationales": "rationale",
    },
)
