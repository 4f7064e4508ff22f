"""The part of a text that answers a question, or that there is none."""

from ....interface.lazy import handed_on

USAGE = ""
"""The snippet of the input fits."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "ALSO": "options",
        "COLUMNS": "answers",
        "Options": "options",
        "Spans": "spans",
        "columns_of": "options",
        "encode": "encoding",
        "keep": "saved",
        "of_model": "saved",
        "outputs": "found",
        "printed": "answers",
        "tell_unlearnt": "encoding",
    },
)
