"""The one training loop and all it stands on."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "TrainConfig": "config",
        "eval_loader": "loaders",
        "fit": "loop",
        "predict": "evaluation",
        "start": "loop",
        "train_loader": "loaders",
    },
)
