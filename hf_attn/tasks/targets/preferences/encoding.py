"""How a column says what users like: classes of two, or ratings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....data import limit as limited
from ....data.columns import labelled, missing, refuse
from ....data.origin import carry, where
from ....errors import InputError
from ..labels.encoding import encode_labels
from ..labels.saved import label_names
from .liked import NAMES, Liked
from .rating import Rating

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedModel

    from .options import Options

COLUMN = "__liked__"


def strata_of(label: Any, problem: Any = None) -> None:
    """Return None: splits are cut by time, and never so that each class keeps its share."""
    return


def encode(splits: DatasetDict, args: Options) -> tuple[DatasetDict, Liked | Rating]:
    """Encode what is predicted, as the column ``labels``, and keep ``limit`` rows of each split.

    0 and 1 are clicks, or likes; with ``liked_from`` ratings are made such; other numbers are ratings.

    Raises:
        InputError: no numbers, one value alone, or a threshold that all ratings are on one side of.
    """
    refuse(missing(labelled(splits), [args.label]))
    found = {name: values(split, args.label) for name, split in labelled(splits).items()}
    kinds = np.unique(np.concatenate(list(found.values())))
    clicks = set(kinds.tolist()) <= {0.0, 1.0}
    _refuse_one_sided(found["train"], kinds, args)
    seed = args.seed  # type: ignore[attr-defined]
    if args.liked_from is None and not clicks:
        encoded, _ = encode_labels(splits, args.label, kind="regression")
        target: Liked | Rating = Rating(column=args.label, pair_weight=args.pair_weight)
        return limited(encoded, args.limit, seed), target  # type: ignore[attr-defined]
    least = 1.0 if args.liked_from is None else args.liked_from
    made = {
        name: _with_classes(split, found[name] >= least) if name in found else split for name, split in splits.items()
    }
    encoded, labels = encode_labels(type(splits)(made), COLUMN, kind="single")
    encoded = type(splits)({n: carry(s.remove_columns(COLUMN), s) if n in found else s for n, s in encoded.items()})
    target = Liked(labels.names, args.label, labels.counts, pair_weight=args.pair_weight)
    return limited(encoded, args.limit, seed), target  # type: ignore[attr-defined]


def values(split: Dataset, column: str) -> np.ndarray:
    """The label of each row as a number, (rows,) float64."""
    names = getattr(split.features[column], "names", None)
    given, found = split[column][:], []
    for value in given:
        try:
            found.append(float(names[value] if names else value))
        except (TypeError, ValueError):
            found.append(np.nan)
    bad = np.flatnonzero(~np.isfinite(found)).tolist()
    if bad:
        raise InputError(
            f"'{column}' of {len(bad)} rows is no number ({where(split, bad)}, such as {given[bad[0]]!r}): expected "
            "ratings, or clicks as 0 and 1; --skip_bad_rows leaves out rows without any"
        )
    return np.array(found)


def _refuse_one_sided(train: np.ndarray, kinds: np.ndarray, args: Options) -> None:
    if len(np.unique(train)) == 1:
        raise InputError(
            f"'{args.label}' is {train[0]:g} in all rows of train: there is nothing to tell apart; add rows of what "
            "was shown and not taken, as 0, or ratings"
        )
    if args.liked_from is not None and len(np.unique(train >= args.liked_from)) == 1:
        side = "at least" if train[0] >= args.liked_from else "below"
        raise InputError(
            f"liked_from {args.liked_from:g}: all ratings of train are {side} that, from {kinds[0]:g} to "
            f"{kinds[-1]:g}; expected one between them"
        )


def _with_classes(split: Dataset, liked: np.ndarray) -> Dataset:
    from datasets import ClassLabel

    given = [column for column in split.column_names if column == COLUMN]
    feature = ClassLabel(names=list(NAMES))
    return carry(split.remove_columns(given).add_column(COLUMN, liked.astype(np.int64), feature=feature), split)


def of_model(model: PreTrainedModel, outputs: int, processor: Any = None) -> Liked | Rating:
    """Return what a trained model says of a row; ``processor`` is not asked."""
    return Rating() if outputs == 1 else replace(Liked(), names=label_names(model, outputs))
