"""One class, several labels, or a number."""

from ....interface.lazy import handed_on

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Labels": "labels",
        "LossOptions": "options",
        "check_metric": "metric_check",
        "choose_metric": "metric_check",
        "default_metric": "metrics",
        "encode": "options",
        "encode_labels": "labels",
        "interval": "scoring",
        "load_splits": "splits",
        "probabilities": "scoring",
        "report": "scoring",
        "right": "scoring",
        "scores": "scoring",
        "strata_of": "splits",
    },
)
