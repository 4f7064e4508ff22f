"""Which method explains a model best: all of them on the same inputs, each beside random weights."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .agreement import AGREEMENT, agreement
from .faithfulness import random_scores, scores_of
from .methods import METHODS, method_of
from .shuffled import rank_correlation
from .verdict import RANKED_BY, READ

if TYPE_CHECKING:
    from .case import Case

SAMPLES = 10_000
"""Draws of the bootstrap."""
CONTROL = "random"
TELLING = 10
"""Inputs from which on it is said of a method that it beats chance."""
SHUFFLED_INPUTS = 5
"""Inputs that are explained with shuffled weights too."""


@dataclass
class Measured:
    """What was measured of one method.

    Attributes:
        scores: by name, one number an input.
        control: the same of random weights: the mean of their draws.
        seconds: an input, for the explanation alone.
        correlations: with attributions of the model with shuffled weights, one number an input.
    """

    scores: dict[str, list[float]] = field(default_factory=dict)
    control: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    correlations: list[float] = field(default_factory=list)

    def add(self, scores: Mapping[str, float], control: Mapping[str, float]) -> None:
        """Add the scores of one input."""
        for name, value in scores.items():
            self.scores.setdefault(name, []).append(value)
            self.control.setdefault(name, []).append(control[name])


@dataclass(frozen=True)
class Ranking:
    """How methods rank for a model.

    Attributes:
        methods: what was measured, by their names.
        refused: why the others do not apply.
        inputs: how many there were.
        noun: what they are.
    """

    methods: Mapping[str, Measured]
    refused: Mapping[str, str]
    inputs: int
    noun: str

    @cached_property
    def table(self) -> dict[str, dict[str, Any]]:
        """Scores with 95 % intervals by method, the best one first.

        ``difference`` is to random weights on the same inputs; ``beats_chance`` whether its interval, at a level that
        allows for the number of methods (Bonferroni), lies above 0 in the score that they are ranked by.
        """
        tried = [name for name in self.methods if name != CONTROL]
        level = 1 - 0.05 / max(1, len(tried))
        rows: dict[str, dict[str, Any]] = {}
        for name, one in self.methods.items():
            scores = {score: summary(one.scores[score], one.control[score]) for score in one.scores}
            own, control = np.array(one.scores[RANKED_BY]), np.array(one.control[RANKED_BY])
            low, _ = interval(own - control, level)
            rows[name] = {
                "scores": scores,
                "beats_chance": bool(low > 0) and name != CONTROL and len(own) >= TELLING,
                "shuffled_weights": float(np.mean(one.correlations)) if one.correlations else None,
                "seconds": float(np.median(one.seconds)),
            }
        return dict(sorted(rows.items(), key=lambda row: -row[1]["scores"][RANKED_BY]["value"]))

    @cached_property
    def best(self) -> str | None:
        """The method that ranks first among those that beat chance; None where none does."""
        return next((name for name, row in self.table.items() if row["beats_chance"]), None)

    @cached_property
    def as_good(self) -> list[str]:
        """Methods that beat chance and are not told apart from the best one on these inputs, at 95 %."""
        best = self.best
        if best is None:
            return []
        top = np.array(self.methods[best].scores[RANKED_BY])
        others = [name for name, row in self.table.items() if row["beats_chance"] and name != best]
        return [name for name in others if interval(top - np.array(self.methods[name].scores[RANKED_BY]))[0] <= 0]

    @property
    def sentence(self) -> str:
        """Which method to use, and whether any beats chance."""
        table, best = self.table, self.best
        tried = [name for name in table if name != CONTROL]
        on = f"on {self.inputs:,} {self.noun}{'s' if self.inputs != 1 else ''}"
        winners = sum(table[name]["beats_chance"] for name in tried)
        if self.inputs < TELLING:
            return f"Too few inputs to say which method to use: {self.inputs:,}, expected at least {TELLING}."
        if best is None:
            return (
                f"None of {len(tried)} methods beats random weights {on}: believe none of their pictures of this "
                "model, or measure on more inputs."
            )
        one = table[best]["scores"][RANKED_BY]
        said = (
            f"Use {best}: its {READ[RANKED_BY]} is {one['value']:.3f} (95 % {one['low']:.3f} to {one['high']:.3f}) "
            f"{on}, that of random weights {one['random']:.3f}; {winners} of {len(tried)} methods beat chance."
        )
        alike = self.as_good
        if not alike:
            return said
        more = f" and {len(alike) - 4} more" if len(alike) > 4 else ""
        return f"{said} Not told apart from it here: {', '.join(alike[:4])}{more}."

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "inputs": self.inputs,
            "ranked_by": RANKED_BY,
            "best": self.best,
            "as_good": self.as_good,
            "sentence": self.sentence,
            "methods": self.table,
            "refused": dict(self.refused),
        }


def summary(own: Sequence[float], control: Sequence[float]) -> dict[str, float]:
    """Return the mean of a score over inputs with its 95 % interval, random weights' mean, and their difference."""
    low, high = interval(np.array(own))
    difference = np.array(own) - np.array(control)
    difference_low, difference_high = interval(difference)
    return {
        "value": float(np.mean(own)),
        "low": low,
        "high": high,
        "random": float(np.mean(control)),
        "difference": float(difference.mean()),
        "difference_low": difference_low,
        "difference_high": difference_high,
    }


