"""The weights of a model's attention layers for one example, and their gradients: what attention methods stand on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..attention.layer_kind import crosses
from ..attention.modes import evaluation_mode
from ..attention.watching import SeenCall, layers_in_order, seeing_attention
from ..errors import InputError

if TYPE_CHECKING:
    from .case import Case


@dataclass(frozen=True)
class SeenLayer:
    """One attention layer that ran.

    Attributes:
        number: its place in the order in which layers run.
        weights: (heads, queries, keys), before dropout.
        gradient: of the explained output with respect to them, the same shape; None where it was not asked for.
        value: (heads, keys, d).
        crosses: whether its keys are of another sequence than its queries.
    """

    number: int
    weights: Tensor
    gradient: Tensor | None
    value: Tensor
    crosses: bool


def order_of(case: Case) -> list[Any]:
    """Return the attention layers of a model in their order.

    Raises:
        InputError: it has none that can be seen.
    """
    if case.layers is not None:
        return case.layers
    try:
        case.layers = layers_in_order(case.model)
        return case.layers
    except ValueError as error:
        raise InputError(f"{error}; methods that need no attention: integrated_gradients, occlusion, lime") from None


def names_of(case: Case) -> dict[int, str]:
    """Return the names of a model's modules by their identity."""
    if case.names is None:
        case.names = {id(module): name for name, module in case.model.named_modules()}
    return case.names


def see_layers(
    case: Case, wanted: Collection[int] | None = None, *, row: int | None = None, gradient: bool = False
) -> list[SeenLayer]:
    """Run the example once and return its attention layers, in the order in which they ran.

    Args:
        case: the example.
        wanted: numbers of layers, from 0; None is all. The others keep their fast path.
        row: number of the one query that is looked at, negative ones from the end; None is all. Not with a gradient.
        gradient: also run backwards; the wanted layers attend by weights that the output depends on.

    Raises:
        InputError: attention that cannot be seen, or that is not over the whole example, as in windows.
    """
    order = order_of(case)
    seen: dict[int, tuple[Tensor, SeenCall]] = {}

    def see(number: int, call: SeenCall) -> Any:
        if wanted is not None and number not in wanted:
            return None
        rows = None if row is None else torch.tensor([row % call.query.shape[-2]], device=call.query.device)
        weights = call.weights(rows)
        if gradient and not weights.requires_grad:
            weights.requires_grad_()
        seen[number] = weights, call
        return call.attended_by(weights) if gradient else None

    with evaluation_mode(case.model), torch.set_grad_enabled(gradient), seeing_attention(order, see):
        try:
            logits = case.logits(case.parted.batch)
        except ValueError as error:
            raise InputError(str(error)) from None
    found: dict[int, Tensor | None] = dict.fromkeys(seen)
    if gradient:
        with torch.enable_grad():
            output = case.asked.logit(logits.float())[0]
        taken = [weights for weights, _ in seen.values()]
        found = dict(zip(seen, torch.autograd.grad(output, taken, allow_unused=True), strict=True))
    layers = []
    for number, (weights, call) in sorted(seen.items()):
        check_whole(case, weights)
        grad = found[number]
        grad = torch.zeros_like(weights) if gradient and grad is None else grad
        module = call.module
        layers.append(
            SeenLayer(
                number,
                weights[0].detach(),
                None if grad is None else grad[0].detach(),
                call.value[0].detach(),
                crosses(names_of(case).get(id(module), ""), module),
            )
        )
    if not layers:
        raise InputError(f"{type(case.model).__name__} ran no attention layer on this input")
    return layers


def check_whole(case: Case, weights: Tensor) -> None:
    """Refuse (batch, heads, queries, keys) weights of windows.

    Raises:
        InputError: there is more than one row for the one input.
    """
    if len(weights) != 1:
        raise InputError(
            f"{type(case.model).__name__} attends in windows, and no layer sees the whole input: choose a method "
            "of gradients or perturbations, such as integrated_gradients or occlusion"
        )


def last_number(case: Case) -> int:
    """Return the number of the layer that reads the example last: of a decoder, its last look at the encoder."""
    order, names = order_of(case), names_of(case)
    across = [number for number, module in enumerate(order) if crosses(names.get(id(module), ""), module)]
    return across[-1] if across else len(order) - 1


_read: WeakKeyDictionary[Any, int | None] = WeakKeyDictionary()


def read_off(case: Case) -> int | None:
    """Return the one query of the last layer that the model's answer is read off; None where it is several.

    Which it is (the class token, 0; the last token, -1; or another, of this example alone) is found by a gradient: a
    query that the answer does not depend on is not read. The first two are kept for the model.
    """
    if case.read is not None:
        return case.read[0] if len(case.read) == 1 else None
    if case.model in _read:
        return _read[case.model]
    (last,) = see_layers(case, {last_number(case)}, gradient=True)
    assert last.gradient is not None
    read = np.flatnonzero(last.gradient.abs().amax((0, 2)).cpu().numpy() > 0)
    if last.gradient.shape[1] == 1:  # the first and the last: which one it is, a longer text will show
        return 0
    if len(read) == 1 and 0 < read[0] < last.gradient.shape[1] - 1:
        return int(read[0])
    _read[case.model] = None if len(read) != 1 else -1 if read[0] else 0
    return _read[case.model]


def readout(case: Case, queries: int) -> np.ndarray:
    """Return how much the model's answer is read off each query of the last layer, (queries,), in sum 1."""
    if case.read is not None:
        return np.bincount(case.read, minlength=queries) / len(case.read)
    read = read_off(case)
    return np.full(queries, 1 / queries) if read is None else np.eye(queries)[read]


def joined(matrix: Tensor) -> np.ndarray:
    """Return a tensor as a float64 array."""
    return matrix.detach().double().cpu().numpy()
