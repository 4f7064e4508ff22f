"""Read parquet and Arrow files; types that ``datasets`` or a label cannot hold become plain ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.printable import one_line
from .columns import listing
from .reading import Rows, refuse_duplicates


def read_parquet(path: Path) -> Rows:
    """The rows of a parquet file.

    Raises:
        InputError: damaged, cut short, or a column named twice.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        refuse_duplicates(pyarrow.parquet.read_schema(path).names, str(path))
        table = pyarrow.parquet.read_table(path, memory_map=True)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowIOError, pyarrow.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"{path} is not a parquet file, or it is cut short or damaged: {one_line(error)}") from None
    return plain(table)


def read_arrow(path: Path) -> Rows:
    """The rows of an Arrow file or stream, Feather's too; see :func:`read_parquet`."""
    import pyarrow

    try:
        source = pyarrow.memory_map(str(path))
        try:
            table = pyarrow.ipc.open_file(source).read_all()
        except pyarrow.ArrowInvalid:
            source.seek(0)
            table = pyarrow.ipc.open_stream(source).read_all()
    except (pyarrow.ArrowInvalid, pyarrow.ArrowIOError, pyarrow.ArrowNotImplementedError, OSError) as error:
        raise InputError(
            f"{path} is not an Arrow file or stream, or it is cut short or damaged: {one_line(error)}"
        ) from None
    refuse_duplicates(table.schema.names, str(path))
    return plain(table)


def plain(table: Any) -> Rows:
    """The rows of a table of pyarrow, in types that are read; what is not UTF-8 is told."""
    unusable = {}
    for place, field in enumerate(table.schema):
        column, why = _plain_column(table.column(place))
        column, damage = _without_bad_bytes(column)
        if damage:
            unusable[field.name] = f"column '{field.name}' holds {damage}: write it anew with texts that are"
        elif why:
            unusable[field.name] = f"column '{field.name}' is of type {field.type}, which is neither text nor label"
        if column is not table.column(place):
            table = table.set_column(place, field.name, column)
    return Rows(table, range(table.num_rows), unusable=unusable)


def _plain_column(column: Any) -> tuple[Any, bool]:
    """The column in types that ``datasets`` has, and whether it had to become text for that."""
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.types as types
    from datasets import Features

    try:
        kind = column.type
        if types.is_run_end_encoded(kind):
            column = pyarrow.chunked_array([compute.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
        if types.is_decimal(kind):
            return _numbers(column), False
        goal = plain_type(column.type)
        if "list_view" in str(column.type):  # whose cast loses rows (pyarrow 26)
            column = pyarrow.chunked_array([pyarrow.array(column.to_pylist(), goal)])
        elif goal != column.type:
            column = column.cast(goal)
        Features.from_arrow_schema(pyarrow.schema([("column", column.type)]))
        return column, False
    except (pyarrow.ArrowException, ValueError, TypeError, NotImplementedError):
        return pyarrow.array([_written(value) for value in column], pyarrow.string()), True


def _without_bad_bytes(column: Any) -> tuple[Any, str]:
    """The column with U+FFFD for bytes that are not UTF-8, which writers may leave unchecked, and what is wrong."""
    import pyarrow
    import pyarrow.types as types

    try:
        column.validate(full=True)
        return column, ""
    except pyarrow.ArrowInvalid:
        pass
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        return pyarrow.nulls(len(column), pyarrow.string()), "values that are damaged or not UTF-8"
    given = [value.as_buffer().to_pybytes() if value.is_valid else None for value in column]
    texts = [None if value is None else value.decode("utf-8", "replace") for value in given]
    bad = [row for row, (value, text) in enumerate(zip(given, texts, strict=True)) if text and text.encode() != value]
    return pyarrow.array(texts, pyarrow.string()), f"{len(bad)} values that are not UTF-8 (rows {listing(bad)}, from 0)"


def plain_type(kind: Any) -> Any:
    """A type of pyarrow with views, categories and maps replaced by what they hold, however deep they lie."""
    import pyarrow
    import pyarrow.types as types

    if types.is_string_view(kind):
        return pyarrow.string()
    if types.is_binary_view(kind):
        return pyarrow.binary()
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_map(kind):  # a list of keys and values
        pair = [("key", plain_type(kind.key_type)), ("value", plain_type(kind.item_type))]
        return pyarrow.list_(pyarrow.struct(pair))
    if types.is_fixed_size_list(kind):
        inner = plain_type(kind.value_type)
        return kind if inner == kind.value_type else pyarrow.list_(inner, kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pyarrow.large_list(plain_type(kind.value_type))
    if types.is_list(kind) or types.is_list_view(kind):
        inner = plain_type(kind.value_type)
        return kind if types.is_list(kind) and inner == kind.value_type else pyarrow.list_(inner)
    if types.is_struct(kind):
        fields = [pyarrow.field(field.name, plain_type(field.type)) for field in kind]
        return kind if all(a.type == b.type for a, b in zip(kind, fields, strict=True)) else pyarrow.struct(fields)
    if isinstance(kind, pyarrow.BaseExtensionType) and not types.is_struct(kind.storage_type):
        return plain_type(kind.storage_type) if str(kind) in ("extension<arrow.bool8>",) else kind
    return kind


def _numbers(column: Any) -> Any:
    """Decimals as whole numbers where all are and none is lost, else as floats."""
    import pyarrow

    values = column.to_pylist()
    if column.type.scale <= 0 and all(value is None or abs(value) < 2**63 for value in values):
        return pyarrow.array([None if value is None else int(value) for value in values], pyarrow.int64())
    return pyarrow.array([None if value is None else float(value) for value in values], pyarrow.float64())


def _written(value: Any) -> str | None:
    try:
        found = value.as_py()
    except (ValueError, OverflowError, NotImplementedError):
        found = str(value)
    return None if found is None else str(found)
