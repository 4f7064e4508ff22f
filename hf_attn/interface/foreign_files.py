"""JSON and YAML that a stranger may have written: bounded in size and depth, without tags and aliases."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..errors import InputError
from .printable import one_line

MOST_BYTES = 64 << 20
DEEPEST = 100
"""Lists and mappings inside each other; configurations have about five."""


def read_text(path: Path, most: int = MOST_BYTES, *, pipes: bool = False) -> str:
    """Return the text of a plain file, or of a pipe where ``pipes`` allows one.

    Raises:
        InputError: it is a pipe, device or folder, too large, not UTF-8, or cannot be read.
    """
    try:
        if path.exists() and not (path.is_file() or (pipes and (path.is_fifo() or path.is_char_device()))):
            raise InputError("it is no plain file")
        if (size := path.stat().st_size) > most:
            raise InputError(f"it has {size:,} bytes, at most {most:,} are read")
        with path.open(encoding="utf-8") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 (byte {error.start})") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: it cannot be read, is not JSON, or is nested too deep.
    """
    try:
        value = json.loads(read_text(path))
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"it is nested more than {DEEPEST} deep") from None
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno} is not JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(one_line(error)) from None
    _refuse_deep(value)
    return value


def read_yaml(path: Path, *, pipes: bool = False) -> Any:
    """Return what a YAML file holds: plain values, lists and mappings.

    Raises:
        InputError: it cannot be read, is not YAML, is nested too deep, or has a tag of a class or an alias, of which
            nine lines can make a thousand million words.
    """
    return _plain_yaml(read_text(path, 4 << 20, pipes=pipes))


def read_front_matter(path: Path) -> dict[str, Any]:
    """Return the metadata between two lines ``---`` at the start of a markdown file; nothing where there is none.

    Raises:
        InputError: as :func:`read_yaml`.
    """
    parts = re.split(r"^---[ \t]*$", read_text(path, 4 << 20).lstrip("\ufeff"), maxsplit=2, flags=re.MULTILINE)
    found = _plain_yaml(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    return found if isinstance(found, dict) else {}


def _plain_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_plain_loader())  # noqa: S506  (a SafeLoader)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise InputError(f"it is not plain YAML ({one_line(error)})") from None


def _plain_loader() -> type:
    import yaml

    class PlainLoader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError(f"an alias, *{self.peek_event().anchor}: write the value itself")
            self.depth += 1
            if self.depth > DEEPEST:
                raise yaml.YAMLError(f"nested more than {DEEPEST} deep")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    return PlainLoader


def _refuse_deep(value: Any) -> None:
    level, depth = [value], 0
    while level := [
        child
        for one in level
        if isinstance(one, dict | list)
        for child in (one.values() if isinstance(one, dict) else one)
    ]:
        depth += 1
        if depth > DEEPEST:
            raise InputError(f"it is nested more than {DEEPEST} deep")