def interval(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron & Tibshirani 1993, ch. 13)."""
    random = np.random.default_rng(seed)
    means = values[random.integers(0, len(values), (SAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class Contest:
    """Runs methods on cases one after the other.

    Args:
        methods: names.
        seed: of the random weights.
    """

    def __init__(self, methods: Sequence[str], seed: int = 0) -> None:
        self.names, self.seed, self.inputs = list(methods), seed, 0
        self.measured: dict[str, Measured] = {}
        self.refused: dict[str, str] = {}

    def take(self, case: Case, other: Case | None = None, marked: np.ndarray | None = None) -> None:
        """Explain one case by every method, and measure each.

        Args:
            case: the input.
            other: the same input with the same target, in a model with shuffled weights.
            marked: (parts,) bool, what people mark as the reason.

        Raises:
            InputError: none of the methods applies.
        """
        self.inputs += 1
        control = {name: float(draws.mean()) for name, draws in random_scores(case, seed=self.seed).items()}
        agreed = marked is not None and bool(marked.any())
        if marked is not None and agreed:
            control |= self._by_chance(marked)
        for name in [one for one in self.names if one not in self.refused]:
            fresh = case.in_model(case.model)  # which remembers no score that another method asked for
            start = time.perf_counter()
            try:
                found = METHODS[name].run(fresh, **self._options(name))
            except InputError as error:
                self._refuse(name, error)
                continue
            seconds = time.perf_counter() - start
            scores = scores_of(case, found.order(self.seed), found.weights)
            if marked is not None and agreed:
                scores |= agreement(found.weights, marked, float(marked.mean()))
            one = self.measured.setdefault(name, Measured())
            one.add(scores, control)
            one.seconds.append(seconds)
            if other is not None and name != CONTROL:
                again = METHODS[name].run(other, **self._options(name))
                one.correlations.append(rank_correlation(found.weights, again.weights))
        if self.refused and not self.measured.keys() - {CONTROL}:
            raise InputError("; ".join(f"{name}: {why}" for name, why in self.refused.items()))

    def _options(self, name: str) -> dict[str, Any]:
        return {"seed": self.seed + self.inputs} if name == CONTROL else {}

    def _refuse(self, name: str, error: InputError) -> None:
        """A method that does not apply to one input is left out of them all: the others stay comparable."""
        self.refused[name] = str(error)
        self.measured.pop(name, None)

    def _by_chance(self, marked: np.ndarray) -> dict[str, float]:
        random = np.random.default_rng(self.seed)
        draws = [agreement(random.random(len(marked)), marked, float(marked.mean())) for _ in range(10)]
        return {name: float(np.mean([draw[name] for draw in draws])) for name in AGREEMENT}

    def ranking(self, noun: str) -> Ranking:
        """Return how the methods rank."""
        return Ranking(self.measured, self.refused, self.inputs, noun)


def read_of(score: str) -> str:
    """Return the name of a score to read."""
    return {**READ, "auprc": "AUPRC with people", "token_f1": "token F1 with people", "iou_f1": "IoU F1 with people"}[
        score
    ]


def chosen_methods(names: Iterable[str]) -> list[str]:
    """Return methods by their names, ``all`` for each of them; the control is always among them.

    Raises:
        InputError: there is no such method.
    """
    given = list(dict.fromkeys(name for one in names for name in one.split(",") if name))
    listed = list(METHODS) if "all" in given else [method_of(name).name for name in given]
    if not set(listed) - {CONTROL}:
        raise InputError("--methods names no method beside the control: expected all, or some of them")
    return [*[name for name in listed if name != CONTROL], CONTROL]
