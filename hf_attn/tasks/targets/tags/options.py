"""Arguments of tags and their loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..labels.options import LossOptions


@dataclass(kw_only=True)
class Options(LossOptions):
    """Tags"""

    tags: str = "tags"
    """Column of the tags, one a token: a list of names or numbers, or a text in which blanks divide them."""
    tag_names: str | None = None
    """Names of numbered tags: a json file of a list, or of names with their numbers, or names with commas; null takes
    them from the data."""
    spans: str | None = None
    """Column of labelled spans of raw texts (with --text), in place of tags: lists of {start, end, label}, in
    characters, end excluded. Tags are made of them; a span that ends within a word takes the whole word."""
    offsets: Literal["characters", "bytes", "utf16"] = "characters"
    """What places of spans count: characters, bytes of UTF-8, or units of UTF-16 (JavaScript, Java, C#)."""
    layout: Literal["BIO", "IO", "IOB1", "BIOES", "none"] | None = None
    """How tags say which entities there are; others are converted. none takes tags as they are, such as parts of
    speech. null is what the data have, and BIO for IOB1."""
    label_all_tokens: bool = False
    """Train every token of a word, not only its first; what is said of a word is what its first token says."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = super().problems()
        if self.spans is None and self.offsets != "characters":
            found.append(f"offsets {self.offsets} is of --spans, which are not given")
        if self.spans is not None and self.tags != Options.tags:
            found.append(f"tags {self.tags} is given beside spans {self.spans}: tags are read from one of them")
        return found
