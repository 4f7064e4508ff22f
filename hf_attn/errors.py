"""The one error that a user's input raises, and the nearest name for its message."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line: what was given, what was expected, what to do. The command line prints it and exits with
    status 2; in Python it is an ordinary ``ValueError``.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or nothing if no name is near."""
    lowered = {other.lower(): other for other in known}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f"; did you mean '{lowered[close[0]]}'?" if close else ""
