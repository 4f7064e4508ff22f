"""What a model was trained to find before each text, as its configuration says: T5's "summarize: " and its like."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

log = logging.getLogger(__name__)


def prefixes(config: Any) -> list[str]:
    """Return the prefix of each task that a configuration knows; of a task without one it is empty."""
    tasks = getattr(config, "task_specific_params", None) or {}
    return [str((task or {}).get("prefix") or "") for task in tasks.values()]


def prefix_of(model: Any) -> str:
    """Return what is put before each text; empty where it is nothing, or where a configuration of several tasks, such
    as T5's own, says it of none.
    """
    known = prefixes(model.config)
    return known[0] if len(known) == 1 else ""


def tell_unprefixed(config: Any, texts: Iterable[str], cure: str) -> None:
    """Warn where a model knows prefixes and no text begins with one of them.

    Args:
        config: of the model.
        texts: some of those that it is given.
        cure: what to do, in words.
    """
    known = tuple(filter(None, prefixes(config)))
    if known and not any(text.startswith(known) for text in texts):
        log.warning("the model knows prefixes of texts, such as %r, and these have none: %s", known[0], cure)
