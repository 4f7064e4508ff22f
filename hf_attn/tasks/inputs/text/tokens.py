"""Texts and pairs of texts: checked, tokenized, put into batches."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .... import data
from ....data.columns import UNLABELLED, missing, refuse
from ....data.origin import unusable, where
from ....errors import InputError
from .encoding import encode, limit, lookalike
from .rationales import with_rationales

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from accelerate import Accelerator
    from datasets import Dataset, DatasetDict

    from .options import Options

log = logging.getLogger(__name__)

CHUNK = 1000
"""Rows tokenized at once."""
WHOLE = ("window", "truth")
"""What of a row goes into a batch as it is."""


def load_splits(
    args: Options,
    label: str | list[str] | None = None,
    strata: Callable[[Dataset], np.ndarray] | None = None,
    unlabelled: str | None = None,
) -> DatasetDict:
    """Load the splits of a run, as :func:`hf_attn.data.load` does, and check the texts."""
    texts = (args.text, args.text_pair)
    splits = data.load(args, label=label, text=texts, strata=strata, unlabelled=unlabelled)
    check_text(splits, args.text, args.text_pair, label)
    return splits


def check_text(
    splits: DatasetDict,
    text: str,
    text_pair: str | None = None,
    label: str | list[str] | None = None,
    options: tuple[str, str] = ("text", "text_pair"),
) -> None:
    """Refuse what is no text: a missing column, another type, null, empty or blank texts, a label taken for the text.

    Texts of validation or test that are also in train are allowed, and told in the log. ``options`` are what the
    columns were given as.

    Raises:
        InputError: all that is wrong in all splits, with the first rows as they are in the file.
    """
    mistakes = missing(splits, [text, text_pair])
    labels = [label] if isinstance(label, str) else label or []
    mistakes += [f"'{column}' is given both as text and as label" for column in (text, text_pair) if column in labels]
    if text == text_pair:
        mistakes.append(f"'{text}' is given both as {' and as '.join(options)}")
    refuse(mistakes)
    texts = [column for column in (text, text_pair) if column]
    refuse(why for split in splits.values() for column in texts if (why := unusable(split, column)))
    for name, split in splits.items():
        for column in filter(None, dict.fromkeys((text, text_pair))):
            mistakes += _unusable(name, split, column)
    refuse(mistakes)
    seen = set(_texts(splits["train"], text, text_pair))
    for name, split in splits.items():
        scored = name not in ("train", UNLABELLED)
        again = sum(texts in seen for texts in _texts(split, text, text_pair)) if scored else 0
        if again:
            log.warning("%d of the %d texts of %s are also in train: its score will flatter", again, len(split), name)


def _texts(split: Dataset, text: str, text_pair: str | None) -> list[Any]:
    return list(zip(split[text], split[text_pair], strict=True)) if text_pair else split[text][:]


def _unusable(name: str, split: Dataset, column: str) -> list[str]:
    dtype = getattr(split.features[column], "dtype", split.features[column])
    values = split[column][:]
    null = [row for row, value in enumerate(values) if value is None]
    if dtype not in ("string", "large_string") and len(null) < len(values):
        return [f"'{column}' of {name} is not text but {dtype} (such as {next(v for v in values if v is not None)!r})"]
    empty = [row for row, value in enumerate(values) if value is not None and not value.strip()]
    return [
        f"'{column}' of {name} has {len(rows)} {what} text{'s' if len(rows) > 1 else ''} ({where(split, rows)}): write "
        "them, or --skip_bad_rows"
        for rows, what in ((null, "null"), (empty, "empty"))
        if rows
    ]


def rows(splits: DatasetDict, tokenizer: Any, args: Options, accelerator: Accelerator) -> DatasetDict:
    """Return the rows of token ids of a run, as :func:`tokenize` makes them."""
    progress = accelerator.is_main_process
    prefix = getattr(args, "source_prefix", None) or ""
    made = tokenize(splits, tokenizer, args.text, args.text_pair, args.max_length, progress, prefix)
    return with_rationales(made, splits, tokenizer, args) if args.rationale else made


def names(split: Dataset | None, args: Options) -> dict[str, list[Any]]:
    """Return what tells the texts of a split apart: columns named like an id; nothing of no split."""
    return {} if split is None else data.id_columns(split, [args.text, args.text_pair])


def tokenize(
    splits: DatasetDict,
    tokenizer: Any,
    text: str,
    text_pair: str | None = None,
    max_length: int | None = None,
    progress: bool = True,
    prefix: str = "",
) -> DatasetDict:
    """Turn texts into token ids, in memory.

    Returns:
        For each split the columns ``input_ids``, ``attention_mask``, ``token_type_ids`` if the tokenizer has them,
        ``labels`` if there were any, and ``ids``, the row numbers.

    Args:
        splits: with text columns, and ``labels`` from :func:`labels.encode_labels`.
        tokenizer: of transformers.
        text: column.
        text_pair: column of the second text.
        max_length: tokens of a row, or of a pair, with special tokens; the rest is cut. The tokenizer's by default.
        progress: show a bar.
        prefix: put before each text.

    Raises:
        InputError: a ``max_length`` that leaves no room for text.
    """
    from datasets import Dataset, DatasetDict

    longest = limit(tokenizer, max_length)
    if text_pair and tokenizer.num_special_tokens_to_add(pair=True) == tokenizer.num_special_tokens_to_add():
        log.warning("the tokenizer puts nothing between the two texts of a pair: the model cannot tell where one ends")
    tokenized = {}
    for name, split in splits.items():
        tell_lookalikes(split, tokenizer, [text, text_pair], name)
        table = _tokens(split, tokenizer, text, text_pair, max_length, name if progress else None, prefix)
        if "labels" in split.column_names:
            table = table.append_column("labels", split.with_format("arrow")["labels"][:])
        tokenized[name] = Dataset(table)
        if longest is not None:
            full = sum(length >= longest for length in table["input_ids"].combine_chunks().value_lengths().to_pylist())
            log.info("%s: %d texts, %d of them reach max_length %d and may be cut", name, len(split), full, longest)
    return DatasetDict(tokenized)


def tell_lookalikes(split: Dataset, tokenizer: Any, columns: list[str | None], name: str) -> None:
    """Say which texts hold the spelling of a special token, which is read as text."""
    pattern = lookalike(tokenizer)
    found = [match[0] for column in filter(None, columns) for text in split[column] if (match := pattern.search(text))]
    if found:
        log.warning(
            "%s: %d texts hold %r or another special token's spelling, which is read as text; to have it as one token, "
            "add it to the tokenizer by add_tokens",
            name,
            len(found),
            found[0],
        )


def _tokens(
    split: Dataset,
    tokenizer: Any,
    text: str,
    text_pair: str | None,
    max_length: int | None,
    name: str | None,
    prefix: str,
) -> Any:
    import pyarrow

    from ....interface.progress import bar

    types = {"input_ids": pyarrow.int32(), "attention_mask": pyarrow.int8(), "token_type_ids": pyarrow.int8()}
    batches = []
    for at in bar(range(0, len(split), CHUNK), desc=f"tokenize {name}", disable=name is None, leave=False):
        rows = split[at : at + CHUNK]
        texts = [prefix + one for one in rows[text]] if prefix else rows[text]
        encoded = encode(tokenizer, texts, rows[text_pair] if text_pair else None, max_length, first=at)
        columns = {key: pyarrow.array(encoded[key], pyarrow.list_(types[key])) for key in types if key in encoded}
        columns["ids"] = pyarrow.array(range(at, at + len(rows[text])), pyarrow.int64())
        batches.append(pyarrow.record_batch(columns))
    return pyarrow.Table.from_batches(batches)


@dataclass(frozen=True)
class Padding:
    """Makes a batch of rows: padded to the longest, rounded up, as int64 tensors of (rows, tokens).

    Also in the batch, where the rows have them: ``labels`` ((rows,) int64 or float32, or (rows, labels) float32, or
    int64; padded to (rows, tokens) if ``values`` say by what), ``ids`` ((rows,) int64), ``rationale`` ((rows, tokens)
    float32, 0 at padding), and as lists, an item a row, ``window`` and ``truth``.
    """

    values: dict[str, int]
    side: str
    multiple: int
    limit: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Put the rows together."""
        longest = max(len(row["input_ids"]) for row in rows)
        width = max(longest, min(-(-longest // self.multiple) * self.multiple, self.limit))
        batch: dict[str, Any] = {}
        for name, value in self.values.items():
            if name in rows[0]:
                padded = np.full((len(rows), width), value, dtype=np.int64)
                for index, row in enumerate(rows):
                    tokens = len(row[name])
                    padded[index, width - tokens if self.side == "left" else 0 :][:tokens] = row[name]
                batch[name] = torch.from_numpy(padded)
        if "rationale" in rows[0]:
            marked = np.zeros((len(rows), width), dtype=np.float32)
            for index, row in enumerate(rows):
                tokens = len(row["rationale"])
                marked[index, width - tokens if self.side == "left" else 0 :][:tokens] = row["rationale"]
            batch["rationale"] = torch.from_numpy(marked)
        if "labels" in rows[0] and "labels" not in self.values:
            labels = np.asarray([row["labels"] for row in rows])
            batch["labels"] = torch.from_numpy(labels.astype(np.int64 if labels.dtype.kind in "iu" else np.float32))
        if "ids" in rows[0]:
            batch["ids"] = torch.tensor([row["ids"] for row in rows])
        return batch | {name: [row[name] for row in rows] for name in WHOLE if name in rows[0]}


def collate(tokenizer: Any, pad_to_multiple_of: int = 8, padded: Mapping[str, int] | None = None) -> Padding:
    """The function that makes batches of a tokenizer's rows; lengths are rounded up, for fewer shapes.

    Args:
        tokenizer: of transformers.
        pad_to_multiple_of: see above.
        padded: what else of a row has a number for each token, such as a target's labels, and what pads it.

    Raises:
        InputError: the tokenizer has no padding token.
    """
    if tokenizer.pad_token_id is None:
        raise InputError(f"the tokenizer {tokenizer.name_or_path} has no padding token: set tokenizer.pad_token")
    values = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
    return Padding(
        {**values, **(padded or {})},
        tokenizer.padding_side,
        pad_to_multiple_of,
        int(min(tokenizer.model_max_length, 2**31)),
    )
