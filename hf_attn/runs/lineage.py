"""Which published model a model folder is, or came from, as far as its files tell: what a card may name as its base."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.foreign_files import read_front_matter, read_json, read_text

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CANONICAL = re.compile(
    r"((distil)?bert|(distil|xlm-)?roberta|albert|(distil)?gpt2|openai-gpt|t5|xlnet|xlm|camembert|ctrl)(-[\w.-]+)?"
)
"""Ids of the first models of the Hub, which have no user's name."""
PLACES = re.compile(
    r"(\w*(runs?|outputs?|results?|models?|checkpoints?|ckpts?|logs?|exp(eriment)?s?|saved?|trained|data|tmp|temp|home)"
    r"|content|work|mnt|opt|usr|var|root|workspace|kaggle)/.*|.*/checkpoint-\d+",
    re.IGNORECASE,
)
"""Paths of two parts, which only look like an id."""
SNAPSHOT = re.compile(r"(?:.*/)?models--([\w.-]+?)(?:--([\w.-]+))?/snapshots/[0-9a-f]{40}/?")
PUSHED = re.compile(r'^model_id = "([^"/\n]+/[^"/\n]+)"$', re.MULTILINE)
"""In a card of ours that was on the Hub."""


@dataclass(frozen=True)
class Base:
    """What a model was made of.

    Attributes:
        name: to read: an id of the Hub, or the last part of a path.
        hub_id: of the model itself (``is_it``), or of one that it came from; None where the files tell of none.
        is_it: whether ``hub_id`` is the model itself.
        kind: ``model_type`` of a folder.
    """

    name: str
    hub_id: str | None = None
    is_it: bool = False
    kind: str = ""


def base_of(source: object) -> Base:
    """Return what is known of a model by its id or its folder; nothing is asked of the Hub."""
    text = " ".join(str(source).split())
    folder = Path(os.path.expanduser(text))
    if not os.path.exists(folder):
        known = hub_id(text) or (text if CANONICAL.fullmatch(text) else None)
        return Base(known or folder.name or text, known, known is not None)
    if own := _own_id(folder):
        return Base(own, own, is_it=True)
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    origin = next(_origins(folder, config), None)
    return Base(folder.resolve().name, origin, kind=kind if isinstance(kind, str) else "")


def hub_id(value: Any) -> str | None:
    """Return the id of the Hub that a value of a file is, be it by a path into the Hub's cache; None if it is none."""
    text = value if isinstance(value, str) else ""
    if snapshot := SNAPSHOT.fullmatch(text):
        return "/".join(filter(None, snapshot.groups()))
    named = HUB_ID.fullmatch(text) and not PLACES.fullmatch(text) and not os.path.exists(text)
    return text if named or CANONICAL.fullmatch(text) else None


def _own_id(folder: Path) -> str | None:
    from ..models import quickstart

    if SNAPSHOT.fullmatch(str(folder)) or SNAPSHOT.fullmatch(str(folder.resolve())):
        return hub_id(str(folder)) or hub_id(str(folder.resolve()))
    if quickstart.is_checkpoint(folder):
        return quickstart.HUB_ID
    try:
        card = folder / "README.md"
        tags = read_front_matter(card).get("tags")
        pushed = PUSHED.search(read_text(card)) if isinstance(tags, list) and "hf_attn" in tags else None
    except InputError:
        return None
    return hub_id(pushed[1]) if pushed else None


def _origins(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """Ids that the files of a folder name as what it came from, the surest first."""
    try:
        stated = read_front_matter(folder / "README.md").get("base_model")
    except InputError:
        stated = None
    adapter = _json(folder / "adapter_config.json").get("base_model_name_or_path")
    for value in (*(stated if isinstance(stated, list) else [stated]), adapter, config.get("_name_or_path")):
        if known := hub_id(value):
            yield known


def _json(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path) if path.is_file() else {}
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}
