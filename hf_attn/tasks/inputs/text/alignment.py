"""Which words of a source a model attends to for each word that it writes: its cross attention, by words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....attention import attention_layers, attention_map, supported
from ....errors import InputError
from ....interface.plotting import Picture, canvas, shorten, styled
from ....interface.printable import printable
from ....models.decoder_tokenizer import writer
from ....models.prefixes import prefix_of
from .encoding import located
from .examples import typical
from .words import grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from .parallel import SourceOptions

CROSS = re.compile(r"encoder_attn|EncDecAttention|cross_?att", re.IGNORECASE)
"""In the names of layers by which a decoder attends to what an encoder read."""
MOST = 40
"""Words that a picture has room for."""


@dataclass(frozen=True)
class Alignment:
    """A source, what was written for it, and the attention between their words.

    Attributes:
        sources: words that were read.
        written: words that were written.
        weights: (layers, heads, written, sources): of the tokens of a word that was written the mean, of those of a
            word that was read the sum. What is left of 1 rests on special tokens.
        label: what should have been written, where that is known.
    """

    sources: Sequence[str]
    written: Sequence[str]
    weights: np.ndarray
    label: str | None = None

    @property
    def layer(self) -> int:
        """The layer that is shown, from 0: the last but one, which aligns best (Garg et al. 2019, section 5)."""
        return max(0, len(self.weights) - 2)

    @property
    def shown(self) -> np.ndarray:
        """(written, sources) weights of that layer, mean of its heads."""
        return self.weights[self.layer].mean(0)


@dataclass(frozen=True)
class Alignments:
    """Sources of a split, as they may be shown with what was written for them.

    Attributes:
        split: of datasets, with sources.
        tokenizer: of the model.
        args: that name the column.
        targets: the tokenizer of what is written; by default the same.
    """

    split: Any
    tokenizer: PreTrainedTokenizerBase
    args: SourceOptions
    targets: Any = None

    def chosen(self, right: Sequence[bool] | None) -> list[int]:
        """Return the row to look at: a good one, where that is known, of a readable number of words."""
        return [typical(self.split[self.args.source], right)]

    def attended(
        self, model: PreTrainedModel, rows: Sequence[int], said: Sequence[str], true: Sequence[str | None]
    ) -> list[Alignment]:
        """Return how the words of these rows are aligned; an empty list if the model cannot be watched."""
        if not supported(type(model)):
            return []
        texts = [self.split[row][self.args.source] for row in rows]
        return [
            align(model, self.tokenizer, source, written, targets=self.targets, label=label)
            for source, written, label in zip(texts, said, true, strict=True)
            if written
        ]

    def pictures(self, seen: Sequence[Alignment]) -> list[Picture]:
        """Return what draws the first of them."""
        caption = "Which source words the model attends to for each word of one test text"
        return [Picture("alignment.png", caption, partial(heat, one)) for one in seen[:1]]

    def text(self, seen: Sequence[Alignment]) -> str:
        """Return the first of them for a terminal; empty where there is none."""
        return line(seen[0]) if seen else ""

    def sheet(self, rows: Sequence[int], titles: Sequence[str], wrong: Sequence[bool]) -> list[Picture]:
        """Return no picture: many texts on one sheet cannot be read."""
        return []


def align(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    source: str,
    written: str,
    *,
    targets: Any = None,
    label: str | None = None,
) -> Alignment:
    """Run a source and a text through an encoder-decoder, and return its cross attention by words.

    Args:
        model: whose cross attention goes through transformers' attention interface.
        tokenizer: of the model.
        source: what is read.
        written: what is written, by the model or by another.
        targets: the tokenizer of what is written; by default the one beside, or the same.
        label: what should have been written.

    Raises:
        InputError: a model without cross attention that can be seen, or a text without words.
    """
    layers = [number for number, name in enumerate(attention_layers(model)) if CROSS.search(name)]
    if not layers:
        raise InputError(f"{type(model).__name__} has no cross attention that can be seen")
    prefix = prefix_of(model)
    read, places = located(tokenizer, prefix + source)
    said, ends = located(targets or writer(tokenizer, model.config), written)
    start = model.generation_config.decoder_start_token_id or model.config.decoder_start_token_id
    inputs = {name: torch.tensor([values], device=model.device) for name, values in read.items()}
    inputs["decoder_input_ids"] = torch.tensor([[start, *said["input_ids"][:-1]]], device=model.device)
    maps = attention_map(model, inputs, layers=layers)
    weights = torch.stack(list(maps))[:, 0].float().cpu().numpy()
    own = [place if place and place[1] >= len(prefix) else None for place in places]
    columns, rows = grouped([prefix + source], own), grouped([written], ends)
    if not columns or not rows:
        raise InputError("there are no words to align")
    summed = np.stack([weights[..., tokens].sum(-1) for tokens in columns], -1)
    meant = np.stack([summed[..., tokens, :].mean(-2) for tokens in rows], -2)
    return Alignment(_names(prefix + source, own, columns), _names(written, ends, rows), meant, label)


def _names(text: str, places: Sequence[Any], groups: Sequence[Sequence[int]]) -> list[str]:
    return [text[places[group[0]][1] : places[group[-1]][2]].strip() for group in groups]


def line(seen: Alignment) -> str:
    """Return each word that was written with the word of the source that most attention goes to."""
    best = seen.shown.argmax(1)
    told = [f"{printable(word)} ({printable(seen.sources[at])})" for word, at in zip(seen.written, best, strict=True)]
    head = f"Cross attention of layer {seen.layer + 1} of {len(seen.weights)}, mean of heads: the word attended to most"
    return f"{head}\n\n  {' '.join(told)}"


@styled
def heat(seen: Alignment) -> Figure:
    """Draw the cross attention: a row a word that was written, a column a word of the source, at most 40 of each."""
    weights = seen.shown[:MOST, :MOST]
    sources, written = seen.sources[:MOST], seen.written[:MOST]
    figure, axis = canvas(max(4.4, 2.2 + 0.32 * len(sources)), max(3.2, 1.9 + 0.26 * len(written)))
    image = axis.imshow(weights, cmap="Blues", vmin=0, vmax=weights.max(initial=0) or None, aspect="auto")
    axis.set_xticks(range(len(sources)), [shorten(word, 20) for word in sources], rotation=60, ha="right", fontsize=9)
    axis.set_yticks(range(len(written)), [shorten(word, 20) for word in written], fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    title = f"Cross attention, layer {seen.layer + 1} of {len(seen.weights)}, mean of heads"
    axis.set(xlabel="source", ylabel="written", title=title)
    bar = figure.colorbar(image, ax=axis, fraction=0.03, pad=0.01)
    bar.outline.set_visible(False)
    return figure
