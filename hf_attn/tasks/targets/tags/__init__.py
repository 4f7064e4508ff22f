"""A tag for each word of a text: entities in one of several layouts, or such as parts of speech."""

from ....interface.lazy import handed_on

USAGE = ""
"""The snippet of the input fits."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "COLUMNS": "answers",
        "Options": "options",
        "Tags": "tags",
        "column_of": "encoding",
        "encode": "encoding",
        "of_model": "saved",
        "outputs": "tagged",
        "printed": "answers",
    },
)
