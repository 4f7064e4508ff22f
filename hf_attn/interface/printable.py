"""Foreign text in a terminal: shown, never obeyed, and without the tokens of the Hub that are in it."""

import os
import re

TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}")
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
HIDDEN = "hf_…"


def printable(text: object) -> str:
    """Return text without control characters and the like, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "·" for letter in str(text))


def without_tokens(text: object, *tokens: str | None) -> str:
    """Return text in which ``hf_…`` stands for every Hub token: what looks like one, those in use, and ``tokens``."""
    shown = str(text)
    for token in (*tokens, *(os.environ.get(name) for name in VARIABLES)):
        if token and len(token) >= 8:
            shown = shown.replace(token, HIDDEN)
    return TOKEN.sub(HIDDEN, shown)


def one_line(error: object, *tokens: str | None, most: int = 300) -> str:
    """What another library says, on one line of ``most`` characters and without tokens; its type if it says nothing."""
    return without_tokens(" ".join(str(error).split()), *tokens)[:most] or type(error).__name__
