"""RandAugment (Cubuk et al. 2020, "Practical automated data augmentation"), each image with its own operations.

Operations and strengths are timm's. What moves pixels is gathered into one map, so that an image is interpolated
once; the operations on colours follow in the order in which they were drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import colour, geometry
from .draws import integers, normal, uniform

LARGEST = 10.0
NUMBERS = {"m": "magnitude", "n": "num_ops", "mstd": "magnitude_std", "p": "probability", "inc": "increasing"}

COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "autocontrast": colour.autocontrast,
    "equalize": colour.equalize,
    "invert": colour.invert,
    "posterize": colour.posterize,
    "solarize": colour.solarize,
    "solarize_add": colour.solarize_add,
    "color": colour.saturation,
    "contrast": colour.contrast,
    "brightness": colour.brightness,
    "sharpness": colour.sharpness,
}
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = (*COLOURS, *MOVES)


@dataclass(frozen=True)
class RandAugment:
    """``num_ops`` of 15 operations an image, drawn with repetition, each applied with ``probability``."""

    magnitude: float = 9.0
    """M, 0 to 10."""
    num_ops: int = 2
    """N."""
    magnitude_std: float = 0.0
    """Deviation of the magnitude, which is then cut to 0 … 10."""
    probability: float = 0.5
    """Of each operation; the paper has 1, timm 0.5."""
    increasing: bool = False
    """Whether colours change the more the greater M is, in either direction."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        fine = 0 <= self.magnitude <= LARGEST and self.num_ops >= 1 and self.magnitude_std >= 0
        if not (fine and 0 <= self.probability <= 1):
            raise ValueError(
                f"has m={self.magnitude:g}, n={self.num_ops}, mstd={self.magnitude_std:g}, p={self.probability:g}: "
                "expected a magnitude (m) from 0 to 10, operations (n) from 1, a deviation (mstd) from 0, a "
                "probability (p) from 0 to 1"
            )

    @classmethod
    def parse(cls, text: str) -> RandAugment:
        """Read timm's notation, such as ``rand-m9-n2-mstd0.5-inc1``; or ``2,9`` for ``rand-m9-n2-inc1``.

        Raises:
            ValueError: anything else.
        """
        number = r"\d+(?:\.\d+)?"
        if pair := re.fullmatch(rf"\s*(\d+)\s*,\s*({number})\s*", text):
            return cls(num_ops=int(pair[1]), magnitude=float(pair[2]), increasing=True)
        name, *parts = text.strip().split("-")
        found = [re.fullmatch(rf"([a-z]+)({number})", part) for part in parts]
        values = {NUMBERS[match[1]]: float(match[2]) for match in found if match and match[1] in NUMBERS}
        if name != "rand" or len(values) != len(parts):
            raise ValueError(
                f"{text!r} is no RandAugment: expected rand with any of -m9 (magnitude), -n2 (operations), -mstd0.5 "
                "(deviation of the magnitude), -p0.5 (probability of an operation), -inc1 (increasing), or two "
                "numbers, operations and magnitude, as 2,9"
            )
        casts = {"num_ops": int, "increasing": bool}
        return cls(**{field: casts.get(field, float)(value) for field, value in values.items()})

    def draw(self, seed: int, draws: Tensor, stream: str = "") -> tuple[Tensor, Tensor]:
        """Return the operations, (rows, num_ops) numbers in ``OPERATIONS`` or -1 for none, and their magnitudes."""
        chosen, applied, sign = uniform(seed, draws, 3 * self.num_ops, f"{stream}operations").chunk(3, 1)
        operations = integers(chosen, len(OPERATIONS)).where(applied < self.probability, -1)
        magnitudes = torch.full(chosen.shape, float(self.magnitude))
        if self.magnitude_std:
            noise = normal(seed, draws, self.num_ops, f"{stream}magnitudes")
            magnitudes = (magnitudes + self.magnitude_std * noise).clamp(0, LARGEST)
        return operations, torch.where(sign < 0.5, -magnitudes, magnitudes)

    def recolour(self, pixels: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
        """Apply the operations on colours to uint8 images (rows, 3, height, width)."""
        for operation, magnitude in zip(operations.T, magnitudes.T, strict=True):
            for number in operation.unique().tolist():
                name = OPERATIONS[number]
                if number < 0 or name not in COLOURS:
                    continue
                rows = (operation == number).nonzero()[:, 0]
                changed = COLOURS[name](pixels[rows], self.strength(name, magnitude[rows]))
                pixels = pixels.index_copy(0, rows.to(pixels.device), changed)
        return pixels

    def moves(self, operations: Tensor, magnitudes: Tensor, height: int, width: int) -> Tensor:
        """Return the maps of the operations that move pixels, (rows, 2, 3); see :mod:`.geometry`."""
        total = geometry.affine(len(operations))
        for operation, magnitude in zip(operations.T, magnitudes.T, strict=True):
            level = magnitude / LARGEST

            def of(name: str, strength: Tensor, operation: Tensor = operation) -> Tensor:
                return torch.where(operation == OPERATIONS.index(name), strength, 0.0)

            total = geometry.after(total, geometry.rotation(of("rotate", 30 * level), height, width))
            moved = geometry.affine(
                len(operations),
                xy=of("shear_x", 0.3 * level),
                x=of("translate_x", 0.45 * level * width),
                yx=of("shear_y", 0.3 * level),
                y=of("translate_y", 0.45 * level * height),
            )
            total = geometry.after(total, moved)
        return total

    def strength(self, name: str, magnitude: Tensor) -> Tensor:
        """Return what an operation on colours takes, (rows,), for magnitudes from -10 to 10."""
        level = magnitude.abs() / LARGEST
        if name in ("color", "contrast", "brightness", "sharpness"):
            return (1 + 0.9 * magnitude / LARGEST).clamp_min(0.1) if self.increasing else 0.1 + 1.8 * level
        if name == "posterize":
            return 4 - (4 * level).floor() if self.increasing else (4 * level).floor()
        if name == "solarize":
            return 256 - (256 * level).floor() if self.increasing else (256 * level).floor()
        return (110 * level).floor().clamp_max(128)


def moving(operations: Tensor) -> Tensor:
    """Return which rows of drawn operations, (rows, num_ops), move pixels: boolean (rows,)."""
    return (operations >= len(COLOURS)).any(1)
