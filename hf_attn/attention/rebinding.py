"""Bind what was replaced on the instances of a model to a copy of it.

``copy.deepcopy`` binds methods anew, but takes a function as it is: ``model.forward = torch.compile(model.forward)``
would go on running the original.
"""

import copy
import functools
import inspect
from collections.abc import Mapping
from types import BuiltinFunctionType, CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn

from .layers import is_attention_layer

Copies = Mapping[int, nn.Module]
LIBRARIES = ("torch", "transformers", "accelerate", "peft")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Unbindable(Exception):
    """A function that holds on to the original in a way that cannot be changed; its words say what does."""


def bind_to_copies(model: nn.Module, copies: Copies) -> None:
    """Bind the functions that stand on the modules of a model to their copies.

    Args:
        model: the original.
        copies: of its modules, by their id.

    Raises:
        ValueError: a function goes on running the original, or is no attention that looks a variant up.
    """
    for name, module in model.named_modules():
        if id(module) not in copies:
            continue
        copied = copies[id(module)]
        for key, value in vars(module).items():
            if key in HOOKS:
                getattr(copied, key).update({number: _bound_hook(hook, copies) for number, hook in value.items()})
            elif callable(value) and not isinstance(value, (nn.Module, type)):
                try:
                    vars(copied)[key] = bound(value, copies, vars(copied).get(key))
                except (Unbindable, RecursionError) as reason:
                    raise ValueError(
                        f"{_place(model, name)}.{key} was replaced on the instance, and what stands there would go on "
                        f"running the original: {reason}; undo it (del model.{key}) and replace it after the swap"
                    ) from None
        if is_attention_layer(module) and "forward" in vars(module) and not _looks_up(vars(module)["forward"], module):
            raise ValueError(
                f"{_place(model, name)}.forward was replaced on the instance by what does not run the layer's own, so "
                "no attention variant would be looked up: undo it (del layer.forward) before the swap"
            )


def _place(model: nn.Module, name: str) -> str:
    return f"{type(model).__name__}{name and '.'}{name}"


def bound(value: Any, copies: Copies, copied: Any = None) -> Any:
    """Return a function, or what a function holds, with the copies in place of the original modules.

    Args:
        value: of the original.
        copies: of the modules, by their id.
        copied: what ``copy.deepcopy`` made of ``value``, where it did.

    Raises:
        Unbindable: it holds on to the original in another way.
    """
    if isinstance(value, nn.Module):
        return copies.get(id(value), value)
    if isinstance(value, MethodType):
        function, owner = bound(value.__func__, copies), bound(value.__self__, copies)
        return value if function is value.__func__ and owner is value.__self__ else MethodType(function, owner)
    if isinstance(value, functools.partial):
        return _bound_partial(value, copies)
    if isinstance(value, FunctionType):
        return _bound_function(value, copies)
    if type(value) in (list, tuple, set):
        items = [bound(item, copies) for item in value]
        return type(value)(items) if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if type(value) is dict:
        parts = {key: bound(item, copies) for key, item in value.items()}
        return parts if any(parts[key] is not value[key] for key in value) else value
    state = getattr(value, "__dict__", None)
    if not callable(value) or isinstance(value, (type, BuiltinFunctionType)) or not isinstance(state, dict):
        return value
    changed = {key: new for key, old in state.items() if (new := bound(old, copies)) is not old}
    if not changed:
        return value if copied is None else copied
    result = copy.copy(value)
    vars(result).update(changed)
    return result


def _bound_partial(value: functools.partial, copies: Copies) -> functools.partial:
    parts = (value.func, value.args, value.keywords, vars(value))
    function, args, keywords, state = (bound(part, copies) for part in parts)
    if all(new is old for new, old in zip((function, args, keywords, state), parts, strict=True)):
        return value
    result = functools.partial(function, *args, **keywords)
    vars(result).update(state)
    return result


def _bound_function(function: FunctionType, copies: Copies) -> Any:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    compiled = vars(function).get("_torchdynamo_orig_callable")
    if compiled is not None:
        inner = bound(compiled, copies)
        if inner is compiled:
            return function
        if not callable(context := _content(cells.get("self"))):
            raise Unbindable("torch.compile made it")
        return context(inner)  # the same compiler with the same options
    _check_globals(function, copies)
    old = {name: _content(cell) for name, cell in cells.items()}
    new = {name: value if value is function else bound(value, copies) for name, value in old.items()}
    if all(new[name] is old[name] for name in old):
        return function
    for name, value in new.items():
        if isinstance(value, torch.Tensor) or type(value).__module__.startswith(
            ("torch.cuda", "torch.jit", "torch.fx")
        ):
            raise Unbindable(f"{function.__qualname__} holds {name!r}, a {type(value).__name__}")
    closure = tuple(CellType(value) if value is not old[name] else cells[name] for name, value in new.items())
    result = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, closure)
    result.__kwdefaults__, result.__qualname__ = function.__kwdefaults__, function.__qualname__
    vars(result).update({key: bound(value, copies) for key, value in vars(function).items()})
    return result


def _content(cell: CellType | None) -> Any:
    try:
        return None if cell is None else cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _check_globals(function: FunctionType, copies: Copies, seen: set[int] | None = None) -> None:
    """Raise where a function, or one of its file that it calls, names the original by a global name."""
    if str(function.__module__).partition(".")[0] in LIBRARIES:
        return
    seen = {id(function)} if seen is None else seen
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        inner = getattr(value, "_torchdynamo_orig_callable", value)
        owner = getattr(inner, "__self__", inner)
        if isinstance(owner, nn.Module) and id(owner) in copies:
            raise Unbindable(f"{function.__qualname__} names it by the global name {name!r}")
        if isinstance(value, FunctionType) and value.__globals__ is function.__globals__ and id(value) not in seen:
            seen.add(id(value))
            _check_globals(value, copies, seen)


def _names(code: Any) -> set[str]:
    inner = (part for part in code.co_consts if inspect.iscode(part))
    return set(code.co_names).union(*(_names(part) for part in inner))


def _bound_hook(hook: Any, copies: Copies) -> Any:
    """A hook is given its module; what else it holds is bound where that can be."""
    try:
        return bound(hook, copies)
    except Unbindable:
        return hook


def _looks_up(forward: Any, layer: nn.Module) -> bool:
    """Whether a replaced ``forward`` of an attention layer ends in one that uses the attention interface."""
    own = getattr(type(layer).forward, "__wrapped__", type(layer).forward)
    return any(f is own or "ALL_ATTENTION_FUNCTIONS" in f.__code__.co_names for f in _functions(forward, set()))


def _functions(value: Any, seen: set[int]) -> list[FunctionType]:
    """Return every function that a function runs, as far as it holds them."""
    if id(value) in seen or isinstance(value, (nn.Module, type)):
        return []
    seen.add(id(value))
    held: list[Any] = list(vars(value).values()) if hasattr(value, "__dict__") and callable(value) else []
    found = [value] if isinstance(value, FunctionType) else []
    if isinstance(value, MethodType):
        held = [value.__func__]
    elif isinstance(value, functools.partial):
        held += [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, FunctionType):
        held += [_content(cell) for cell in value.__closure__ or ()]
    elif type(value) in (list, tuple):
        held = list(value)
    return found + [function for part in held for function in _functions(part, seen)]
