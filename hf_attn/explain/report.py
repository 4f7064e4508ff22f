"""How methods rank, as tables: for a terminal and for a model's card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ranking import CONTROL, read_of
from .verdict import RANKED_BY

if TYPE_CHECKING:
    from .ranking import Ranking

SHOWN = (RANKED_BY, "comprehensiveness", "sufficiency", "saco", "auprc", "token_f1", "iou_f1")
"""Scores of a table, as far as they were measured."""


def table_rows(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table, the best method first; random weights are a row like the others."""
    table = ranking.table
    measured = next(iter(table.values()))["scores"]
    names = [name for name in SHOWN if name in measured]
    head = ["method", *(read_of(name) for name in names), "beats chance", "ρ shuffled", "seconds"]
    return head, [[name, *(_cell(row, one) for one in names), *_rest(name, row)] for name, row in table.items()]


def _cell(row: dict[str, Any], name: str) -> str:
    score = row["scores"][name]
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f}; random {score['random']:.3f})"


def _rest(name: str, row: dict[str, Any]) -> list[str]:
    chance = "control" if name == CONTROL else "yes" if row["beats_chance"] else "no"
    shuffled = "" if row["shuffled_weights"] is None else f"{row['shuffled_weights']:.2f}"
    return [chance, shuffled, f"{row['seconds']:.2g}"]


NOTE = (
    "Means over inputs with 95 % intervals (bootstrap); random: random weights on the same inputs. ρ shuffled: rank "
    "correlation with the attributions of the same model with shuffled weights; near 1, a method does not look at what "
    "was learnt. Seconds an input."
)


def markdown_table(ranking: Ranking) -> str:
    """Return the table, the sentence, and what was left out, in markdown."""
    head, rows = table_rows(ranking)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    left = f"\n\nDo not apply to this model: {', '.join(ranking.refused)}." if ranking.refused else ""
    return f"{ranking.sentence}\n\n" + "\n".join(lines) + f"\n\n{NOTE}{left}"
