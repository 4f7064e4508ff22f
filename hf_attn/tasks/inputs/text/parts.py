"""A text, or a pair, as the words or tokens that an explanation weighs, and the same without some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ....data.reading import characters
from ....errors import InputError
from ....models.prefixes import prefix_of
from ...explained import Leaf, Part
from . import attributed
from .agreement import check_token_ids, fitted, padding
from .embeddings import embedded_as, tied_tables
from .encoding import Place, located, special_ids
from .tokens import Padding
from .words import grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel

SEGMENTS = ("words", "tokens")
REMOVALS = ("mask", "delete")
"""What stands for a part that is removed: the mask token (else the unknown, else the padding one), or nothing."""


@dataclass(frozen=True)
class TextParts:
    """One text, or a pair, in parts.

    Attributes:
        parts: in their order; the tokenizer's own tokens are none.
        texts: as they were read, one or two.
        tokens: of the whole input.
        part_of: (tokens,) the part that a token belongs to; -1 for the tokenizer's own.
        batch: the input as the model takes it, (1, tokens) each.
        removal: what stands for a part that is removed.
        gone: id of the token that stands for a token of it.
        pad: id of the padding token; None where the model knows none.
        side: of padding.
        aside: what a target is told of the whole input beside ``batch``: the window that says where its tokens stand.
        known: special tokens that the text itself holds, such as masks.
        read_once: whether a decoder that looks up these tokens has written them itself, and does not read the text.
    """

    parts: list[Part]
    texts: tuple[str, ...]
    tokens: list[str]
    part_of: np.ndarray
    batch: dict[str, Tensor]
    removal: str
    gone: int
    pad: int | None
    side: str
    aside: dict[str, Any] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    read_once: bool = False

    def kept(self, keep: np.ndarray) -> dict[str, Tensor]:
        """Return the input with some of its parts alone, a row for each row of ``keep``, (rows, parts) bool."""
        here = np.concatenate([keep, np.ones((len(keep), 1), bool)], 1)[:, self.part_of]  # -1 is the last column
        if self.removal == "delete":
            return self._shortened(here)
        batch = self.repeated(len(keep))
        there = torch.from_numpy(here).to(batch["input_ids"].device)
        return {**batch, "input_ids": batch["input_ids"].masked_fill(~there, self.gone)}

    def _shortened(self, here: np.ndarray) -> dict[str, Tensor]:
        bare = ~here.any(1)
        here[bare, 0] = True  # a row of no token at all cannot be run: the first stands in
        columns = {name: values[0].cpu().numpy() for name, values in self.batch.items()}
        rows = [{name: values[row].tolist() for name, values in columns.items()} for row in here]
        for row in np.flatnonzero(bare):
            rows[row]["input_ids"] = [self.gone]
        pads = {name: (self.pad or 0) if name == "input_ids" else 0 for name in columns}
        made = Padding(pads, self.side, 1, 2**31)(rows)
        return {name: values.to(self.batch[name].device) for name, values in made.items()}

    @property
    def rows_at_once(self) -> int | None:
        """Rows of :meth:`kept` that one forward pass may hold; None is any number."""
        return 1 if self.pad is None else None

    def repeated(self, rows: int) -> dict[str, Tensor]:
        """Return the input in so many rows."""
        return {name: values.expand(rows, -1) for name, values in self.batch.items()}

    def between(
        self, own: slice, before: Sequence[int] = (), after: Sequence[int] = (), *, names: Callable[[Any], list[str]]
    ) -> TextParts:
        """Return the same for a model that reads some of these tokens, with others before and after them.

        Args:
            own: the tokens of it that are read.
            before: ids of tokens of no part.
            after: likewise.
            names: tokens of their ids.
        """
        lead, end = list(before), list(after)
        part_of = np.concatenate([np.full(len(lead), -1), self.part_of[own], np.full(len(end), -1)])
        batch = {}
        for name, values in self.batch.items():
            around = [values.new_tensor([one]) for one in (lead, end)]
            if name != "input_ids":
                around = [torch.full_like(one, int(name == "attention_mask")) for one in around]
            batch[name] = torch.cat([around[0], values[:, own], around[1]], 1)
        tokens = [*names(lead), *self.tokens[own], *names(end)]
        return replace(self, tokens=tokens, part_of=part_of, batch=batch, side="right")

    def of_tokens(self, weights: np.ndarray) -> np.ndarray | None:
        """Return (…, parts) sums of (…, tokens) weights; None where they are not of the tokens of this input."""
        if weights.shape[-1] != len(self.tokens):
            return None
        return weights @ (self.part_of[:, None] == np.arange(len(self.parts)))

    def of_map(self, weights: np.ndarray) -> None:
        """Return None: a text has no rows and columns."""

    def own_tokens(self, count: int) -> list[tuple[int, str]]:
        """Return places and names of the tokens that are the tokenizer's own."""
        return [(at, self.tokens[at]) for at in np.flatnonzero(self.part_of < 0).tolist()]

    @property
    def left_out(self) -> str:
        """What of the texts the model does not read, in words; empty where it reads all."""
        unread = 0
        for source, text in enumerate(self.texts):
            spans = [part.span for part in self.parts if part.source == source and part.span]
            if spans:
                unread += len(text[: spans[0][0]].strip()) + len(text[spans[-1][1] :].strip())
        return f"{unread:,} characters of it are too far on for the model, and are not read." if unread else ""

    @property
    def grid(self) -> None:
        """None: a text has no rows and columns."""

    def html(self, weights: np.ndarray) -> str:
        """Return the texts as HTML, in colours of (parts,) weights."""
        return attributed.html(self.texts, self.parts, self.tokens, self.part_of, weights)

    def line(self, weights: np.ndarray, *, colour: bool | None = None) -> str:
        """Return the texts for a terminal, in colours of (parts,) weights."""
        order = [pair for pair in attributed.items(self.part_of) if pair[0] >= 0 or self.tokens[pair[1]] in self.known]
        marks = {at: self.tokens[token] for at, (part, token) in enumerate(order) if part < 0}
        return attributed.line(self.parts, weights, colour=colour, marks=marks)

    def draw(self, weights: np.ndarray) -> Figure:
        """Draw the texts in colours of (parts,) weights."""
        return attributed.draw(self.parts, weights)

    def leaf(self, model: PreTrainedModel, outputs: Callable[[nn.Module, dict[str, Tensor]], Tensor]) -> Leaf:
        """Return the embeddings of the tokens, at which gradients are taken.

        Raises:
            InputError: the model has no table of token embeddings.
        """
        table = model.get_input_embeddings()
        if not isinstance(table, nn.Module):
            raise InputError(f"{type(model).__name__} has no table of token embeddings to take gradients at")
        ids = self.batch["input_ids"]
        here = torch.from_numpy(self.part_of < 0).to(ids.device)
        with torch.no_grad():
            value, baseline = table(ids), table(ids.masked_fill(~here, self.gone))
        spread = torch.zeros(len(self.tokens), len(self.parts), dtype=value.dtype, device=value.device)
        spread[torch.arange(len(self.tokens))[~here.cpu()], torch.from_numpy(self.part_of[self.part_of >= 0])] = 1

        tables = tied_tables(model, table)

        def forward(embedded: Tensor) -> Tensor:
            with embedded_as(tables, ids[0], embedded, once=self.read_once) as put:
                found = outputs(model, self.repeated(len(embedded)))
            if not put:
                raise InputError(f"{type(model).__name__} reads its embeddings where no gradient can be taken")
            return found

        return Leaf(value, baseline, forward, lambda values: values.flatten(2).sum(-1) @ spread)


