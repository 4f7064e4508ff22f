"""An example and the attention in it: what is drawn and printed, of a text or of an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError


@dataclass(frozen=True)
class AttentionExample:
    """One example and the weights with which one of its tokens attends to all of them.

    Attributes:
        tokens: The example's tokens, padding left out.
        weights: (layers, heads, tokens), before dropout.
        special: Which of the tokens are the tokenizer's own, such as ``[CLS]``, and no text.
        row: The token that attends; the first one is what most encoders classify by.
        prediction: What the model says of the example.
        label: What it is, where that is known.
    """

    tokens: Sequence[str]
    weights: np.ndarray
    special: frozenset[str] = frozenset({"[CLS]", "[SEP]", "<s>", "</s>"})
    row: int = 0
    prediction: str = ""
    label: str | None = None

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        if weights.ndim != 3 or weights.shape[-1] != len(self.tokens):
            raise InputError(
                f"attention weights of shape {weights.shape} do not fit {len(self.tokens)} tokens: "
                "expected (layers, heads, tokens)"
            )
        object.__setattr__(self, "weights", weights)

    @property
    def said(self) -> list[tuple[str, str]]:
        """What was predicted and what is true, as far as they are known."""
        return [(what, name) for what, name in (("predicted", self.prediction), ("true", self.label)) if name]

    @property
    def is_text(self) -> np.ndarray:
        """(tokens,) bool: False at the tokenizer's own tokens."""
        return np.array([token not in self.special for token in self.tokens], dtype=bool)


@dataclass(frozen=True)
class AttendedImage:
    """One image and maps of where the model attends in it.

    Attributes:
        pixels: (height, width, 3) uint8, as the model sees it.
        maps: weights over the grid of patches, (rows, columns), by what they are.
        prediction: What the model says of the image.
        label: What it is, where that is known.
    """

    pixels: np.ndarray
    maps: dict[str, np.ndarray]
    prediction: str = ""
    label: str | None = None
