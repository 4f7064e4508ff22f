"""A jsonargparse parser made of a flat dataclass, with a help group for each class it is composed of."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

KINDS = {"int": "a whole number", "float": "a number", "str": "text", "dict": "a mapping", "NoneType": "null"}
REQUIRED = "_required_"
"""Ends the help text of an argument without a default, until it is formatted."""


def arguments_of(cls: type) -> list[dataclasses.Field]:
    """The fields to be given, the recipe's own first."""
    return [field for _, fields in groups_of(cls) for field in fields]


def groups_of(cls: type) -> list[tuple[type, list[dataclasses.Field]]]:
    """Each dataclass of ``cls`` and its bases with the fields that it adds."""
    left = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    groups = []
    for owner in cls.__mro__:
        own = [left.pop(name) for name in vars(owner).get("__annotations__", {}) if name in left]
        groups += [(owner, own)] if own else []
    return groups


def is_required(field: dataclasses.Field) -> bool:
    """Whether it has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@functools.cache
def type_hints(cls: type) -> dict[str, Any]:
    """The types of its fields, evaluated once: each is a line of source to Python."""
    return typing.get_type_hints(cls)


@functools.cache
def _help_texts(owner: type) -> dict[str, str]:
    from docstring_parser import parse_from_object

    return {param.arg_name: param.description or "" for param in parse_from_object(owner).params}


def make_parser(cls: type, recipe: str) -> ArgumentParser:
    """A parser with one group for each dataclass."""
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog=recipe,
        usage="%(prog)s [--config FILE.yaml] [--ARGUMENT VALUE ...]",
        description=_title(cls),
        exit_on_error=False,
        allow_abbrev=False,
        default_env=False,
        formatter_class=_help_format(),
    )
    parser.add_argument("--config", metavar="FILE", help="YAML file of arguments, such as a run's config.yaml.")
    hints = type_hints(cls)
    for owner, fields in groups_of(cls):
        group = parser.add_argument_group(_title(owner))
        for field in fields:
            _add(group, field, hints[field.name], _help_texts(owner).get(field.name, ""))
    return parser


def _title(owner: type) -> str:
    return (owner.__doc__ or owner.__name__).strip().splitlines()[0].rstrip(".")


def _help_format() -> type:
    """Help in which choices are not said twice, and what has no default is said to be required."""
    import jsonargparse

    class Formatter(jsonargparse.DefaultHelpFormatter):
        def _expand_help(self, action: Any) -> str:
            text = super()._expand_help(action)
            text = re.sub(r"\(type: (Literal\[[^]]*\]|bool), ", "(", text)
            text = re.sub(r"type: Optional\[Literal\[(.*?)\]\]", lambda found: f"{found[1]} or null", text)
            return re.sub(rf"{REQUIRED} \(.*\)", "(required)", text)

    return Formatter


def _add(group: Any, field: dataclasses.Field, hint: Any, text: str) -> None:
    """One argument; ``--name`` and ``--no_name`` for truth values, several words for lists."""
    import jsonargparse

    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    words = [*text.split(), *([REQUIRED] if is_required(field) else [])]
    options: dict[str, Any] = {"help": " ".join(words), "default": None if is_required(field) else default}
    if hint is bool:
        options |= {"action": jsonargparse.ActionYesNo(yes_prefix="", no_prefix="no_"), "nargs": "?"}
    elif typing.get_origin(hint) is list:
        options |= {"type": typing.get_args(hint)[0], "nargs": "*"}
    else:
        options["type"] = hint | None if is_required(field) else hint
    group.add_argument(f"--{field.name}", **options)


def reworded(error: object) -> str:
    """A parser's message on one line, in the words of the command line: what was given, what was expected."""
    text = " ".join(str(error).split())
    for pattern, template in (
        (r'Parser key "(?P<name>\w+)"(?: element \d+)?: Expected an? (?P<kind>.*?)\. Got value: (?P<value>.*)', None),
        (r'Parser key "(?P<name>\w+)": .*?Subtypes: \[(?P<kind>.*?)\] Errors: .*Given value: (?P<value>.*)', None),
        (r"argument --(?P<name>\w+)/.*invalid _boolean_type value: '(?P<value>.*)'", "true or false"),
    ):
        if found := re.fullmatch(pattern, text):
            parts = found.groupdict()
            return f"{parts['name']} is {parts['value']!r}: expected {template or _kinds(parts['kind'])}"
    return text.replace("argument --", "--")


def _kinds(text: str) -> str:
    """Types as a person would name them."""
    text = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", text)
    text = re.sub(r"<class '(\w+)'>", lambda found: KINDS.get(found[1], found[1]), text)
    return text.replace("], ", " or ").replace(", null", " or null")
