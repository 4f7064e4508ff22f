"""Labels that an earlier model gave to rows without any: which of them are learned from, and what they are worth."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data.columns import UNLABELLED
from ....data.origin import select
from ....errors import InputError
from . import calibration
from .labels import Labels

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .options import SelfTrainingOptions

log = logging.getLogger(__name__)
PREDICTED, VALIDATION = "unlabelled.parquet", "validation.parquet"


@dataclass(frozen=True)
class Taught:
    """What was learned from an earlier round.

    Attributes:
        facts: for run.json; empty where there was none.
        notes: sections of the card.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """What a run's record is to hold of it."""
        return {"facts": self.facts, "notes": self.notes}


def learn_from(
    earlier: Path | None, splits: DatasetDict, labels: Labels, args: SelfTrainingOptions
) -> tuple[DatasetDict, Labels, Taught]:
    """Add rows without labels to train, with the labels that an earlier round gives them, where it is sure enough.

    Its confidence is calibrated by one temperature on the validation split. Rows that are in train, validation or test
    as well are left out, so that nothing of these is learned from a guess.

    Args:
        earlier: folder of the round before; None leaves all as it is.
        splits: encoded; with the rows without labels.
        labels: of the run.
        args: of the run.

    Raises:
        InputError: no row is new, which is said before the first round, or none of these is sure enough.
    """
    if earlier is None:
        if args.unlabeled and _seen(splits).all():
            raise InputError(
                f"all {len(splits[UNLABELLED])} rows of {args.unlabeled} stand in train, validation or test too: "
                "there is nothing new to learn from"
            )
        return splits, labels, Taught()
    known, said = _read(earlier / VALIDATION, labels.names), _read(earlier / PREDICTED, labels.names)
    if len(said.confidence) != (given := len(splits[UNLABELLED])):
        raise InputError(f"{earlier} predicted {len(said.confidence)} rows, and {given} are given now")
    degree = calibration.temperature(known.logits, known.truth)
    known, said = known.at(degree), said.at(degree)
    seen = _seen(splits)
    sure = said.confidence >= args.unlabeled_threshold
    again = sure & seen
    chosen = np.flatnonzero(sure & ~seen)
    if args.unlabeled_balanced:
        chosen = balanced(said, chosen)
    if not len(chosen):
        raise InputError(
            f"no new row of {args.unlabeled} is as sure as --unlabeled_threshold {args.unlabeled_threshold}: the "
            f"surest has {said.confidence[~seen].max(initial=0):.3f}; choose a lower one, with --overwrite"
        )
    facts = _facts(labels.names, known, said, chosen, args.unlabeled_threshold, degree)
    facts |= {"rows": len(sure), "left_out_as_known": int(again.sum()), "weight": args.unlabeled_weight}
    facts["round"] = args.unlabeled_rounds
    text = sentence(facts)
    log.info("%s", text)
    first = len(splits["train"])
    train = added(splits["train"], select(splits[UNLABELLED], chosen), said.best[chosen])
    more = replace(labels, taught=(first, args.unlabeled_weight)).recounted(train["labels"][:])
    from datasets import DatasetDict

    notes = {"Self-training": f"{text}\n\n{table(facts)}"}
    return DatasetDict({**splits, "train": train}), more, Taught({"self_training": facts}, notes)


@dataclass(frozen=True)
class Said:
    """What a model says of rows: log-probabilities, (rows, classes), and the classes, -1 where they are not known."""

    logits: np.ndarray
    truth: np.ndarray

    def at(self, degree: float) -> Said:
        """Return the same at a temperature."""
        return Said(calibration.log_softmax(self.logits / degree), self.truth)

    @property
    def best(self) -> np.ndarray:
        """(rows,) most probable class."""
        return self.logits.argmax(1)

    @property
    def confidence(self) -> np.ndarray:
        """(rows,) its probability."""
        return np.exp(self.logits.max(1, initial=-np.inf)) if len(self.logits) else np.zeros(0)


def _read(path: Path, names: Sequence[str]) -> Said:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    if list(names) != json.loads(table.schema.metadata[b"labels"]):
        raise InputError(f"{path} is of other classes than these: start the rounds anew, with --overwrite")
    shares = np.array(table["probabilities"].to_pylist(), dtype=np.float64).reshape(-1, len(names))
    ids = {name: number for number, name in enumerate(names)}
    truth = [ids[one] for one in table["label"].to_pylist()] if "label" in table.column_names else [-1] * len(shares)
    return Said(np.log(np.maximum(shares, 1e-300)), np.array(truth))