def parted(
    model: PreTrainedModel,
    tokenizer: Any,
    text: Any,
    text_pair: str | None = None,
    *,
    segments: str | None = None,
    removal: str | None = None,
    known: tuple[str, ...] = (),
) -> TextParts:
    """Return a text, or a pair, in parts.

    Args:
        model: that reads it.
        tokenizer: of the model.
        text: one.
        text_pair: a second one.
        segments: ``words`` (by default; sub-words of one are merged) or ``tokens``.
        removal: ``mask`` (by default) or ``delete``, as ERASER has it.
        known: special tokens that a text may hold, which are no part.

    Raises:
        InputError: another kind of segments or removal, or a text with nothing but blanks.
    """
    given = characters([one for one in (text, text_pair) if one is not None])
    if not any(one.strip() for one in given):
        raise InputError("the text to explain is empty: give one with words")
    tokenizer = fitted(tokenizer, model)
    prefix = prefix_of(model)
    encoded, places = located(tokenizer, prefix + given[0], given[1] if len(given) > 1 else None, known=known)
    places = [_behind(len(prefix), place) for place in places]
    if known:
        own = special_ids(tokenizer)
        places = [None if one in own else place for one, place in zip(encoded["input_ids"], places, strict=True)]
    return replace(in_parts(model, tokenizer, given, encoded, places, segments=segments, removal=removal), known=known)


