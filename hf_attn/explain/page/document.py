"""Attributions as HTML: a page of its own, and a snippet for a notebook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from ...interface.printable import printable
from ..verdict import believed, headline, score_rows, verdict
from .packed import packed, weights_of

if TYPE_CHECKING:
    from ..weighed import Weighed

LISTED = 20
"""Parts whose numbers stand in the table below an input."""
NAMED = 60
"""Letters of a name in a table."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser lets the page do: nothing beyond itself."""


def page(shown: Sequence[Sequence[Weighed]], title: str = "Where the answer comes from") -> str:
    """Return a page of explained inputs, which loads nothing and sends nothing.

    Args:
        shown: for each input its attributions, by one method or several.
        title: of the page.
    """
    style, script = _file("parts.css") + _file("page.css"), _file("page.js")
    sections = "".join(_section(number, some) for number, some in enumerate(shown))
    data = json.dumps([_data(some) for some in shown], ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>{_text(title)}</title><style>{style}</style></head>'
        f'<body class="hf-attn"><main><h1>{_text(title)}</h1>{sections}</main>'
        f'<script type="application/json" id="data">{data.replace("<", chr(92) + "u003c")}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def snippet(attribution: Weighed) -> str:
    """Return one attribution as HTML for a notebook, without a script."""
    return (
        f'<div class="hf-attn"><style>{_file("parts.css")}</style>{_head(attribution)}{_body(attribution)}'
        f"{_scores(attribution)}</div>"
    )


def _section(number: int, some: Sequence[Weighed]) -> str:
    first = some[0]
    options = "".join(f'<option value="{at}">{_text(one.method)}</option>' for at, one in enumerate(some))
    choice = f'<label>method <select class="method">{options}</select></label>' if len(some) > 1 else ""
    numbers = "".join(
        f'<div class="numbers"{" hidden" if at else ""}>{_scores(one)}{_numbers(one)}</div>'
        for at, one in enumerate(some)
    )
    return (
        f'<section class="example" aria-label="input {number + 1}">{_head(first)}'
        f'<div class="controls">{choice}</div><div class="stage">{_body(first)}</div>'
        f'<p class="live" role="status"></p><div class="attention"></div>'
        f"<details><summary>Numbers</summary>{numbers}</details></section>"
    )


def _head(attribution: Weighed) -> str:
    doubt = "" if believed(attribution) else " doubt"
    return (
        f'<p class="what"><strong>predicted: {_text(attribution.prediction)}</strong><br>explained: '
        f'<span class="headline">{_text(headline(attribution))}</span></p>'
        f'<p class="verdict{doubt}">{_text(verdict(attribution))}</p>'
    )


def _body(attribution: Weighed) -> str:
    assert attribution.case is not None
    return attribution.case.parted.html(attribution.weights)


def _scores(attribution: Weighed) -> str:
    rows = score_rows(attribution)
    if not rows:
        return ""
    head = "<tr><th>score</th><th>these weights</th><th>random, mean</th><th>random, least to greatest</th></tr>"
    return f"<table>{head}{''.join(_row(row) for row in rows)}</table>"


def _numbers(attribution: Weighed) -> str:
    order = np.argsort(-np.abs(attribution.weights), kind="stable")[:LISTED]
    rows = [(attribution.parts[at].name[:NAMED], f"{attribution.weights[at]:+.4f}") for at in order]
    rows += [(f"{name[:NAMED]} (no part)", f"{weight:+.4f}") for name, weight in attribution.sinks.items()]
    unit = f" ({_text(attribution.weights_unit)})" if attribution.weights_unit else ""
    return f"<table><tr><th>part</th><th>weight{unit}</th></tr>{''.join(_row(row) for row in rows)}</table>"


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"


def _data(some: Sequence[Weighed]) -> dict[str, Any]:
    case = some[0].case
    assert case is not None
    weights = weights_of(case)
    return {
        "parts": [printable(part.name[:NAMED]) for part in case.parted.parts],
        "sources": [part.source for part in case.parted.parts],
        "grid": case.parted.grid,
        "attention": None if weights is None else packed(weights),
        "methods": [
            {
                "weights": [float(f"{weight:.6g}") for weight in one.weights],
                "headline": printable(headline(one)),
                "verdict": printable(verdict(one)),
                "doubt": not believed(one),
            }
            for one in some
        ],
    }


def _text(value: str) -> str:
    return escape(printable(value))


def _file(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
