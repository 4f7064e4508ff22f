"""Places in a text that count characters, bytes or units of UTF-16."""

from __future__ import annotations

UNITS = {"bytes": ("utf-8", 1), "utf16": ("utf-16-le", 2)}
"""Encoding, and its bytes in what is counted."""
NAMES = {"bytes": "bytes of UTF-8", "utf16": "units of UTF-16"}


def in_characters(text: str, offset: int, units: str) -> int:
    """Return the character that begins at an offset in ``units``, which may be those of :data:`UNITS`; -1 for none."""
    if units not in UNITS:
        return offset
    encoding, width = UNITS[units]
    encoded = text.encode(encoding)
    try:
        return len(encoded[: offset * width].decode(encoding)) if 0 <= offset * width <= len(encoded) else -1
    except UnicodeDecodeError:
        return -1


def counted_in(text: str, part: str, start: int) -> str | None:
    """Return the units by which a part of a text would stand at its start; None where it would by none."""
    places = {units: in_characters(text, start, units) for units in UNITS}
    return next((units for units, place in places.items() if place >= 0 and text.startswith(part, place)), None)
