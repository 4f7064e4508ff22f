"""Arguments of a recipe: defaults < ``--config`` YAML < flags, from a flat dataclass whose docstrings are the help."""

from __future__ import annotations

import dataclasses
import difflib
import errno
import itertools
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import InputError

if typing.TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Config = TypeVar("Config")

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def parse(cls: type[Config], argv: Sequence[str] | None = None, *, recipe: str) -> Config:
    """An instance of ``cls`` from command-line arguments.

    Args:
        cls: a dataclass; the attribute docstrings of it and of its bases are the help, one group for each class.
        argv: the arguments without the program's name; None is ``sys.argv[1:]``.
        recipe: its name; a ``--config`` that another recipe wrote is refused. A field ``recipe`` of ``cls`` that is
            not an argument (``init=False``) is set to it.

    Raises:
        InputError: unknown keys (the nearest known one is named), bad values, an unreadable file; all that is wrong.
        SystemExit: after ``--help`` or ``--print_config``.
    """
    import jsonargparse

    parser = _parser(cls, recipe)
    configs, flags = _split_off_configs(list(sys.argv[1:] if argv is None else argv))
    values, mistakes = _read_configs(configs, cls, recipe)
    mistakes += _unknown_flags(flags, cls)
    if mistakes:
        raise InputError("; ".join(mistakes))
    try:
        chosen = parser.parse_args(flags, namespace=parser.parse_object(values))
    except jsonargparse.ArgumentError as error:
        raise InputError("; ".join(_bad_values(parser, values, flags)) or _one_line(error)) from None
    missing = [f"--{field.name}" for field in _arguments(cls) if _required(field) and chosen[field.name] is None]
    if missing:
        raise InputError(f"missing: {', '.join(missing)}; --help says what they are")
    config = cls(**{field.name: _as_declared(cls, field.name, chosen[field.name]) for field in _arguments(cls)})
    if any(field.name == "recipe" and not field.init for field in dataclasses.fields(cls)):  # type: ignore[arg-type]
        config.recipe = recipe  # type: ignore[attr-defined]
    return config


def to_yaml(config: Any, recipe: str) -> str:
    """YAML of exactly these arguments; ``--config`` takes it."""
    import yaml

    values = {field.name: getattr(config, field.name) for field in _arguments(type(config))}
    return yaml.safe_dump({"recipe": recipe, **values}, sort_keys=False, allow_unicode=True, width=1000)


def command_line(main: Callable[[list[str]], object]) -> NoReturn:
    """Run ``main(sys.argv[1:])`` as a program: what the user can mend is one line on stderr, without a traceback.

    Exit status: 0, 2 for an :class:`InputError`, 1 for a full disk or a loss that is not finite, 130 for Ctrl-C. In a
    distributed run the first process alone prints.
    """
    status = 0
    try:
        main(sys.argv[1:])
    except InputError as error:
        status = _print_error(error, 2)
    except FloatingPointError as error:
        status = _print_error(error, 1)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        status = _print_error(error, 1)
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    _leave_process_group()
    sys.exit(status)


def _print_error(error: Exception, status: int) -> int:
    if os.environ.get("RANK", "0") == "0":
        text = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else f"{error}"
        print(f"error: {text}", file=sys.stderr, flush=True)
    return status


def _leave_process_group() -> None:
    """End torch.distributed quietly if this program started it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _arguments(cls: type) -> list[dataclasses.Field]:
    """The fields to be given, the recipe's own first."""
    return [field for _, fields in _groups(cls) for field in fields]


def _groups(cls: type) -> list[tuple[type, list[dataclasses.Field]]]:
    """Each dataclass of ``cls`` and its bases with the fields that it adds."""
    left = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    groups = []
    for owner in cls.__mro__:
        own = [left.pop(name) for name in vars(owner).get("__annotations__", {}) if name in left]
        groups += [(owner, own)] if own else []
    return groups


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _parser(cls: type, recipe: str) -> ArgumentParser:
    """A parser with one group for each dataclass."""
    import jsonargparse
    from docstring_parser import parse_from_object

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
    hints = typing.get_type_hints(cls)
    for owner, fields in _groups(cls):
        texts = {param.arg_name: param.description for param in parse_from_object(owner).params}
        group = parser.add_argument_group(_title(owner))
        for field in fields:
            _add(group, field, hints[field.name], texts.get(field.name) or "")
    return parser


def _title(owner: type) -> str:
    return (owner.__doc__ or owner.__name__).strip().splitlines()[0].rstrip(".")


def _help_format() -> type:
    """Help in which choices are not said twice, and what has no default is said to be required."""
    import jsonargparse

    class Formatter(jsonargparse.DefaultHelpFormatter):
        def _get_help_string(self, action: Any) -> str:
            text = re.sub(r"\(type: (Literal\[[^]]*\]|bool), ", "(", super()._get_help_string(action) or "")
            return re.sub(r"type: Literal\[[^]]*\] \| null, ", "", text)

    return Formatter


