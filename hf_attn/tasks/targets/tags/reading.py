"""Tags out of the columns of the data: lists of names or numbers, or labelled spans of raw texts."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....data.columns import listing
from ....data.lists_as_text import written
from ....data.token_lists import token_lists
from ....errors import InputError
from ....interface.printable import one_line
from ..offsets import NAMES, counted_in, in_characters
from .layouts import Entity, tags_of

if TYPE_CHECKING:
    from datasets import Dataset

    from .options import Options

log = logging.getLogger(__name__)

Span = tuple[int, int, str, str]
"""First character, the one behind the last, label, and text; that is empty where it is not given."""
SPAN = '{"start": 0, "end": 5, "label": "PER"}'


@dataclass
class Read:
    """The tags of a split.

    Attributes:
        tags: names of the tags of each row; None of a row that cannot be used.
        bad: rows that cannot be used, by what is wrong with them.
        widened: spans that ended within a word and take the whole of it.
    """

    tags: list[list[str] | None] = field(default_factory=list)
    bad: dict[str, list[int]] = field(default_factory=dict)
    widened: int = 0

    def refused(self, row: int, why: str) -> None:
        """Note what is wrong with a row."""
        self.bad.setdefault(why, []).append(row)
        self.tags.append(None)


def read_tags(split: Dataset, args: Options, names: Sequence[str] | None) -> Read:
    """Return the tags of a split with ``words``; ``names`` are those of numbered tags, where they are known."""
    found = Read()
    own = getattr(getattr(split.features[args.tags], "feature", None), "names", None) or names
    values = token_lists(split[args.tags][:])
    for row, (tags, spans) in enumerate(zip(values, split["words"][:], strict=True)):
        words = len(spans) // 2
        if not isinstance(tags, list | tuple):
            found.refused(row, f"no list of tags in '{args.tags}'")
        elif len(tags) != words:
            found.refused(row, "not as many tags as tokens, such as " + f"{len(tags)} for {words}")
        else:
            named = [_name(tag, own) for tag in tags]
            if None in named:
                bad = tags[named.index(None)]
                found.refused(row, f"the tag {bad!r}" + (f", which is none of {len(own)} names" if own else ""))
            else:
                found.tags.append([str(one) for one in named])
    return found


def _name(tag: Any, names: Sequence[str] | None) -> str | None:
    """A tag by its name; None of what is none."""
    if isinstance(tag, str):
        tag = tag.strip()
        if not names or tag in names:
            return tag or None
        return names[int(tag)] if tag.isdecimal() and int(tag) < len(names) else None
    if isinstance(tag, bool) or not isinstance(tag, int):
        return None
    if names:
        return names[tag] if 0 <= tag < len(names) else None
    return str(tag) if tag >= 0 else None


def names_given(text: str | None) -> list[str] | None:
    """Return the names of numbered tags: those of a json file, or between commas.

    Raises:
        InputError: a file that holds no list of names and no numbers of them, or a name given twice.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if text.endswith(".json") or Path(text).is_file():
        try:
            held = json.loads(Path(text).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"tag_names {text}: {one_line(error)}: expected a json file of a list") from None
        held = _in_order(held) if isinstance(held, dict) else held
        if not isinstance(held, list) or not held or not all(isinstance(name, str) for name in held):
            raise InputError(
                f'tag_names {text}: expected a list of names such as ["O", "B-PER", "I-PER"], or an object of them and '
                "their numbers, from 0 on"
            )
        names = held
    if twice := [name for name, times in Counter(names).items() if times > 1 or not name]:
        raise InputError(f"tag_names has {twice[0]!r} more than once: expected a name for each number")
    return names


def _in_order(named: Mapping[str, Any]) -> list[Any] | None:
    """The names of an object, by number or with their numbers, such as a configuration's id2label; None of another."""
    by_number = all(isinstance(name, str) for name in named.values())
    found = {str(number): name for number, name in (pair if by_number else pair[::-1] for pair in named.items())}
    order = [str(number) for number in range(len(named))]
    return [found[number] for number in order] if set(found) == set(order) else None


def read_spans(split: Dataset, column: str, offsets: str = "characters") -> Read:
    """Return BIO tags of the words of raw texts, out of labelled spans, whose places count ``offsets``."""
    found = Read()
    for row, (value, text, flat) in enumerate(zip(split[column][:], split["text"][:], split["words"][:], strict=True)):
        words = list(zip(flat[::2], flat[1::2], strict=True))
        spans = spans_of(value)
        if spans is None:
            found.refused(row, f"no labelled spans in '{column}', such as {str(value)[:60]} (expected {SPAN})")
            continue
        placed = [
            (in_characters(text, start, offsets), in_characters(text, end, offsets), label, said)
            for start, end, label, said in spans
        ]
        try:
            entities, widened = _entities(placed, text, words)
        except InputError as error:
            found.refused(row, str(error))
            continue
        found.widened += widened
        found.tags.append(tags_of(entities, len(words), "BIO"))
    return found


def spans_of(value: Any) -> list[Span] | None:
    """Return spans as starts, ends, labels and their texts, where these are given; None of what holds none."""
    if isinstance(value, str):
        value = written(value) if value.strip() else []
    if isinstance(value, Mapping):  # columns of a span's fields, as datasets once kept lists of objects
        columns: list[Any] = [value.get(key) for key in ("start", "end", "label")]
        if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) > 1:
            return None
        value = list(zip(*columns, strict=True))
    if not isinstance(value, list):
        return None
    found = []
    for span in value:
        said = ""
        if isinstance(span, Mapping):
            said = span.get("text") or ""
            span = [span.get("start"), span.get("end"), next((span[k] for k in ("label", "type") if span.get(k)), None)]
        if not isinstance(span, list | tuple) or len(span) != 3:
            return None
        start, end, label = span
        if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label.strip():
            return None
        found.append((start, end, label.strip(), str(said)))
    return found


def _entities(spans: Sequence[Span], text: str, words: Sequence[tuple[int, int]]) -> tuple[list[Entity], int]:
    """The words of each span, and how many spans end within a word.

    Raises:
        InputError: spans that are not of the text, have another text than stands there, hold no word, or overlap.
    """
    entities: list[Entity] = []
    widened = reached = 0
    for start, end, label, said in sorted(set(spans)):
        if said and said.split() != text[start:end].split():
            units = counted_in(text, said, start)
            cure = f"its place counts {NAMES[units]}: --offsets {units}" if units else "the end is excluded"
            raise InputError(f"a span of another text than {said!r:.60}: {text[start:end]!r:.60} stands there ({cure})")
        if not 0 <= start < end <= len(text):
            raise InputError(f"a span that is not within its text, such as [{start}, {end}) of {len(text)} characters")
        over = [number for number, (left, right) in enumerate(words) if left < end and start < right]
        if not over:
            raise InputError(f"a span without a word, such as {text[start:end]!r}")
        first, last = over[0], over[-1] + 1
        widened += not text[start:end].strip() == text[words[first][0] : words[last - 1][1]]
        if entities and entities[-1][1] > first:
            how = "overlap" if start < reached else "share a word"
            raise InputError(
                f"spans that {how}, such as {text[start:end]!r:.60} with the one before it: one tag a word cannot say "
                "both"
            )
        entities.append((first, last, label))
        reached = end
    return entities, widened


def told(bad: Mapping[str, list[int]]) -> str:
    """Return what is wrong with rows, and how often."""
    return listing([f"{why}: {len(rows)}" for why, rows in bad.items()])
