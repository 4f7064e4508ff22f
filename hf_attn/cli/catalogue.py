"""What there is to choose from, as text fitted to the terminal.

What is known of the package's own variants stands in ``variants.json`` too, so that nothing heavy is imported to print
it; ``python -m hf_attn.cli.catalogue`` writes that file from the classes.
"""

import dataclasses
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WRITTEN = Path(__file__).parent / "variants.json"

COLUMNS = {
    "variant": "name",
    "equation": "equation",
    "parameters a layer": "parameters",
    "identity at start": "identity",
    "fused path": "fused",
    "refuses": "refuses",
}


def known() -> dict[str, dict[str, Any]]:
    """Return the fields of each variant's :class:`VariantInfo` by its name; of the registered classes, if any are."""
    return from_classes() if "hf_attn.attention" in sys.modules else json.loads(WRITTEN.read_text("utf-8"))


def from_classes() -> dict[str, dict[str, Any]]:
    """Return :func:`known` of the variants that are registered now."""
    from ..attention import list_variants, variant_info

    return {name: dataclasses.asdict(variant_info(name)) for name in list_variants()}


def variant_table(width: int | None = None) -> str:
    """Return all variants as a table, at most ``width`` letters wide (default: the terminal, or 120)."""
    width = width or shutil.get_terminal_size((120, 24)).columns
    rows = [[str(info[field]) for field in COLUMNS.values()] for info in known().values()]
    notes = (
        "h heads, d size of a head, n tokens. Identity at start: the converted model gives the pretrained logits. "
        "Options are given by --attention_kwargs; `hf-attn list NAME` shows those of one, its source and its cost."
    )
    return table(list(COLUMNS), rows, width) + "\n\n" + textwrap.fill(notes, min(width, 120))


def describe_variant(name: str) -> str:
    """Return all that is known of one variant, a line each."""
    info = known()[name]
    facts = {
        "equation": info["equation"],
        "source": info["source"],
        "parameters a layer": info["parameters"],
        "cost": info["cost"],
        "identity at start": info["identity"],
        "fused path": info["fused"],
        "refuses": info["refuses"],
        "options": ", ".join(f"{key}={value!r}" for key, value in info["kwargs"].items()) or "none",
    }
    return "\n".join([name, *(f"  {key:<20}{value}" for key, value in facts.items())])


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table whose cells are wrapped so that no line is wider than ``width``, as far as 8 letters a column do.

    Args:
        head: Names of the columns.
        rows: The cells, as many a row as ``head`` has.
        width: Letters a line.
    """
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    lines = [*wrapped(head, widths), "  ".join("─" * size for size in widths)]
    spaced = any(len(wrapped(row, widths)) > 1 for row in rows)
    for row in rows:
        lines += [*wrapped(row, widths), *([""] if spaced else [])]
    return "\n".join(line.rstrip() for line in lines).rstrip()


def wrapped(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the lines of one row, each cell wrapped to its column's width."""
    cells = [textwrap.wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
    height = max(map(len, cells))
    filled = [cell + [""] * (height - len(cell)) for cell in cells]
    return [
        "  ".join(part.ljust(size) for part, size in zip(line, widths, strict=True))
        for line in zip(*filled, strict=True)
    ]


if __name__ == "__main__":
    WRITTEN.write_text(json.dumps(from_classes(), indent=2, ensure_ascii=False) + "\n", "utf-8")
