"""Names of classes that may be meant as one: they differ in case, blanks, unseen signs, or zeros in front."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

MISSING = {"nan", "none", "null", "na", "n/a", "<na>", "nat", "-", "?", "#n/a"}
"""What programs write where there is no label; NA may be Namibia."""


def alike(counts: Mapping[Any, int]) -> list[str]:
    """A clause for each group of names that are nearly alike, with the rows of each."""
    groups: dict[str, list[Any]] = {}
    for name in counts:
        groups.setdefault(key(name), []).append(name)
    told = []
    for names in groups.values():
        if len(names) > 1:
            shown = ascii if _unseen(names) else repr
            told.append(" and ".join(f"{shown(name)} ({counts[name]} rows)" for name in names))
    return told


def nearest_name(name: Any, known: Iterable[Any]) -> Any | None:
    """The known name that differs from this one only in what :func:`key` leaves out."""
    wanted = key(name)
    return next((other for other in known if key(other) == wanted), None)


def key(name: Any) -> str:
    """What is left of a name without case, accents' spelling, blanks, signs that are not seen, and a last point."""
    text = unicodedata.normalize("NFKC", str(name)).casefold()
    text = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cf", "Cc", "Zs", "Zl", "Zp"))
    text = re.sub("[-_\u2010-\u2015]", "", text) if re.search("[^-_0-9.\u2010-\u2015]", text) else text
    text = text.replace("\u2019", "'").rstrip(".")
    if re.fullmatch(r"[+-]?\d{1,15}(\.\d+)?", text):
        return repr(float(text))
    return text or str(name)


def like_missing(counts: Counter[Any]) -> dict[Any, int]:
    """Names that may stand for no label, with the rows of each."""
    return {name: count for name, count in counts.items() if isinstance(name, str) and name.lower() in MISSING}


def _unseen(names: list[Any]) -> bool:
    """Whether the names look the same where they are shown."""
    return len({unicodedata.normalize("NFKC", str(name)).replace("\u200b", "") for name in names}) < len(names)
