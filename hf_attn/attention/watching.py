"""Seeing the calls of a model's attention layers, and answering them otherwise, without touching the model."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from .dispatch import SLOT, call_of, slot_of, ungrouped, variant_of, weights_of_call
from .dropout import dropout as cheap_dropout
from .foreign import check_told, is_known
from .layers import find_layers, in_order


@dataclass(frozen=True)
class SeenCall:
    """One call of an attention layer, as transformers makes it.

    Attributes:
        function: the attention function that is called.
        module: the layer.
        query: (batch, heads, queries, d).
        key: (batch, key heads, keys, d).
        value: as ``key``.
        attention_mask: as of :func:`dispatch.attend`.
        options: further arguments of the function.
    """

    function: Callable[..., Any]
    module: nn.Module
    query: Tensor
    key: Tensor
    value: Tensor
    attention_mask: Tensor | None
    options: dict[str, Any]

    def weights(self, rows: Tensor | None = None) -> Tensor:
        """Return the weights, (batch, heads, rows, keys), before dropout.

        Raises:
            ValueError: a function that somebody else registered attends by other weights.
        """
        found = weights_of_call(self.module, self.query, self.key, self.attention_mask, rows, **self.options)
        if not is_known(self.function):
            call = (self.module, self.query, self.key, self.value, self.attention_mask)
            check_told(found, rows, self.function, *call, **self.options)
        return found

    def scores(self, rows: Tensor | None = None) -> Tensor:
        """Return the scores with bias and mask, (batch, heads, rows, keys), as the layer's variant has them."""
        call = call_of(self.module, self.query, self.key, self.attention_mask, rows, **self.options)
        return variant_of(self.module, self.query).masked_scores(call)[0]

    @property
    def sparse(self) -> bool:
        """Whether weights of tokens that are seen may be exactly 0, and then have no gradient."""
        return variant_of(self.module, self.query).sparse

    def attended_by(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the function would return if it attended by these weights, (batch, heads, queries, keys)."""
        value = ungrouped(self.value, self.query.shape[1])
        context = cheap_dropout(weights.to(value.dtype), self.options.get("dropout", 0.0)) @ value
        if (slot := getattr(self.module, SLOT, None)) is not None:
            context = slot_of(slot).output(context, self.query).to(value.dtype)
        return context.transpose(1, 2).contiguous(), weights

    def run(self, value: Tensor | None = None) -> Any:
        """Return what the function returns; of other values, where they are given."""
        value = self.value if value is None else value
        return self.function(self.module, self.query, self.key, value, self.attention_mask, **self.options)


See = Callable[[int, SeenCall], Any]
"""What is done with a call of layer number ``int``; what it returns, unless None, stands in for the call's result."""


class Watcher:
    """Tells calls of attention layers apart by the layer's number.

    A layer's number is that of its module. A module that stands for several layers runs once for each, in order;
    gradient checkpointing, which runs layers again in the backward pass, is no further run.
    """

    def __init__(self, order: Sequence[nn.Module], see: See) -> None:
        self.see = see
        self._numbers: dict[int, list[int]] = {}
        for number, module in enumerate(order):
            self._numbers.setdefault(id(module), []).append(number)
        self._ran: dict[int, int] = {}

    def take(self, call: SeenCall) -> Any:
        """Hand on one call, where it is of a layer of the watched model; return what stands in for it, or None."""
        numbers = self._numbers.get(id(call.module))
        if numbers is None or torch._C._current_graph_task_id() != -1:
            return None
        ran = self._ran.get(id(call.module), 0)
        self._ran[id(call.module)] = ran + 1
        return self.see(numbers[ran % len(numbers)], call)


_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("hf_attn_watches", default=())
_lock = threading.Lock()
_watching = ExitStack()
_count = 0


def _get_interface(self: AttentionInterface, attn_implementation: str, default: Callable[..., Any]) -> Any:
    """What transformers looks an attention function up by, while a model is watched."""
    return _watched(_LOOK_UPS["get_interface"](self, attn_implementation, default))


def _getitem(self: AttentionInterface, attn_implementation: str) -> Any:
    """What older code looks it up by."""
    return _watched(_LOOK_UPS["__getitem__"](self, attn_implementation))


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    seen = getattr(function, "func", None) is _seen
    return partial(_seen, function) if _watchers.get() and not seen else function


_LOOK_UPS: dict[str, Callable[..., Any]] = {
    name: getattr(AttentionInterface, name) for name in ("get_interface", "__getitem__")
}


def _seen(
    function: Callable[..., Any],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> Any:
    call = SeenCall(function, module, query, key, value, attention_mask, options)
    answers = [watcher.take(call) for watcher in _watchers.get()]
    answered = [answer for answer in answers if answer is not None]
    return answered[-1] if answered else call.run()


def _put_back(name: str, own: Callable[..., Any] | None) -> None:
    delattr(AttentionInterface, name) if own is None else setattr(AttentionInterface, name, own)


@contextmanager
def _seeing() -> Iterator[None]:
    """Put our look-ups before transformers' own, and compiled models on their plain code, in some thread."""
    global _count
    with _lock:
        if not _count:
            for name, look_up in (("get_interface", _get_interface), ("__getitem__", _getitem)):
                _watching.callback(_put_back, name, vars(AttentionInterface).get(name))
                setattr(AttentionInterface, name, look_up)
            if "torch._dynamo" in sys.modules:
                _watching.enter_context(torch.compiler.set_stance("force_eager"))
        _count += 1
    try:
        yield
    finally:
        with _lock:
            _count -= 1
            if not _count:
                _watching.close()


def layers_in_order(model: nn.Module) -> list[nn.Module]:
    """Return the attention layers of a model in the order in which they run.

    Raises:
        ValueError: none goes through transformers' attention interface, or not all that must.
    """
    model = getattr(model, "_orig_mod", getattr(model, "module", model))
    try:
        return in_order(list(find_layers(model).values()))
    except ValueError as error:
        raise ValueError(str(error).replace("take an attention variant", "be watched")) from None


@contextmanager
def seeing_attention(order: Sequence[nn.Module], see: See) -> Iterator[None]:
    """Let ``see`` have each call of these attention layers inside the block, by the layer's place in ``order``.

    It is seen by this thread (or task) alone, stands on no module and no configuration, and may be nested.
    """
    before = _watchers.get()
    with _seeing():
        token = _watchers.set((*before, Watcher(order, see)))
        try:
            yield
        finally:
            _watchers.reset(token)
