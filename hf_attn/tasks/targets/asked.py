"""What is explained of a model's outputs: a class, a label, a number, or the difference of two classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...data.columns import listing
from ...errors import InputError
from ..explained import Asked

if TYPE_CHECKING:
    from torch import Tensor


def of_names(
    names: Sequence[str],
    predicted: int,
    wanted: str | int | None,
    against: str | int | None,
    probability: Callable[[Tensor], Tensor],
) -> Asked:
    """Return what is explained of outputs with names: one, or the difference of two.

    Args:
        names: of the outputs.
        predicted: the one to explain by default.
        wanted: another.
        against: whose logit is subtracted.
        probability: of logits (rows, outputs), the same shape.

    Raises:
        InputError: there is no such output, or both are one.
    """
    place = predicted if wanted is None else number_of(wanted, names)
    if against is None:
        return Asked(names[place], partial(output, place), lambda logits: probability(logits)[:, place], "probability")
    other = number_of(against, names, "against")
    if other == place:
        raise InputError(f"target and against are both {names[place]!r}: expected two classes")

    def difference(logits: Tensor) -> Tensor:
        return logits[:, place] - logits[:, other]

    return Asked(f"{names[place]} − {names[other]}", difference, difference, "difference of logits")


def output(place: int, outputs: Tensor) -> Tensor:
    """Return one of the outputs, (rows, outputs) -> (rows,)."""
    return outputs[:, place]


def number_of(wanted: str | int, names: Sequence[str], what: str = "target") -> int:
    """Return the place of an output by its name, or by its number where no name is that.

    Raises:
        InputError: there is no such output.
    """
    if str(wanted) in names:
        return list(names).index(str(wanted))
    if str(wanted).isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise InputError(f"{what} {wanted!r}: the model has no such output, but {listing(names)}")
