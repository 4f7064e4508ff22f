"""Explanations of texts or images, given or in a file, printed or written to one, for ``hf-attn explain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.whole_files import write_text
from .parser import columns_given
from .prediction_files import own_columns, task_of_run
from .row_files import check_output

if TYPE_CHECKING:
    from ..explain.attribution import Attribution
    from ..explain.case import Case
    from ..tasks.inputs.given import GivenFiles

PICTURES = (".png", ".svg")
OUTPUTS = (".html", *PICTURES, ".jsonl")
ON_A_PAGE = 20
"""Inputs that one page holds."""
OPTIONS = ("layer", "head", "samples", "steps", "seed")
"""Options of methods."""


def explain_to(given: Any) -> None:
    """Explain what was given by the arguments of ``hf-attn explain``.

    Raises:
        InputError: all that is wrong, before anything is explained or written.
    """
    from transformers.utils.logging import disable_progress_bar

    from ..explain.faithfulness import with_scores
    from ..explain.methods import METHODS, method_of
    from ..explain.printed import printed
    from ..interface.progress import bar

    output = None if given.output is None else Path(given.output)
    if output is not None:
        check_output(output, given.overwrite, given.inputs, OUTPUTS)
    check_counts(given)
    names = list(dict.fromkeys(given.method or [best_of(given.run)]))
    methods = [method_of(name) for name in names]
    options = options_of(given, methods)
    disable_progress_bar()
    read = read_inputs(given, given.inputs)
    count = len(read.inputs) if given.limit is None else min(given.limit, len(read.inputs))
    _check_amount(output, count, len(methods))
    ids = ids_of(read)[:count]
    cases = cases_of(given, read.only(range(count)))
    explained: list[list[Attribution]] = []
    for case in bar(cases, desc="explain", leave=False, disable=len(cases) * len(methods) == 1):
        explained.append([with_scores(case, METHODS[one].run(case, **options[one])) for one in names])
    if output is None:
        print("\n\n\n".join(printed(one) for some in explained for one in some))
        return
    try:
        _write(output, explained, ids)
    except OSError as error:
        raise InputError(f"--output {output} cannot be written: {error.strerror or error}") from None
    print(f"{len(explained):,} explained in {output}")


def ids_of(read: GivenFiles) -> list[str]:
    """Return what tells the inputs apart: a column named like an id, else their numbers from 0."""
    from ..data.columns import id_columns

    columns = {} if read.table is None else id_columns(read.table)
    found = [str(value) for value in next(iter(columns.values()), [])]
    return found if len(set(found)) == len(read.inputs) else [str(number) for number in range(len(read.inputs))]


def best_of(run: str) -> str:
    """Return the method that was found best for a run, else integrated gradients."""
    from ..interface.foreign_files import read_json

    try:
        best = read_json(Path(run) / "faithfulness.json")["best"]
    except (InputError, KeyError, TypeError):
        best = None
    from ..explain.methods import METHODS

    return best if isinstance(best, str) and best in METHODS else "integrated_gradients"


def options_of(given: Any, methods: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the options of each method that were given.

    Raises:
        InputError: one that none of the methods has.
    """
    asked = {name: value for name in OPTIONS if (value := getattr(given, name)) is not None}
    for name in asked:
        if not any(name in method.options for method in methods):
            from ..explain.methods import METHODS

            having = ", ".join(method.name for method in METHODS.values() if name in method.options)
            raise InputError(f"--{name} is of {having}, not of {', '.join(method.name for method in methods)}")
    return {method.name: {k: v for k, v in asked.items() if k in method.options} for method in methods}


def check_counts(given: Any) -> None:
    """Refuse numbers below 1."""
    wrong = [
        f"--{name} {value}: expected at least 1"
        for name in ("batch_size", "limit")
        if (value := getattr(given, name)) is not None and value < 1
    ]
    if wrong:
        raise InputError("; ".join(wrong))


def read_inputs(given: Any, files: list[str]) -> GivenFiles:
    """Return what is to be explained, read as ``hf-attn predict`` reads it."""
    task = task_of_run(given.run)
    columns = own_columns(task, columns_given(given), given.run)
    return task.input.read_files(files, **columns, delimiter=given.delimiter, encoding=given.encoding)  # type: ignore[no-any-return]


def cases_of(given: Any, read: GivenFiles) -> list[Case]:
    """Return the inputs with what is asked of them, each run once.

    Raises:
        InputError: an input, or what is asked of it, that the model does not take.
    """
    from ..explain.case import Case
    from ..tasks.predict import load

    model, processor = load(given.run)
    task_of_run(given.run).input.read(read.inputs[:1], read.text_pair and read.text_pair[:1], given.run)  # tells pairs
    pairs: list[str | None] = [None] * len(read.inputs) if read.text_pair is None else [*read.text_pair]
    asked: dict[str, Any] = {
        name: getattr(given, name, None) for name in ("target", "against", "segments", "removal", "batch_size")
    }
    cases = []
    for number, (one, pair) in enumerate(zip(read.inputs, pairs, strict=True), start=1):
        try:
            cases.append(Case(model, processor, one, pair, **asked))
        except InputError as error:
            raise InputError(f"input {number}: {error}" if len(read.inputs) > 1 else str(error)) from None
    return cases


def _check_amount(output: Path | None, inputs: int, methods: int) -> None:
    kind = "" if output is None else output.suffix.lower()
    if kind in PICTURES and (inputs > 1 or methods > 1):
        raise InputError(
            f"--output {output}: a picture is of one input by one method, {inputs} and {methods} were given: expected "
            "--limit 1, or a page (.html)"
        )
    if kind == ".html" and inputs > ON_A_PAGE:
        raise InputError(f"--output {output}: a page holds {ON_A_PAGE} inputs, {inputs} were given: expected --limit")
    if not inputs:
        raise InputError("nothing to explain was given: expected at least one input")


def _write(output: Path, explained: list[list[Attribution]], ids: list[str]) -> None:
    kind = output.suffix.lower()
    if kind == ".html":
        from ..explain.page import page

        write_text(output, page(explained))
    elif kind in PICTURES:
        from ..explain.figures import DOTS
        from ..interface.plotting import save

        save(explained[0][0].plot(), output, DOTS)
    else:
        from ..explain.eraser import eraser_row

        rows = [
            eraser_row(one, number if len(some) == 1 else f"{number}_{one.method}")
            for number, some in zip(ids, explained, strict=True)
            for one in some
        ]
        write_text(output, "".join(json.dumps(row) + "\n" for row in rows))
