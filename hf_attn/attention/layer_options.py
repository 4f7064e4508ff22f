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
    known = {option.name: option for option in list(inspect.signature(layer).parameters.values())[given:]}
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
