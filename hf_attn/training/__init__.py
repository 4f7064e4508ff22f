"""The one training loop and all it stands on."""

from ..interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "TrainConfig": "config",
        "augmented": "around",
        "collate_features": "probing",
        "encoder_once": "frozen",
        "eval_loader": "loaders",
        "faster_training": "cpu",
        "fit": "loop",
        "predict": "evaluation",
        "probe": "probing",
        "start": "loop",
        "supervised": "around",
        "train_loader": "loaders",
        "with_rationales": "around",
    },
)
