"""Layouts of tags: which one some tags are of, the entities that they say, and tags of another layout for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

OUTSIDE = "O"
ENTITY = re.compile(r"([BIEOSLUM])[-_](.+)", re.DOTALL)
LETTER_LAST = re.compile(r"(.+)[-_]([BIESLUM])", re.DOTALL)
ALMOST = re.compile(r"[BIESLUM][-_:/.|].+", re.DOTALL | re.IGNORECASE)
"""Tags that are not of a layout, and look as if they were meant to be."""
SAME = {"L": "E", "U": "S", "M": "I"}
"""Letters of BILOU and BMES, by those of BIOES."""
LETTERS = "OBIES"
Entity = tuple[int, int, str]
"""First word, word after the last, and type."""


def parts(tag: str) -> tuple[str, str] | None:
    """Return letter and type of a tag such as ``B-PER``; of ``O`` that and nothing; None of any other."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = ENTITY.fullmatch(tag)
    return (SAME.get(found[1], found[1]), found[2]) if found and found[1] != OUTSIDE else None


def letter_first(tags: Iterable[str]) -> dict[str, str]:
    """Return tags such as ``PER-B`` and ``PER-I`` as ``B-PER`` and ``I-PER``, by tag; nothing where not all are so."""
    found = {tag: LETTER_LAST.fullmatch(tag) for tag in sorted(tags) if tag != OUTSIDE}
    if any(one is None or parts(tag) for tag, one in found.items()):
        return {}
    made = {tag: f"{one[2]}-{one[1]}" for tag, one in found.items() if one}
    return made if {"B", "I"} <= {SAME.get(tag[0], tag[0]) for tag in made.values()} else {}


@dataclass(frozen=True)
class Layout:
    """What the names of tags mean where they say entities.

    Attributes:
        name: ``BIO``, ``IO``, ``IOB1`` or ``BIOES``.
        tags: the names, in the order of a model's outputs.
    """

    name: str
    tags: tuple[str, ...]

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Types of entities, by name."""
        return tuple(sorted({kind for _, kind in self.parts if kind}))

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """Letter and type of each tag; a tag without a letter is inside of an entity of its name."""
        turned = letter_first(self.tags)
        return [parts(turned.get(tag, tag)) or ("I", tag) for tag in self.tags]

    @cached_property
    def outside(self) -> int:
        """Number of the tag of words in no entity."""
        return self.tags.index(OUTSIDE)

    @cached_property
    def within(self) -> np.ndarray:
        """(tags,) number of the tag that goes on with the entity of each; outside where it ends."""
        inside = [("I", kind) if letter in "BI" else (OUTSIDE, "") for letter, kind in self.parts]
        return np.array([self._numbers.get(pair, self.outside) for pair in inside])

    @cached_property
    def ending(self) -> np.ndarray:
        """(tags,) number of the tag that ends the entity of each; itself where the layout has none."""
        return np.array([self._numbers.get(("E", kind), number) for number, (_, kind) in enumerate(self.parts)])

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], int]:
        return {pair: number for number, pair in reversed(list(enumerate(self.parts)))}

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """(tags,) numbers of letters and of types; -1 is no type."""
        letters = [LETTERS.index(letter) for letter, _ in self.parts]
        types = [self.types.index(kind) if kind else -1 for _, kind in self.parts]
        return np.array(letters), np.array(types)

    def entities(self, tags: np.ndarray) -> np.ndarray:
        """Return (entities, 3) first word, word after the last, and number of the type, of (words,) numbers of tags.

        As the evaluation script of CoNLL-2000 reads them, and seqeval by default: an entity that begins with no B is
        one all the same.
        """
        letter, kind = (codes[np.asarray(tags, int)] for codes in self.codes)
        pad = [0], [-1]
        before, after = np.concatenate([pad[0], letter]), np.concatenate([letter, pad[0]])
        type_before, type_after = np.concatenate([pad[1], kind]), np.concatenate([kind, pad[1]])
        o, b, i, e, s = range(5)
        turns = type_before != type_after
        single, ended = np.isin(after, [b, s]), np.isin(before, [e, s])
        starts = (after != o) & (single | (before == o) | ended | turns)
        ends = (before != o) & (single | (after == o) | ended | turns)
        first, last = np.flatnonzero(starts), np.flatnonzero(ends)
        return np.stack([first, last, kind[first]], 1).reshape(-1, 3)

    def spread(self, tags: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Return tags by which an entity goes on over the words that have no token of their own.

        Nothing goes on behind E and S. Where nothing goes on with the entity behind such words, the last ends it.

        Args:
            tags: (words,) numbers, each that of the word which answers for it.
            by: (words,) that word, itself or one before; below 0 where there is none, which is outside.
        """
        own = by == np.arange(len(by))
        tags = np.where(by >= 0, np.where(own, tags, self.within[tags]), self.outside)
        letter, kind = (codes[np.append(tags, self.outside)] for codes in self.codes)
        goes_on = np.isin(letter[1:], [LETTERS.index("I"), LETTERS.index("E")]) & (kind[1:] == kind[:-1])
        return np.where(own | goes_on, tags, self.ending[tags])

    def named(self, tags: Sequence[int]) -> list[Entity]:
        """Return the entities of one text by the names of their types."""
        return [(start, end, self.types[kind]) for start, end, kind in self.entities(np.asarray(tags)).tolist()]


