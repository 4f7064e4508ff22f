"""The tags of a run as the numbers that a model learns, in the layout that was asked for."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data import limit as limited
from ....data.columns import labelled, listing, missing, quoted, refuse
from ....data.origin import carry, select, unusable, where
from ....errors import InputError
from .layouts import ALMOST, OUTSIDE, Layout, layout_of, letter_first, names_of, parts, strays, tags_of
from .reading import Read, names_given, read_spans, read_tags, told
from .tags import Tags

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import Options

log = logging.getLogger(__name__)
Tagging = dict[str, list[list[str]]]
"""Names of the tags of each row, by split."""


def column_of(args: Options) -> str:
    """Return the column that the arguments name as that of the labels."""
    return args.spans or args.tags


def encode(splits: DatasetDict, args: Any) -> tuple[DatasetDict, Tags]:
    """Add the column ``labels``, a number a word, and keep ``limit`` rows of each split.

    Args:
        splits: train, validation and test with ``text`` and ``words``, and ``unlabelled``, which gets none.
        args: of the run.

    Raises:
        InputError: all that is wrong with the tags of all splits, with the first rows as they are in the file; options
            of a loss that these tags do not have.
    """
    every, splits = splits, labelled(splits)
    refuse(missing(splits, [column_of(args)]))
    refuse(why for split in splits.values() if (why := unusable(split, column_of(args))))
    if args.spans and not args.text:
        raise InputError("--spans are characters of raw texts: name their column by --text")
    if args.text and not args.spans:
        raise InputError("--text names raw texts, whose tags come from labelled spans: name their column by --spans")
    names = names_given(args.tag_names)
    read = {
        name: read_spans(split, args.spans, args.offsets) if args.spans else read_tags(split, args, names)
        for name, split in splits.items()
    }
    splits, tagging = _usable(splits, read, skip=args.skip_bad_rows)
    _tell_widened(read)
    stated = names or next(filter(None, (_stated(split, args) for split in splits.values())), None)
    tagging, order, layout = _laid_out(tagging, args.layout, stated)
    _check(splits, tagging, order)
    ids = {tag: number for number, tag in enumerate(order)}
    numbers = {name: [[ids[tag] for tag in tags] for tags in rows] for name, rows in tagging.items()}
    counts = np.bincount(np.concatenate([np.asarray(row, int) for row in numbers["train"]]), minlength=len(order))
    target = Tags(tuple(order), Layout(layout, tuple(order)) if layout else None, tuple(counts.tolist()), args)
    target.criterion  # noqa: B018
    made = type(every)({name: _with(splits[name], numbers[name]) if name in splits else every[name] for name in every})
    return limited(made, args.limit, args.seed), target


def _stated(split: Dataset, args: Options) -> list[str] | None:
    """The names that a ``ClassLabel`` gives to the tags, in its order."""
    return None if args.spans else getattr(getattr(split.features[args.tags], "feature", None), "names", None)


def _usable(splits: DatasetDict, read: dict[str, Read], *, skip: bool) -> tuple[dict[str, Dataset], Tagging]:
    """The splits, and their tags, without rows that cannot be used; these are refused unless they may be skipped."""
    if not skip:
        refuse(
            f"{name} has {len(rows)} rows with {why} ({where(splits[name], rows)}): mend them, or --skip_bad_rows"
            for name, one in read.items()
            for why, rows in one.bad.items()
        )
    kept: dict[str, Dataset] = {}
    tagging: Tagging = {}
    for name, one in read.items():
        good = [row for row, tags in enumerate(one.tags) if tags is not None]
        if not good:
            raise InputError(f"no row of {name} can be used ({told(one.bad)})")
        if one.bad:
            left = len(one.tags) - len(good)
            log.warning("%s: %d of %d rows are left out (%s)", name, left, len(one.tags), told(one.bad))
        kept[name] = select(splits[name], good) if one.bad else splits[name]
        tagging[name] = [tags for tags in one.tags if tags is not None]
    return kept, tagging


def _tell_widened(read: dict[str, Read]) -> None:
    for name, one in read.items():
        if one.widened:
            log.warning("%s: %d spans end within a word or beside one, and take whole words", name, one.widened)


def _laid_out(
    tagging: Tagging, asked: str | None, stated: Sequence[str] | None
) -> tuple[Tagging, list[str], str | None]:
    """The tags in the layout of the run, the names in the order of the model's outputs, and that layout."""
    if asked != "none":
        tagging = _typed(tagging)
    every = [tags for rows in tagging.values() for tags in rows]
    seen = Counter(tag for tags in every for tag in tags)
    found = layout_of(every)
    if asked != "none":
        _refuse_mixed(seen)
    if asked == "none" or (found is None and asked is None):
        if found is None and all(tag.isdecimal() for tag in seen):
            log.warning("the tags are numbers without names: name them by --tag_names, or they are taken as they are")
        order = list(stated) if stated and set(seen) <= set(stated) else sorted(seen)
        log.info("%d tags, one a word: %s", len(order), listing(order))
        return tagging, order, None
    if found is None:
        raise InputError(
            f"layout {asked}: the tags {quoted(sorted(seen)[:5])} say no entities; expected such as O, B-PER, I-PER"
        )
    goal = asked or ("BIO" if found == "IOB1" else found)
    bare = any(parts(tag) is None for tag in seen)
    types = sorted({kind for tag in seen if (kind := (parts(tag) or ("I", tag))[1])})
    _tell_layout(tagging, found, goal, types)
    odd = any(tag != OUTSIDE and (found_parts := parts(tag)) and "-".join(found_parts) != tag for tag in seen)
    if goal != found or odd:
        source = Layout(found, tuple(dict.fromkeys([OUTSIDE, *seen])))
        return _converted(tagging, source, goal), names_of(types, goal), goal
    if bare:
        return tagging, [OUTSIDE, *sorted(set(seen) - {OUTSIDE})], goal
    if stated and set(seen) <= set(stated) and OUTSIDE in stated:
        return tagging, list(stated), goal
    return tagging, names_of(types, goal), goal


