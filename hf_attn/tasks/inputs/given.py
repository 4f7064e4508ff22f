"""What is given to :func:`hf_attn.predict`, made a list, or refused in a line that says what was given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from ...errors import InputError

Usual = TypeVar("Usual", bound=str | None)
UNKNOWN: Mapping[str, str] = MappingProxyType({})
"""Columns of training where there is no run that says them."""


@dataclass(frozen=True)
class GivenFiles:
    """What ``hf-attn predict`` was given.

    Attributes:
        inputs: as :func:`hf_attn.predict` takes them.
        rows: columns of the output that say what was given, a dict for each input.
        table: that they are from; None where there is none.
        used: columns of the table that are in ``rows`` already.
        text_pair: second texts, where there are pairs.
    """

    inputs: list[Any]
    rows: list[dict[str, str]]
    table: Any = None
    used: tuple[str | None, ...] = ()
    text_pair: list[str] | None = None

    def only(self, chosen: Sequence[int]) -> "GivenFiles":
        """Return the same with some of its inputs, by their numbers."""
        return replace(
            self,
            inputs=[self.inputs[at] for at in chosen],
            rows=[self.rows[at] for at in chosen],
            table=None if self.table is None else self.table.select(chosen),
            text_pair=None if self.text_pair is None else [self.text_pair[at] for at in chosen],
        )


def as_list(given: Any, what: str) -> list[Any]:
    """Return the members of a list, tuple, generator, array, column of a table (pandas, polars, datasets, arrow).

    Raises:
        InputError: one thing in place of several, or what has no order or more than one column.
    """
    kind = type(given).__name__
    if isinstance(given, str):
        raise InputError(f"{what} is one string, expected a list: [{given[:20]!r}]")
    if isinstance(given, Mapping) or hasattr(given, "columns") or hasattr(given, "column_names"):
        names = getattr(given, "column_names", None) or getattr(given, "columns", None)
        names = given if names is None or isinstance(given, Mapping) else names
        listed = ", ".join(map(str, list(names)[:5]))
        raise InputError(f"{what} is a table ({kind} of {listed}), expected texts or images: give one column of it")
    if isinstance(given, set | frozenset):
        raise InputError(f"{what} is a {kind}, which has no order: give a list")
    if isinstance(given, bytes | Path) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"{what} is one {kind}, expected a list")
    to_list = getattr(given, "to_pylist", None)
    return list(given) if to_list is None else to_list()


def column_of(table: Any, name: str, asked: str | None, trained: Mapping[str, str], usual: Usual) -> str | Usual:
    """Return the column that is asked for, else that of training where a table has it, else the usual one.

    Args:
        table: of a file.
        name: of the option that names such a column.
        asked: what it names.
        trained: columns of training by the names of their options.
        usual: by default.
    """
    known = trained.get(name, "")
    return asked or (known if known in table.column_names else usual)


def for_tables(*, delimiter: str | None, encoding: str | None, **columns: str | None) -> None:
    """Refuse options that say how a file is read, and which column of it, where there is no file.

    Raises:
        InputError: one of them is given.
    """
    from ...data.files import READERS

    wrong = [f"--{name} names a column" for name, value in columns.items() if value is not None]
    reading = {"delimiter": delimiter, "encoding": encoding}
    wrong += [f"--{name} says how a file is read" for name, value in reading.items() if value is not None]
    if wrong:
        raise InputError(f"{' and '.join(wrong)}, but there is no file ({', '.join(READERS)}) to read it from")
