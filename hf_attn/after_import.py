"""Run a function once a module is imported: now if it is already, else as soon as somebody imports it."""

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any


def after_import(name: str, then: Callable[[], object]) -> None:
    """Call ``then()`` after the module ``name`` has been imported.

    Args:
        name: of the module, with dots.
        then: takes nothing; an error of it is the import's.
    """
    if name in sys.modules:
        then()
    else:
        sys.meta_path.insert(0, _Waiting(name, then))


class _Waiting(MetaPathFinder):
    """Finds one module as the others on ``sys.meta_path`` do, until it is imported, with a loader that calls back."""

    def __init__(self, name: str, then: Callable[[], object]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        below = sys.meta_path[sys.meta_path.index(self) + 1 :]  # those above were asked already, or ask this one
        others = (finder.find_spec for finder in below if hasattr(finder, "find_spec"))
        spec = next((spec for find in others if (spec := find(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _CallsBack(spec.loader, self)
        return spec


class _CallsBack(Loader):
    """Loads as another loader does, which it leaves in its place, and then calls a function."""

    def __init__(self, loader: Loader, waiting: _Waiting) -> None:
        self.loader, self.waiting = loader, waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        if self.waiting in sys.meta_path:
            sys.meta_path.remove(self.waiting)
            self.waiting.then()