def in_parts(
    model: PreTrainedModel,
    tokenizer: Any,
    given: Sequence[str],
    encoded: dict[str, list[int]],
    places: Sequence[Place | None],
    *,
    segments: str | None = None,
    removal: str | None = None,
) -> TextParts:
    """Return one or two texts, of which tokens and their places are known, in parts; see :func:`parted`.

    Args:
        model: that reads them.
        tokenizer: of the model, fitted to it.
        given: the texts.
        encoded: token ids and what goes with them.
        places: where each token stands.
        segments: as there.
        removal: as there.

    Raises:
        InputError: as there.
    """
    segments, removal = chosen(segments, SEGMENTS, "segments"), chosen(removal, REMOVALS, "removal")
    check_token_ids([encoded["input_ids"]], model, tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    own = special_ids(tokenizer)
    if all(place is None for place in places):  # a tokenizer in Python tells no places
        text_tokens = [at for at, number in enumerate(encoded["input_ids"]) if number not in own]
        groups, parts = [[at] for at in text_tokens], [Part(str(tokens[at])) for at in text_tokens]
    else:
        groups = grouped(given, places) if segments == "words" else [[at] for at, one in enumerate(places) if one]
        parts = [_part(given, [place for at in group if (place := places[at])]) for group in groups]
    if not parts:
        raise InputError("the text to explain is empty for this model: its tokenizer leaves no token of it")
    part_of = np.full(len(tokens), -1)
    for number, group in enumerate(groups):
        part_of[group] = number
    gone = _stand_in(tokenizer, padding(model))
    batch = {name: torch.tensor([row], device=model.device) for name, row in encoded.items()}
    if removal == "delete" and "attention_mask" not in batch:
        raise InputError("removal 'delete': this tokenizer makes no attention mask; expected mask")
    side = tokenizer.padding_side
    return TextParts(parts, tuple(given), tokens, part_of, batch, removal, gone, padding(model), side)


def _behind(prefix: int, place: Place | None) -> Place | None:
    """A place in the first text without what stands before it; None in that itself."""
    if place is None or place[0] or not prefix:
        return place
    source, start, end = place
    return (source, max(start - prefix, 0), end - prefix) if end > prefix else None


def _stand_in(tokenizer: Any, pad: int | None) -> int:
    """The token that stands for one that is removed: never the padding one, by which some models find a text's end."""
    blank = tokenizer(" ", add_special_tokens=False)["input_ids"]
    ids = (tokenizer.mask_token_id, tokenizer.unk_token_id, *blank, 0, 1)
    return int(next(number for number in ids if number is not None and number != pad))


def chosen(given: str | None, known: Sequence[str], what: str) -> str:
    """Return what was chosen, the first of what is known by default.

    Raises:
        InputError: it is not known.
    """
    if given is not None and given not in known:
        raise InputError(f"{what} {given!r}: expected {' or '.join(known)}")
    return given or known[0]


def _part(texts: Sequence[str], places: Sequence[Place]) -> Part:
    source, start, end = places[0][0], min(place[1] for place in places), max(place[2] for place in places)
    inside = texts[source][start:end]
    start, end = start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
    return Part(texts[source][start:end] or inside, source, (start, end) if start < end else places[0][1:])
