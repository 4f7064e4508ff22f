"""What images alone need of a model: resolution, drop path, token merging, CIFAR ResNets."""

from ...interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "ImageModelOptions": "options",
        "check": "of_run",
        "load_for": "of_run",
        "merging": "of_run",
        "scored_with": "of_run",
        "scorer": "of_run",
    },
)