def _seen(splits: DatasetDict) -> np.ndarray:
    """(rows,) bool: rows without labels that train, validation or test have too, or that stand there twice."""
    columns = [name for name in splits[UNLABELLED].column_names if name in splits["train"].column_names]
    columns = [name for name in columns if name != "labels"]
    known = {key for name in ("train", "validation", "test") for key in _keys(splits[name], columns)}
    found = []
    for key in _keys(splits[UNLABELLED], columns):
        found.append(key in known)
        known.add(key)
    return np.array(found, dtype=bool)


def _keys(split: Dataset, columns: list[str]) -> list[Any]:
    """What tells a row's input: its texts, and of images what they are made of."""
    from ....data.image_files import digest, is_image_struct

    rows = split.with_format("arrow")[:]
    found = []
    for name in columns:
        values = rows[name].to_pylist()
        is_image = is_image_struct(rows.schema.field(name).type)
        found.append([digest(value) if is_image and value is not None else repr(value) for value in values])
    return list(zip(*found, strict=True))


def balanced(said: Said, chosen: np.ndarray) -> np.ndarray:
    """Keep of each class its surest rows, at most as many as the median class has of those chosen (Zou et al. 2018).

    Args:
        said: of all rows.
        chosen: numbers of rows.
    """
    best = said.best[chosen]
    counts = np.bincount(best, minlength=said.logits.shape[1])
    most = int(np.median(counts[counts > 0])) if len(chosen) else 0
    kept = []
    for number in range(len(counts)):
        own = chosen[best == number]
        kept.append(own[np.argsort(-said.confidence[own], kind="stable")[:most]])
    return np.sort(np.concatenate(kept)) if kept else chosen


def _facts(
    names: Sequence[str], known: Said, said: Said, chosen: np.ndarray, threshold: float, degree: float
) -> dict[str, Any]:
    sure = known.confidence >= threshold
    right = known.best == known.truth

    def precision(rows: np.ndarray) -> dict[str, Any]:
        hits, count = int(right[rows].sum()), int(rows.sum())
        return {"precision": hits / count if count else None, "validation_rows": count, "right": hits}

    whole = precision(sure)
    classes = {
        name: {"taken": int((said.best[chosen] == number).sum()), **precision(sure & (known.best == number))}
        for number, name in enumerate(names)
    }
    interval = list(calibration.wilson(whole["right"], whole["validation_rows"]))
    head = {"taken": len(chosen), "threshold": threshold, "temperature": degree}
    return {**head, **whole, "interval": interval, "classes": classes}


def sentence(facts: dict[str, Any]) -> str:
    """Say how many rows are taken, and how many of them are likely to be right."""
    text = (
        f"Self-training, round {facts['round']}: {facts['taken']:,} of {facts['rows']:,} rows without labels are "
        f"learned from, at a calibrated confidence of at least {facts['threshold']:g} (temperature "
        f"{facts['temperature']:.3f}), each with a weight of {facts['weight']:g}."
    )
    if facts["left_out_as_known"]:
        text += f" {facts['left_out_as_known']:,} that are in train, validation or test too, or twice, are left out."
    if facts["precision"] is None:
        return text + " No validation row is as sure, so that nobody knows how many of them are right."
    low, high = facts["interval"]
    return text + (
        f" Of validation rows as sure {facts['precision']:.1%} are right ({facts['right']} of "
        f"{facts['validation_rows']}, 95 % {low:.1%} to {high:.1%})."
    )


def table(facts: dict[str, Any]) -> str:
    """Return what is taken of each class, and how often validation rows as sure are right, as a table of markdown."""
    from ....interface.printable import printable

    lines = ["| class | taken | precision on validation | validation rows |", "|---|---:|---:|---:|"]
    for name, one in facts["classes"].items():
        precision = "" if one["precision"] is None else f"{one['precision']:.3f}"
        told = printable(name).replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {told} | {one['taken']:,} | {precision} | {one['validation_rows']} |")
    return "\n".join(lines)


def added(train: Dataset, more: Dataset, labels: np.ndarray) -> Dataset:
    """Return train with rows at its end: their input, and the encoded labels; other columns are null there."""
    import pyarrow
    from datasets import Dataset

    own, other = train.with_format("arrow")[:], more.with_format("arrow")[:]
    columns = {}
    for place in own.schema:
        if place.name == "labels":
            columns[place.name] = pyarrow.array(labels).cast(place.type)
        elif place.name in other.column_names:
            columns[place.name] = other[place.name].cast(place.type)
        else:
            columns[place.name] = pyarrow.nulls(len(labels), place.type)
    whole = pyarrow.concat_tables([own, pyarrow.table(columns, schema=own.schema)])
    return Dataset(whole.replace_schema_metadata(own.schema.metadata))
