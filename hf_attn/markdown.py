"""Foreign text in markdown: shown as it is, never obeyed."""

import re
from typing import Any


def escape(text: Any) -> str:
    """Return ``text`` on one line so that markdown and HTML show it as it is."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+\-!|~$:@])", r"\\\1", line)


def fenced(text: str) -> str:
    """Return ``text`` as a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"
