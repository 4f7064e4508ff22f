"""Rows of windows: texts of any length, read in windows that overlap, with what a target says of their tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.origin import where
from ...windows import Window, answering, windows_of
from .agreement import check_token_ids, fitted, padding
from .encoding import limit
from .padding_read import reads_padding
from .pieces import Piece, in_windows
from .prediction import in_batches
from .tokens import CHUNK, Padding, tell_lookalikes

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

Size = tuple["int | None", "float | int"]
"""Tokens of a window, and what of it is read again in the next one."""
Align = Callable[[Mapping[str, Any], Window], "list[int] | None"]
"""Makes a row's annotation the labels of a window of it: of its tokens, or whatever a target learns from; None where
the window holds nothing to learn."""
BEFORE = "before"
"""Column of what is read before each window of a text, such as a question."""


def windowed(
    splits: DatasetDict,
    tokenizer: Any,
    max_length: int | None,
    accelerator: Accelerator,
    align: Align | None = None,
    overlap: float | int = 0.25,
) -> DatasetDict:
    """Make the rows of a run, one a window, in memory.

    Args:
        splits: with ``text``, ``words`` (characters of each word, start and end in turn) where there are any,
            ``before`` where something is read before each window, and ``labels`` where there are any.
        tokenizer: of transformers.
        max_length: tokens of a window, special ones included.
        accelerator: whose main process shows a bar.
        align: of the target; without it nothing is said of labels.
        overlap: of windows, as of :func:`.pieces.in_windows`.

    Returns:
        For each split the tokenizer's columns, ``labels``, and ``ids``, the number of the row that a window is of. What
        is scored has ``window`` and ``truth`` beside: the row's labels in its first window, null in the others.

    Raises:
        InputError: a tokenizer that tells no places, or no room for text.
    """
    from datasets import Dataset, DatasetDict

    made = {}
    for name, split in splits.items():
        tell_lookalikes(split, tokenizer, ["text"], name)
        table = _table(split, tokenizer, (max_length, overlap), align, name, accelerator.is_main_process)
        made[name] = Dataset(table)
        longest = limit(tokenizer, max_length)
        if longest is not None and len(table) > len(split):
            log.info("%s: %d texts are read in %d windows of up to %d tokens", name, len(split), len(table), longest)
    return DatasetDict(made)


def _table(split: Dataset, tokenizer: Any, size: Size, align: Align | None, name: str, progress: bool) -> Any:
    import pyarrow

    from ....interface.progress import bar

    types = {"input_ids": pyarrow.int32(), "attention_mask": pyarrow.int8(), "token_type_ids": pyarrow.int8()}
    numbers = pyarrow.list_(pyarrow.int32())
    window_type = pyarrow.struct(
        [("text", pyarrow.string()), ("before", pyarrow.string()), ("whole", pyarrow.int32())]
        + [(part, numbers) for part in ("places", "words", "spans")]
    )
    labelled, learnt = align is not None and "labels" in split.column_names, name == "train"
    truth_type = split.features.arrow_schema.field("labels").type if labelled else None
    batches, lost, shared = [], [], 0
    for at in bar(range(0, len(split), CHUNK), desc=f"tokenize {name}", disable=not progress, leave=False):
        rows = split.select(range(at, min(at + CHUNK, len(split)))).to_list()
        columns: dict[str, list[Any]] = {}
        for number, row, pieces in zip(range(at, at + CHUNK), rows, _encoded(rows, tokenizer, size, at), strict=False):
            windows = windows_for(row, pieces, tokenizer.cls_token_id)
            by = _answering(windows)
            shared += int(((by >= 0) & (by != np.arange(len(by)))).sum())
            if missing := int((by < 0).sum()):
                lost.append((number, missing))
            for place, (window, (inputs, _)) in enumerate(zip(windows, pieces, strict=True)):
                labels = align(row, window) if align and labelled else None
                if learnt and labelled and labels is None:
                    continue
                cells = {**inputs, "ids": number}
                if labelled and learnt:
                    cells["labels"] = labels
                if not learnt:
                    cells["window"] = window.column()
                if labelled and not learnt:
                    cells["truth"] = None if place else row["labels"]
                for key, value in cells.items():
                    columns.setdefault(key, []).append(value)
        if not columns:
            continue
        kinds = {**{key: pyarrow.list_(kind) for key, kind in types.items()}, "ids": pyarrow.int64()}
        kinds |= {"labels": numbers, "window": window_type, "truth": truth_type}
        batches.append(pyarrow.record_batch({key: pyarrow.array(cells, kinds[key]) for key, cells in columns.items()}))
    if lost:
        words, example = sum(count for _, count in lost), where(split, [number for number, _ in lost])
        log.warning("%s: the tokenizer leaves no token of %d words (%s): no tag is said of them", name, words, example)
    if shared:
        log.info("%s: %d words share a token with the word before them, which answers for both", name, shared)
    return pyarrow.Table.from_batches(batches)


def _answering(windows: Sequence[Window]) -> np.ndarray:
    """(words,) the word whose tokens answer for each word of a text, as of :func:`hf_attn.tasks.windows.answering`."""
    numbers = np.concatenate([window.words[window.firsts] for window in windows])
    ends, order = np.concatenate([window.ends for window in windows]), np.argsort(numbers)
    return answering(numbers[order], ends[order], windows[0].spans)


def _encoded(rows: Sequence[Mapping[str, Any]], tokenizer: Any, size: Size, first: int) -> list[list[Piece]]:
    before, (max_length, overlap) = [row[BEFORE] for row in rows] if BEFORE in rows[0] else None, size
    return in_windows(tokenizer, [row["text"] for row in rows], before, max_length, overlap=overlap, first=first)


def windows_for(row: Mapping[str, Any], pieces: Sequence[Piece], whole: int | None = None) -> list[Window]:
    """Return the windows of a row, of which ``pieces`` are the tokens.

    Args:
        row: as of :func:`windowed`.
        pieces: of its text.
        whole: id of the token that stands for a window; the first token does where there is none.
    """
    spans, before = row.get("words", ()), row.get(BEFORE)
    source = int(before is not None)
    places = [[place[1:] if place and place[0] == source else None for place in found] for _, found in pieces]
    ids = [inputs["input_ids"] for inputs, _ in pieces]
    wholes = [one.index(whole) if whole in one else 0 for one in ids]
    return windows_of(row["text"], places, list(zip(spans[::2], spans[1::2], strict=True)), before, wholes)


def window_batches(
    rows: Sequence[Mapping[str, Any]],
    tokenizer: Any,
    model: PreTrainedModel,
    batch_size: int,
    overlap: float | int = 0.25,
) -> Iterator[dict[str, Any]]:
    """Yield batches of the windows of rows that a trained model takes, longest first, with the ``ids`` of the rows.

    Where model and tokenizer have no padding in common, windows go one by one; where the model reads padding, those of
    one length go together.

    Args:
        rows: ``text``, ``words`` and ``before`` of each, as of :func:`windowed`.
        tokenizer: of the model.
        model: a trained one.
        batch_size: windows of a batch.
        overlap: of windows, as of :func:`.pieces.in_windows`.

    Raises:
        InputError: texts with tokens that the model has no embeddings for.
    """
    tokenizer = fitted(tokenizer, model)
    made: list[dict[str, Any]] = []
    for number, (row, pieces) in enumerate(zip(rows, _encoded(rows, tokenizer, (None, overlap), 0), strict=True)):
        for window, (inputs, _) in zip(windows_for(row, pieces, tokenizer.cls_token_id), pieces, strict=True):
            made.append({**inputs, "ids": number, "window": window.column()})
    check_token_ids([row["input_ids"] for row in made], model, tokenizer)
    pad = padding(model)
    batch_size = 1 if pad is None else batch_size
    values = {"input_ids": pad or 0, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
    collate = Padding(values, tokenizer.padding_side, getattr(model.config, "downsampling_rate", 1), limit=2**31)
    lengths = [len(row["input_ids"]) for row in made]
    order = sorted(range(len(made)), key=lambda at: -lengths[at])
    alike = batch_size > 1 and lengths[order[0]] > lengths[order[-1]]
    if alike:
        alone = {name: made[order[-1]][name] for name in values if name in made[0]}
        alike = reads_padding(model, alone, collate)
    for some in in_batches(order, batch_size, lengths if alike else None):
        yield collate([made[at] for at in some])