def layout_of(texts: Iterable[Sequence[str]]) -> str | None:
    """Return the layout that the tags of texts are of; None where they say no entities, such as parts of speech."""
    begins: Counter[str] = Counter()
    letters: set[str] = set()
    for tags in texts:
        last: tuple[str, str] = (OUTSIDE, "")
        for tag in tags:
            found = parts(tag)
            if found is None:
                letters.add("?")
                continue
            letters.add(found[0])
            same = last[1] == found[1] and last[0] != OUTSIDE
            begins[f"{found[0]} {'within' if same else 'first'}"] += 1
            last = found
    if "?" in letters:
        return "IO" if letters == {"?", OUTSIDE} else None
    if not letters - {OUTSIDE}:
        return None
    if letters & {"E", "S"}:
        return "BIOES"
    if "B" not in letters:
        return "IO"
    return "IOB1" if begins["I first"] and not begins["B first"] else "BIO"


def of_names(names: Sequence[str]) -> Layout | None:
    """Return the layout of a model's tags by their names alone; None where they say no entities."""
    turned = letter_first(names)
    found = layout_of([[turned.get(name, name)] for name in names])
    if found is None or OUTSIDE not in names:
        return None
    return Layout("BIO" if found == "IOB1" else found, tuple(names))


def strays(tags: Sequence[str], layout: str) -> int:
    """Return how many tags of a text continue an entity that nothing begins, which BIO and BIOES do not have."""
    if layout not in ("BIO", "BIOES"):
        return 0
    found, last = 0, (OUTSIDE, "")
    for tag in tags:
        now = parts(tag) or ("I", tag)
        open_ = last[0] in "BI" and last[1] == now[1]
        found += now[0] in "IE" and not open_
        last = now
    return found


def tags_of(entities: Iterable[Entity], words: int, layout: str) -> list[str]:
    """Return the tags of a text of so many words, in a layout, that say these entities, which do not overlap."""
    tags = [OUTSIDE] * words
    before: Entity | None = None
    for start, end, kind in sorted(entities):
        touches = before is not None and before[1] == start and before[2] == kind
        letters = ["I"] * (end - start)
        if layout in ("BIO", "BIOES") or (layout == "IOB1" and touches):
            letters[0] = "B"
        if layout == "BIOES":
            letters[-1] = "S" if end - start == 1 else "E"
        tags[start:end] = [f"{letter}-{kind}" for letter in letters]
        before = (start, end, kind)
    return tags


def names_of(types: Iterable[str], layout: str) -> list[str]:
    """Return all tags of a layout for these types."""
    letters = {"IO": "I", "BIO": "BI", "IOB1": "BI", "BIOES": "BIES"}[layout]
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in sorted(types) for letter in letters)]
