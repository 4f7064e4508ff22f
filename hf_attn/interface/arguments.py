"""Arguments of a recipe: defaults < ``--config`` YAML < flags, from a flat dataclass whose docstrings are the help."""

from __future__ import annotations

import dataclasses
import difflib
import errno
import io
import itertools
import logging
import os
import re
import select
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import InputError
from .argument_parser import arguments_of, is_required, make_parser, reworded, type_hints
from .foreign_files import read_yaml
from .printable import printable, without_tokens

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
        SystemExit: after ``--help``.
    """
    import jsonargparse

    parser = make_parser(cls, recipe)
    configs, flags = _split_off_configs(list(sys.argv[1:] if argv is None else argv))
    values, mistakes = _read_configs(configs, cls, recipe)
    mistakes += _unknown_flags(flags, cls)
    if mistakes:
        raise InputError("; ".join(mistakes))
    try:
        chosen = parser.parse_args(flags, namespace=parser.parse_object(values))
    except jsonargparse.ArgumentError as error:
        raise InputError("; ".join(_bad_values(parser, values, flags)) or reworded(error)) from None
    missing = [f"--{field.name}" for field in arguments_of(cls) if is_required(field) and chosen[field.name] is None]
    if missing:
        raise InputError(f"missing: {', '.join(missing)}; --help says what they are")
    config = cls(**{field.name: _as_declared(cls, field.name, chosen[field.name]) for field in arguments_of(cls)})
    if any(field.name == "recipe" and not field.init for field in dataclasses.fields(cls)):  # type: ignore[arg-type]
        config.recipe = recipe  # type: ignore[attr-defined]
    return config


def to_yaml(config: Any, recipe: str) -> str:
    """YAML of exactly these arguments; ``--config`` takes it."""
    import yaml

    values = {field.name: getattr(config, field.name) for field in arguments_of(type(config))}
    return yaml.safe_dump({"recipe": recipe, **values}, sort_keys=False, allow_unicode=True, width=1000)


def command_line(main: Callable[[list[str]], object]) -> NoReturn:
    """Run ``main(sys.argv[1:])`` as a program: what the user can mend is one line on stderr, without a traceback.

    Exit status: 0, 2 for an :class:`InputError`, 1 for a full disk or a loss that is not finite, 130 for Ctrl-C, 141
    where the reader of stdout has gone, as ``| head`` does. In a distributed run the first process alone prints.
    Letters that stdout cannot show are question marks.
    """
    _log_to_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if not sys.stderr.isatty():  # bars of datasets would fill the file of a log
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    status = 0
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except InputError as error:
        status = _print_error(error, 2)
    except FloatingPointError as error:
        status = _print_error(error, 1)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            status = 141
        elif error.errno in NO_SPACE:
            status = _print_error(error, 1)
        else:
            raise
    except KeyboardInterrupt:
        status = 130
    _leave_process_group()
    sys.exit(status)


def _reader_is_gone() -> bool:
    """Whether nobody reads stdout any more; what is still to be written then goes nowhere."""
    stdout = select.poll()
    stdout.register(1, 0)
    gone = any(event & select.POLLERR for _, event in stdout.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return gone


class StderrHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message on a line of its own; what names in it would do to a terminal is left out."""
        lines = without_tokens(self.format(record)).split("\n")
        print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


def _log_to_stderr() -> None:
    """Show what the package says of data and models; a program's first process alone."""
    logger = logging.getLogger("hf_attn")
    logger.handlers = [StderrHandler()]
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)


def _print_error(error: Exception, status: int) -> int:
    if os.environ.get("RANK", "0") == "0":
        text = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else f"{error}"
        print(f"error: {printable(without_tokens(text))}", file=sys.stderr, flush=True)
    return status


def _leave_process_group() -> None:
    """End torch.distributed quietly if this program started it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _split_off_configs(argv: list[str]) -> tuple[list[str], list[str]]:
    """The files of ``--config FILE`` and the other arguments, in which ``--metric -loss`` is ``--metric=-loss``."""
    files: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--config":
            files.append(next(words, ""))
        elif word.startswith("--config="):
            files.append(word.removeprefix("--config="))
        elif re.match(r"-[A-Za-z]", word) and rest and re.fullmatch(r"--\w+", rest[-1]):
            rest[-1] += f"={word}"
        else:
            rest.append(word)
    return files, rest


def _read_configs(files: list[str], cls: type, recipe: str) -> tuple[dict[str, Any], list[str]]:
    """Values of the YAML files, later ones over earlier ones, and what is wrong with them."""
    values: dict[str, Any] = {}
    mistakes = []
    names = [field.name for field in arguments_of(cls)]
    for file in files:
        try:
            read = read_yaml(Path(file), pipes=True) if file else None
        except InputError as error:
            mistakes.append(f"--config {file} cannot be read: {error}")
            continue
        if not isinstance(read, dict):
            mistakes.append(f"--config {file!r} holds no arguments: expected lines such as 'lr: 2e-4'")
            continue
        other = read.pop("recipe", recipe)  # empty if the run was started from Python
        if other and other != recipe:
            mistakes.append(f"--config {file} belongs to the recipe {other}, this is {recipe}: run hf-attn {other}")
            continue
        mistakes += [f"unknown key {key!r} in {file}{_nearest(key, names)}" for key in read if key not in names]
        values |= {key: _unquoted(cls, key, value) for key, value in read.items() if key in names}
    return values, mistakes


def _unquoted(cls: type, name: str, value: Any) -> Any:
    """YAML's reading of a bare ``no`` or ``off`` put back, where the word is meant."""
    words = typing.get_args(type_hints(cls)[name])
    return "no" if value is False and "no" in words else value


def _unknown_flags(flags: list[str], cls: type) -> list[str]:
    hints = type_hints(cls)
    names = [field.name for field in arguments_of(cls)]
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
            mistakes.append(reworded(error))
    return mistakes


def _as_declared(cls: type, name: str, value: Any) -> Any:
    """A whole number given where a float is declared, made one."""
    hint = type_hints(cls)[name]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return float(value) if type(value) is int and float in kinds and int not in kinds else value
