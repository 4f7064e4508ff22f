"""How much each token's state changes where another's value is 0: value zeroing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..attention.modes import evaluation_mode
from ..attention.watching import SeenCall, seeing_attention
from ..errors import InputError
from ..interface.printable import one_line
from .attentions import of_row
from .found import Found
from .seen_layers import joined, names_of, order_of

if TYPE_CHECKING:
    from .case import Case


def value_zeroing(case: Case) -> Found:
    """How much each token's state changes where another's value is 0, rolled out (Mohebbi et al. 2023, eq. 3 to 5).

    In each layer ``C_ij = 1 - cos(x_i, x_i^¬j)``, x^¬j being the layer's output with value j set to 0 in all heads;
    rows are made to sum to 1 and multiplied over layers, without a residual, which x holds already.

    Raises:
        InputError: the attention layers do not stand in a list of blocks, or do not see all tokens.
    """
    blocks = _blocks(case)
    total: Tensor | None = None
    calls = _block_calls(case, blocks)
    for number, block in blocks.items():
        changes = _changes(case, number, block, *calls[number])
        changes = changes / changes.sum(-1, keepdim=True).clamp_min(1e-12)
        total = changes if total is None else changes @ total
    assert total is not None
    return of_row(case, joined(total))


def _blocks(case: Case) -> dict[int, nn.Module]:
    """The block of each attention layer: the innermost member of a list that holds it."""
    names = names_of(case)
    blocks: dict[int, nn.Module] = {}
    for number, layer in enumerate(order_of(case)):
        parts = names[id(layer)].split(".")
        at = next((at for at in range(len(parts) - 1, -1, -1) if parts[at].isdecimal()), None)
        if at is None:
            raise InputError(f"value_zeroing: {names[id(layer)]} stands in no list of blocks")
        blocks[number] = case.model.get_submodule(".".join(parts[: at + 1]))
    if len({id(block) for block in blocks.values()}) < len(blocks):
        raise InputError("value_zeroing: a block has more than one attention layer, or stands for several")
    return blocks


def _block_calls(case: Case, blocks: dict[int, nn.Module]) -> dict[int, tuple[tuple[Any, ...], dict[str, Any], Tensor]]:
    """What each block is given for the example, and what it makes of it."""
    calls: dict[int, tuple[tuple[Any, ...], dict[str, Any], Tensor]] = {}
    handles = []
    for number, block in blocks.items():

        def keep(_: nn.Module, args: Any, kwargs: Any, output: Any, number: int = number) -> None:
            calls[number] = args, kwargs, _state(output)

        handles.append(block.register_forward_hook(keep, with_kwargs=True))
    try:
        with evaluation_mode(case.model), torch.no_grad():
            case.logits(case.parted.batch)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _state(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _changes(
    case: Case, number: int, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], state: Tensor
) -> Tensor:
    """(queries, tokens) cosine distances of a block's output to what it is with each token's value set to 0."""
    order = order_of(case)
    columns = []
    tokens = state.shape[1]
    for start in range(0, tokens, case.batch_size):
        some = torch.arange(start, min(tokens, start + case.batch_size), device=state.device)

        def see(_: int, call: SeenCall, some: Tensor = some) -> Any:
            if call.value.shape[-2] != tokens or len(call.value) != len(some):
                raise InputError("value_zeroing: the attention layers do not see all tokens, as in windows")
            value = call.value.clone()
            value[torch.arange(len(some)), :, some] = 0
            return call.run(value)

        def repeated(given: Any, rows: int = len(some)) -> Any:
            if isinstance(given, Tensor) and given.dim() and len(given) == 1 and given.dim() > 1:
                return given.expand(rows, *given.shape[1:])
            return type(given)(map(repeated, given)) if isinstance(given, tuple) else given

        kwargs = {name: None if name.startswith("past_key_value") else one for name, one in kwargs.items()}
        here = [order[number]]
        with evaluation_mode(case.model), torch.no_grad(), seeing_attention(here, see):
            given = {name: repeated(one) for name, one in kwargs.items()}
            try:
                changed = _state(block(*map(repeated, args), **given))
            except (RuntimeError, TypeError, IndexError) as error:
                name = type(block).__name__
                raise InputError(f"value_zeroing: {name} cannot be run by itself ({one_line(error)})") from None
        columns.append(1 - torch.cosine_similarity(changed.double(), state.double(), dim=-1))
    return torch.cat(columns).T.clamp_min(0)
