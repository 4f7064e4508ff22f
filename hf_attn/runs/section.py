"""A section that is added to the card of a run that has ended."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from ..interface.printable import without_tokens
from ..interface.whole_files import write_text
from ..training.run_files import CARD, RECORD, digests, record


def put_section(folder: Path, heading: str, text: str, written: Iterable[Path] = ()) -> None:
    """Put a section into the card of a run, in place of one with the same heading, and note what was written.

    Nothing is done in a folder that no run has ended in.

    Args:
        folder: The run folder.
        heading: Of the section.
        text: Markdown.
        written: Files beside the card that run.json is to know.

    Raises:
        OSError: A file could not be written.
    """
    facts, card = record(folder), folder / CARD
    if facts is None or not card.is_file():
        return
    before = card.read_text("utf-8")
    section = f"## {heading}\n\n{without_tokens(text)}\n\n"
    without = re.sub(rf"(?ms)^## {re.escape(heading)}\n.*?(?=^## |\Z)", "", before)
    place = re.search(r"(?m)^## Training$", without)
    at = place.start() if place else len(without)
    write_text(card, without[:at] + section + without[at:])
    facts["files"] = {**facts.get("files", {}), **digests(folder, [card, *written])}
    write_text(folder / RECORD, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
