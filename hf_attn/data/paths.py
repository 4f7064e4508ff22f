"""What a text that should be the path of an image may be instead."""

from __future__ import annotations

import re

SIGNS = ("iVBOR", "/9j/", "R0lGOD", "UklGR", "data:image/")
"""How images begin in base64."""


def no_path(text: str) -> str | None:
    """Why a text leads to no file here: an address, an image in base64, a path of another system."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return "an address: fetch the image, and give the path of the file"
    if text.startswith(SIGNS) and (len(text) > 200 or text.startswith(SIGNS[-1]) or "." not in text):
        return "base64 text, which is not read: save the bytes, in a file or in parquet"
    if re.match(r"[A-Za-z]:[\\/]|\\\\", text):
        return "a path of Windows: write it as seen from the folder of the file"
    if text.startswith("~"):
        return "~ is not followed: write the path as seen from the folder of the file"
    return None
