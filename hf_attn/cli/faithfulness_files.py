"""How methods of explanation rank for a run, printed and written into it, for ``hf-attn faithfulness``."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..interface.whole_files import write_text
from .catalogue import table
from .explanation_files import cases_of, check_counts, read_inputs
from .prediction_files import task_of_run

if TYPE_CHECKING:
    from ..explain.case import Case
    from ..explain.ranking import Ranking
    from ..tasks.inputs.given import GivenFiles

RESULT, FIGURE = "faithfulness.json", "figures/faithfulness.png"
HEADING = "Explanation"


def rank_to(given: Any) -> None:
    """Rank methods by the arguments of ``hf-attn faithfulness``.

    Raises:
        InputError: all that is wrong, before anything is measured or written.
    """
    from transformers.utils.logging import disable_progress_bar

    from ..explain.ranking import SHUFFLED_INPUTS, Contest, chosen_methods
    from ..explain.shuffled import shuffled
    from ..interface.progress import bar

    folder = _folder(given)
    check_counts(given)
    methods = chosen_methods(given.methods)
    disable_progress_bar()
    read = read_inputs(given, given.data)
    read = read.only(_spread(len(read.inputs), given.limit))
    marks = _marks(given, read)
    cases = cases_of(given, read)
    contest, blind = Contest(methods, given.seed), shuffled(cases[0].model, given.seed)
    for number, case in enumerate(bar(cases, desc="faithfulness", leave=False)):
        other = case.in_model(blind) if number < SHUFFLED_INPUTS else None
        contest.take(case, other, None if marks is None else _marked(case, marks[number]))
    ranking = contest.ranking(cases[0].task.input.NOUN)
    _write(folder, ranking)
    _print(ranking, folder)


def _folder(given: Any) -> Path:
    folder = Path(given.output or given.run)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        what = f"--output {folder}" if given.output else f"{folder} is no folder here"
        raise InputError(f"{what}: expected a folder that exists and is writable, --output FOLDER")
    if (folder / RESULT).exists() and not given.overwrite:
        raise InputError(f"{folder / RESULT} exists: give another --output, or --overwrite to replace it")
    if (folder / RESULT).is_dir() or ((folder / FIGURE).parent.exists() and not (folder / FIGURE).parent.is_dir()):
        raise InputError(f"{folder}: {RESULT} or figures is there and is something else; give another --output")
    return folder


def _spread(count: int, limit: int) -> list[int]:
    """Numbers of inputs, evenly spread over so many: data are often sorted."""
    if not count:
        raise InputError("the data hold no inputs: expected at least one")
    return np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int)).tolist()


def _marks(given: Any, read: GivenFiles) -> list[list[tuple[int, int]]] | None:
    if given.rationale is None:
        return None
    if read.table is None or given.rationale not in read.table.column_names:
        has = "the data are no table" if read.table is None else f"columns: {', '.join(read.table.column_names)}"
        raise InputError(f"--rationale: no column {given.rationale!r} ({has})")
    inputs = task_of_run(given.run).input
    found: list[list[tuple[int, int]]] = inputs.marks(read.table, given.rationale, read.inputs)
    if not any(found):
        raise InputError(f"--rationale {given.rationale}: nothing is marked in any of the {len(found)} inputs")
    return found


def _marked(case: Case, spans: list[tuple[int, int]]) -> np.ndarray:
    from ..explain.agreement import marked_parts

    return marked_parts(case.parted.parts, spans)


def _write(folder: Path, ranking: Ranking) -> None:
    from ..explain.ranking_figure import ranking_figure
    from ..explain.report import markdown_table
    from ..interface.plotting import save
    from ..runs.section import put_section

    (folder / FIGURE).parent.mkdir(exist_ok=True)
    save(ranking_figure(ranking), folder / FIGURE)
    write_text(folder / RESULT, json.dumps(ranking.to_dict(), indent=2, ensure_ascii=False) + "\n")
    text = f"{markdown_table(ranking)}\n\n![How methods of explanation rank for this model]({FIGURE})"
    put_section(folder, HEADING, text, [folder / RESULT, folder / FIGURE])


def _print(ranking: Ranking, folder: Path) -> None:
    from ..explain.report import NOTE, table_rows

    width = shutil.get_terminal_size((140, 24)).columns
    print(table(*table_rows(ranking), width))
    for name, why in ranking.refused.items():
        print(textwrap.fill(f"{name} does not apply: {why.removeprefix(f'{name}: ')}", width))
    print("\n" + textwrap.fill(NOTE, width))
    print("\n" + textwrap.fill(ranking.sentence, width) + f"\n\nwritten to {folder / RESULT} and {folder / FIGURE}")