def _typed(tagging: Tagging) -> Tagging:
    """Tags whose letters name no type, B, I and O, as those of one type of entity; with the letter first."""
    seen = {tag for rows in tagging.values() for tags in rows for tag in tags}
    if {"B", "I"} & seen and OUTSIDE in seen and seen <= set("OBIESLUM"):
        log.info("the tags %s name no type: their entities are of the type 'entity'", quoted(sorted(seen)))
        written = {tag: tag if tag == OUTSIDE else f"{tag}-entity" for tag in seen}
    elif written := letter_first(seen):
        log.info("the tags %s have their letter last: read as %s", quoted(written), quoted(written.values()))
        written[OUTSIDE] = OUTSIDE
    else:
        return tagging
    return {name: [[written[tag] for tag in tags] for tags in rows] for name, rows in tagging.items()}


def _refuse_mixed(seen: Iterable[str]) -> None:
    """Refuse tags of which some say entities and others do not, or would if they were written otherwise."""
    plain = sorted(tag for tag in seen if parts(tag) is None)
    others = sorted(tag for tag in seen if tag != OUTSIDE and parts(tag))
    if plain and others and (OUTSIDE in seen or {"B", "I"} <= {tag[0] for tag in others}):
        raise InputError(
            f"the tags {quoted(others)} say entities, and {quoted(plain)} do not: mend them (words of none are "
            f"{OUTSIDE}), or --layout none takes them as they are"
        )
    almost = [tag for tag in plain if ALMOST.fullmatch(tag)]
    if {"B", "I"} <= {tag[0].upper() for tag in almost}:
        how = "in small letters" if all(tag[0].islower() for tag in almost) else "without a hyphen"
        raise InputError(f"the tags {quoted(almost)} are {how}: write O, B-… and I-…, or --layout none")


def _converted(tagging: Tagging, source: Layout, goal: str) -> Tagging:
    """The tags in another layout; how many entities it cannot tell apart is told."""
    ids = {tag: number for number, tag in enumerate(source.tags)}
    found = {
        name: [(source.named([ids[tag] for tag in tags]), len(tags)) for tags in rows] for name, rows in tagging.items()
    }
    if goal == "IO":
        every = [entities for rows in found.values() for entities, _ in rows]
        touching = sum(
            one[1:] == (other[0], other[2]) for entities in every for one, other in itertools.pairwise(entities)
        )
        if touching:
            log.warning(
                "%d of %d entities touch another of their type before them: IO makes one of both",
                touching,
                sum(map(len, every)),
            )
    return {name: [tags_of(entities, words, goal) for entities, words in rows] for name, rows in found.items()}


def _tell_layout(tagging: Tagging, found: str, goal: str, types: Sequence[str]) -> None:
    converted = "" if goal == found else f", trained as {goal}"
    log.info("the tags are %s%s: entities of %d types (%s)", found, converted, len(types), listing(types))
    for name, rows in tagging.items():
        odd = [count for tags in rows if (count := strays(tags, found))]
        if odd:
            log.warning(
                "%s: %d tags in %d texts go on with an entity that nothing begins (I- without B-): each begins one, as "
                "in seqeval's default",
                name,
                sum(odd),
                len(odd),
            )


def _check(splits: dict[str, Dataset], tagging: Tagging, order: Sequence[str]) -> None:
    trained = {tag for tags in tagging["train"] for tag in tags}
    if len(trained) < 2:
        raise InputError(f"train has one tag only ({quoted(sorted(trained))}): at least two are needed")
    words = sum(map(len, tagging["train"]))
    if len(order) > max(50, words // 2):
        raise InputError(f"{len(order)} different tags in {words} words of train: they are no tags; name their column")
    for name, rows in tagging.items():
        unknown = sorted({tag for tags in rows for tag in tags} - trained)
        if unknown and name != "train":
            at = [row for row, tags in enumerate(rows) if not trained.issuperset(tags)]
            log.warning(
                "%s has tags that train has not, and that are not learnt: %s (%s)",
                name,
                quoted(unknown),
                where(splits[name], at),
            )


def _with(split: Dataset, numbers: list[list[int]]) -> Dataset:
    from datasets import List, Value

    bare = split.remove_columns([name for name in split.column_names if name == "labels"])
    return carry(bare.add_column("labels", numbers, feature=List(Value("int32"))), split)
