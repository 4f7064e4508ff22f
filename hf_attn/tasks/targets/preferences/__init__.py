"""Whether a user likes something, or how much: a class or a rating, scored among what the user met."""

from ....interface.lazy import handed_on

USAGE = ""
"""The snippet of the input fits."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "COLUMNS": "answers",
        "Liked": "liked",
        "Options": "options",
        "Rating": "rating",
        "compare": "baselines",
        "encode": "encoding",
        "of_model": "encoding",
        "outputs": "answers",
        "printed": "answers",
        "plain": "table",
        "comparison": "table",
        "seen": "baselines",
        "strata_of": "encoding",
        "values": "encoding",
    },
)
