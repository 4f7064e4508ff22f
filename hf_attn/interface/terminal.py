"""What the terminal can show."""

import os
import sys

BARS = " ▁▂▃▄▅▆▇█"
"""From nothing to the most."""


def has_colour() -> bool:
    """Return whether standard output is a terminal with colours that does not ask to go without (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def encodable(text: str) -> bool:
    """Return whether standard output can show these letters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
