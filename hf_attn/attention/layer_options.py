"""What options a layer was given, held against those that it has."""

import inspect
from collections.abc import Mapping
from typing import Any

KINDS = {int: (int,), float: (int, float), bool: (bool,)}


def check_options(what: str, layer: type, options: Mapping[str, Any], given: int = 1) -> None:
    """Refuse options that a layer does not have, or whose value is of another type.

    Args:
        what: name of the layer, for the message.
        layer: its class; plain ``int``, ``float`` and ``bool`` annotations of its arguments are held.
        options: by name.
        given: how many of its first arguments are no options.

    Raises:
        ValueError: all that is wrong with the options.
    """
    known = options_of(layer, given)
    if unknown := sorted(set(options) - set(known)):
        expected = ", ".join(f"{name}={option.default!r}" for name, option in known.items())
        raise ValueError(f"{what} has no option {', '.join(unknown)}: it takes {expected or 'none'}")
    wrong = [
        f"{name}={value!r}, expected {kind.__name__}"
        for name, value in options.items()
        if (kind := known[name].annotation) in KINDS and type(value) not in KINDS[kind]
    ]
    if wrong:
        raise ValueError(f"{what}: {'; '.join(wrong)}")


def options_of(layer: type, given: int = 1) -> dict[str, inspect.Parameter]:
    """Return the options of a class by name; those of the class above too, where it passes ``**kwargs`` on.

    Args:
        layer: the class.
        given: how many of its first arguments are no options.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in layer.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        positional = [p for p in named if p.kind is not p.KEYWORD_ONLY]
        first = {p.name for p in positional[:given]} if len(positional) >= given else {p.name for p in positional}
        found |= {p.name: p for p in named if p.name not in first and p.name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found