def _add(group: Any, field: dataclasses.Field, hint: Any, text: str) -> None:
    """One argument; ``--name`` and ``--no_name`` for truth values, several words for lists."""
    import jsonargparse

    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    options: dict[str, Any] = {"help": " ".join(text.split()), "default": None if _required(field) else default}
    if hint is bool:
        options |= {"action": jsonargparse.ActionYesNo(yes_prefix="", no_prefix="no_"), "nargs": "?"}
    elif typing.get_origin(hint) is list:
        options |= {"type": typing.get_args(hint)[0], "nargs": "*"}
    else:
        options["type"] = hint | None if _required(field) else hint
    group.add_argument(f"--{field.name}", **options)


def _split_off_configs(argv: list[str]) -> tuple[list[str], list[str]]:
    """The files of ``--config FILE`` and the other arguments."""
    files, rest, words = [], [], iter(argv)
    for word in words:
        if word == "--config":
            files.append(next(words, ""))
        elif word.startswith("--config="):
            files.append(word.removeprefix("--config="))
        else:
            rest.append(word)
    return files, rest


def _read_configs(files: list[str], cls: type, recipe: str) -> tuple[dict[str, Any], list[str]]:
    """Values of the YAML files, later ones over earlier ones, and what is wrong with them."""
    import yaml

    values: dict[str, Any] = {}
    mistakes = []
    names = [field.name for field in _arguments(cls)]
    for file in files:
        try:
            read = yaml.safe_load(Path(file).read_text(encoding="utf-8")) if file else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            mistakes.append(f"--config {file} cannot be read: {_one_line(getattr(error, 'strerror', None) or error)}")
            continue
        if not isinstance(read, dict):
            mistakes.append(f"--config {file!r} holds no arguments: expected lines such as 'lr: 2e-4'")
            continue
        other = read.pop("recipe", recipe)
        if other != recipe:
            mistakes.append(f"--config {file} belongs to the recipe {other}, this is {recipe}: run hf-attn {other}")
            continue
        mistakes += [f"unknown key {key!r} in {file}{_nearest(key, names)}" for key in read if key not in names]
        values |= {key: _unquoted(cls, key, value) for key, value in read.items() if key in names}
    return values, mistakes


def _unquoted(cls: type, name: str, value: Any) -> Any:
    """YAML's reading of a bare ``no`` or ``off`` put back, where the word is meant."""
    words = typing.get_args(typing.get_type_hints(cls)[name])
    return "no" if value is False and "no" in words else value


def _unknown_flags(flags: list[str], cls: type) -> list[str]:
    hints = typing.get_type_hints(cls)
    names = [field.name for field in _arguments(cls)]
    switches = [f"no_{name}" for name in names if hints[name] is bool]
    known = {"help", "print_config", *names, *switches}
    mistakes = []
    for flag in flags:
        name = re.split(r"[=.+]", flag.removeprefix("--"))[0]
        if flag.startswith("--") and name not in known:
            mistakes.append(f"unknown argument --{name}{_nearest(name, names, '--')}")
    return mistakes


def _nearest(name: object, names: list[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(str(name).replace("-", "_"), names, n=1, cutoff=0.5)
    return f"; did you mean {prefix}{close[0]}?" if close else "; --help lists what there is"


def _bad_values(parser: ArgumentParser, values: dict[str, Any], flags: list[str]) -> list[str]:
    """What is wrong with each value on its own, for the parser stops at the first."""
    import jsonargparse

    starts = [0, *(i for i, flag in enumerate(flags) if i and flag.startswith("--")), len(flags)]
    pieces: list[Any] = [{key: value} for key, value in values.items()]
    pieces += [flags[i:j] for i, j in itertools.pairwise(starts)]
    mistakes = []
    for piece in pieces:
        try:
            parser.parse_object(piece) if isinstance(piece, dict) else parser.parse_args(piece)
        except jsonargparse.ArgumentError as error:
            mistakes.append(_one_line(error))
    return mistakes


def _one_line(error: object) -> str:
    """A parser's message on one line, in the words of the command line."""
    text = " ".join(str(error).split())
    text = re.sub(r'^Parser key "([\w.]+)": ', r"--\1: ", text)
    text = re.sub(r"typing\.(Literal)\[(.*?)\]", r"one of \2", text)
    return re.sub(r"<class '(\w+)'>", r"\1", text).replace("Expected a one of", "expected one of").rstrip(".")


def _as_declared(cls: type, name: str, value: Any) -> Any:
    """A whole number given where a float is declared, made one."""
    hint = typing.get_type_hints(cls)[name]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return float(value) if type(value) is int and float in kinds and int not in kinds else value
