"""Where a model attends in a text: shaded words in a terminal, a picture of all layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ....interface.plotting import canvas, shorten, styled
from ....interface.printable import printable
from ....interface.terminal import BARS, encodable, has_colour
from ..example import AttentionExample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention_text(example: AttentionExample, *, layer: int = -1, colour: bool | None = None) -> str:
    """Return one example as text for the terminal: its words shaded, what was predicted, what rests on no word."""
    weights = example.weights[layer].mean(axis=0)
    number = range(len(example.weights))[layer] + 1
    resting = float(weights[~example.is_text].sum() / weights.sum()) if weights.sum() else 0.0
    words, shares = join_pieces(example.tokens, weights, example.special)
    attending = printable(example.tokens[example.row])
    head = [f"Attention of {attending} in layer {number} of {len(example.weights)}, mean of heads"]
    head += [f"{what} {printable(name)}" for what, name in example.said]
    specials = ", ".join(sorted(set(example.tokens) & example.special))
    rest = f"({resting:.0%} of it rests on {specials})" if resting else ""
    lines = [", ".join(head), "", "  " + attention_line(words, shares, colour=colour), "", rest]
    return "\n".join(lines).rstrip()


def attention_line(words: Sequence[str], weights: Sequence[float], *, colour: bool | None = None) -> str:
    """Return the words with their weights: shaded in colour, else with a bar (or a digit) after each that matters.

    Args:
        words: One example's words.
        weights: Their weights; the greatest one gets the strongest shade.
        colour: Whether to print colours; by default where standard output is a terminal that has them.
    """
    colour = has_colour() if colour is None else colour
    bars = BARS if encodable(BARS) else ""
    top = max(weights, default=0.0) or 1.0
    shown = []
    for word, weight in zip(words, weights, strict=True):
        share = max(0.0, weight / top)
        text = printable(word)
        if colour:
            shade = SHADES[round(share * (len(SHADES) - 1))]
            shown.append(text if shade is None else f"\x1b[48;5;{shade}m\x1b[38;5;16m{text}\x1b[0m")
        elif bars:
            shown.append((text + bars[round(share * (len(bars) - 1))]).rstrip())
        else:
            shown.append(f"{text}({round(share * 9)})")
    return " ".join(shown)


def join_pieces(
    tokens: Sequence[str], weights: Sequence[float], special: frozenset[str] = frozenset()
) -> tuple[list[str], list[float]]:
    """Join word pieces (``##ing``, ``▁the``, ``Ġthe``) to words and add up their weights; special tokens go."""
    starts = any(token[:1] in ("▁", "Ġ") for token in tokens)
    words: list[str] = []
    sums: list[float] = []
    fresh = True
    for token, weight in zip(tokens, weights, strict=True):
        if token in special:
            fresh = True
            continue
        continues = token.startswith("##") or (starts and token[:1] not in ("▁", "Ġ"))
        text = token.removeprefix("##").lstrip("▁Ġ")
        if words and continues and not fresh:
            words[-1] += text
            sums[-1] += float(weight)
        else:
            words.append(text)
            sums.append(float(weight))
        fresh = False
    return words, sums


SHADES = (None, 230, 223, 216, 209, 202)
"""Background colours of the 256-colour palette, from no attention to the most."""


@styled
def attention_heat(example: AttentionExample) -> "Figure":
    """Draw how one token attends to each token: a row a layer, heads averaged, at most 64 tokens.

    The colours end at the greatest weight of a token of the text, so that weights resting on ``[CLS]`` and ``[SEP]``,
    as they often do, leave the words' differences visible.
    """
    tokens = list(example.tokens)[:64]
    weights = example.weights.mean(axis=1)[:, : len(tokens)]
    layers = len(weights)
    figure, axis = canvas(max(4.8, 2.2 + 0.32 * len(tokens)), 2.1 + 0.32 * layers)
    text = weights[:, example.is_text[: len(tokens)]]
    image = axis.imshow(weights, cmap="Blues", vmin=0, vmax=text.max(initial=0) or None, aspect="auto")
    axis.set_xticks(range(len(tokens)), [shorten(token, 20) for token in tokens], rotation=60, ha="right", fontsize=9)
    axis.set_yticks(range(layers), [str(layer + 1) for layer in range(layers)])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    said = [f"{what}: {shorten(name)}" for what, name in example.said]
    title = "\n".join([f"Attention of {shorten(example.tokens[example.row])}, mean of heads", *said])
    axis.set(ylabel="layer", title=title)
    bar = figure.colorbar(image, ax=axis, fraction=0.03, pad=0.01, extend="max")
    bar.outline.set_visible(False)
    return figure
