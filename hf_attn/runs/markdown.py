"""Foreign text in markdown: shown as it is, never obeyed."""

import re
from typing import Any

from ..interface.printable import printable


def escape(text: Any) -> str:
    """Return ``text`` on one line so that markdown and HTML show it as it is."""
    line = printable(" ".join(str(text).split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]()#+\-!|~$:@])", r"\\\1", line)
    return re.sub(r"(?i)\bwww\.", lambda found: found[0][:-1] + r"\.", line)


def fenced(text: str) -> str:
    """Return ``text`` as a code block whose fence is longer than any in the text."""
    text = "\n".join(printable(line) for line in text.split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"
