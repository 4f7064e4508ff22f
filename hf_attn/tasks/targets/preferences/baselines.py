"""Other ways to recommend, as simple as they come, on the same rows: what a model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....models.factorisation import SHRINK, biases, factors
from .encoding import values

if TYPE_CHECKING:
    from datasets import DatasetDict


@dataclass(frozen=True)
class Seen:
    """Rows of a split, as simple ways see them.

    Attributes:
        user: (rows,) numbers that stand for the same users in all splits; -1 is one that train has not.
        item: (rows,) likewise, of items.
        value: (rows,) rating or click.
        label: (rows,) what is predicted: 0 or 1, or the rating.
        recent: (rows, 4) means of what the user gave before: all, the last 20, the last 5; and log of how many.
    """

    user: np.ndarray
    item: np.ndarray
    value: np.ndarray
    label: np.ndarray
    recent: np.ndarray


def seen(
    splits: DatasetDict,
    users: Mapping[str, np.ndarray],
    items: Mapping[str, np.ndarray],
    recent: Mapping[str, np.ndarray],
    column: str,
) -> dict[str, Seen]:
    """Return the labelled splits as simple ways see them.

    Args:
        splits: with ``labels``.
        users: (rows,) of each split.
        items: (rows,) number of the item.
        recent: (rows, 4), see :class:`Seen`.
        column: of ratings or clicks.
    """
    names = [name for name, split in splits.items() if "labels" in split.column_names]
    who, what = ({one: numbered(column["train"], column[one]) for one in names} for column in (users, items))
    return {
        name: Seen(
            who[name],
            what[name],
            values(splits[name], column),
            np.asarray(splits[name]["labels"][:], float),
            recent[name],
        )
        for name in names
    }


def numbered(train: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the number of each value among those of train, (rows,); -1 of others."""
    known = np.unique(train)
    place = np.searchsorted(known, given).clip(max=len(known) - 1)
    return np.where(known[place] == given, place, -1)


def compare(splits: Mapping[str, Seen], seed: int = 0) -> dict[str, np.ndarray]:
    """Return what each way says of the test rows, (rows,): log-odds, or ratings.

    All learn from train alone. What each says is put on the scale of the labels by a regression of this one number on
    the validation rows, so that log loss or RMSE can be had of all; it changes no order. ``recency`` is a
    logistic (or linear) regression on the means of what the user gave last, the item's mean and the number of ratings.

    Args:
        splits: ``train``, ``validation`` and ``test``.
        seed: of the factors' start.
    """
    train, rest = splits["train"], {name: splits[name] for name in ("validation", "test")}
    value = train.value - train.value.mean()
    user_bias, item_bias, left = biases(train.user, train.item, value)
    users, items = factors(train.user, train.item, left, (len(user_bias), len(item_bias)), seed=seed)
    count = np.bincount(train.item)
    item_mean = np.bincount(train.item, value) / (count + SHRINK)
    # What train has not, -1, is the last row.
    users, items = (np.concatenate([one, np.zeros_like(one[:1])]) for one in (users, items))
    user_bias, item_bias, item_mean, popular = (
        np.append(one, 0.0) for one in (user_bias, item_bias, item_mean, np.log1p(count))
    )
    said: dict[str, dict[str, np.ndarray]] = {}
    for name, rows in rest.items():
        both = user_bias[rows.user] + item_bias[rows.item]
        said[name] = {
            "popularity": popular[rows.item],
            "item mean": item_mean[rows.item],
            "user and item bias": both,
            "matrix factorisation": both + (users[rows.user] * items[rows.item]).sum(1),
        }
    own = _own_item_means(train, item_mean)
    features = {"train": _with(train.recent, own)} | {n: _with(r.recent, item_mean[r.item]) for n, r in rest.items()}
    recency = _fitted(features["train"], train.label)
    for name in rest:
        said[name]["recency"] = recency(features[name])
    return {
        way: _fitted(said["validation"][way][:, None], splits["validation"].label)(said["test"][way][:, None])
        for way in said["test"]
    }


def _with(features: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.concatenate([features, column[:, None]], 1)


def _fitted(features: np.ndarray, label: np.ndarray):  # type: ignore[no-untyped-def]
    """Return what a regression on standardised features says: logistic of 0 and 1, else linear."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kinds = set(np.unique(label).tolist())
    if kinds <= {0.0, 1.0} and len(kinds) == 2:
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e3)).fit(features, label).decision_function
    if kinds <= {0.0, 1.0}:
        return lambda given: np.full(len(given), 10.0 * (2 * label[0] - 1))
    return make_pipeline(StandardScaler(), LinearRegression()).fit(features, label).predict


def _own_item_means(train: Seen, mean: np.ndarray) -> np.ndarray:
    """The shrunk mean of each train row's item without that row, which would tell its own label."""
    count = np.bincount(train.item)[train.item]
    total = mean[train.item] * (count + SHRINK)
    return (total - (train.value - train.value.mean())) / (count - 1 + SHRINK)
