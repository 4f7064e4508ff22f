"""One class, several labels, or a number."""

from ....interface.lazy import handed_on

USAGE = ""
"""The snippet of the input fits."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "COLUMNS": "answers",
        "Labels": "labels",
        "Number": "number",
        "OneClass": "one_class",
        "Options": "options",
        "SeveralLabels": "several_labels",
        "encode": "encoding",
        "encode_labels": "encoding",
        "learn_from": "pseudo",
        "load_splits": "splits",
        "of_model": "saved",
        "outputs": "labels",
        "printed": "answers",
        "strata_of": "splits",
    },
)
