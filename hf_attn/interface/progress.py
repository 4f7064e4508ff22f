"""Progress bars: one line that is written over on a terminal, and lines now and then in the file of a log."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sized
from typing import Any

from tqdm import std
from tqdm.auto import tqdm

SECONDS = 10.0
"""Least time between two lines in a file."""
LINES = 50
"""Most lines in a file, but for the first and the last."""


class Lines(std.tqdm):
    """A bar for what is no terminal: each state a line of its own, every 10 s and every 50th of the whole at most."""

    disable: bool

    def __init__(self, *args: Any, **options: Any) -> None:
        given = args[0] if args else options.get("iterable")
        total = options.get("total") or (len(given) if isinstance(given, Sized) else 0)
        rare = {"mininterval": SECONDS, "maxinterval": math.inf, "miniters": max(1, math.ceil(total / LINES))}
        short = {} if options.get("leave", True) else {"delay": SECONDS}
        super().__init__(*args, **{**options, **rare, **short})

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Return what writes a state as a line."""

        def write(text: str) -> None:
            if text:
                print(text, file=file, flush=True)

        return write

    def close(self) -> None:
        """Write the last state, where the bar is to be left."""
        if self.disable:
            return
        if self.leave and self.n > self.last_print_n:
            self.display()
        self.disable = True
        self._decr_instances(self)


def bar(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return tqdm's bar for a terminal or a notebook, else :class:`Lines`; ``options`` are tqdm's."""
    in_notebook = any(cls.__module__ == "tqdm.notebook" for cls in tqdm.__mro__)
    stream = options.get("file") or sys.stderr
    kind = tqdm if in_notebook or (stream is not None and stream.isatty()) else Lines
    return kind(iterable, **options)
