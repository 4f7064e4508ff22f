"""Packages that hand on what stands in their modules, imported when it is asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def handed_on(package: str, home: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Return ``__getattr__`` and ``__all__`` of a package.

    Args:
        package: its ``__name__``.
        home: the module of each name, relative to the package.
    """

    def getattr_(name: str) -> Any:
        if name in home:
            return getattr(importlib.import_module(f".{home[name]}", package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return getattr_, list(home)
