"""Scores of texts, from statistics of each row, so that any draw of rows has its score."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ....errors import InputError
from .words import sentences, words

Score = Callable[[np.ndarray], float]
"""Of the rows whose numbers it is given."""
UNSPACED = ("zh", "char", "ja-mecab")
"""sacreBLEU's ways to divide texts without blanks between words; TER then divides them too."""
INSTALL = "pip install 'hf_attn[texts]'"


def check_installed(*modules: str) -> None:
    """Refuse what needs a library that is not there.

    Raises:
        InputError: with what to install.
    """
    names = {"sacrebleu": "sacrebleu", "rouge_score": "rouge-score"}
    if lacking := [names[module] for module in modules if find_spec(module) is None]:
        raise InputError(f"scores of texts need {' and '.join(lacking)}: {INSTALL}")


class Truth(NamedTuple):
    """What a row is: the text to read, and the one to write."""

    source: str
    reference: str


@dataclass(frozen=True)
class Compared(Sequence[Truth]):
    """Texts that were written, beside what they are of and what they should be; a row's :class:`Truth` by its number.

    Attributes:
        sources: of the rows.
        references: of the rows.
        written: of the rows.
        tokenize: name of sacreBLEU's way to divide texts into words.
        lowercase: whether BLEU is of lower-cased texts.
    """

    sources: Sequence[str]
    references: Sequence[str]
    written: Sequence[str]
    tokenize: str = "13a"
    lowercase: bool = False

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, row: Any) -> Any:
        """The truth of a row."""
        return Truth(self.sources[row], self.references[row])

    def sacre(self, name: str) -> tuple[Any, np.ndarray]:
        """Return a metric of sacreBLEU, and (rows, …) what it counts in each row."""
        return self._sacre[name]

    @cached_property
    def _sacre(self) -> Any:
        return _Lazy(self)

    @cached_property
    def rouge(self) -> dict[str, np.ndarray]:
        """ROUGE's F1 of each row, (rows,), by name (Lin 2004), by rouge-score, stemmed as there.

        A text of one line is divided into sentences for ROUGE-Lsum.
        """
        from absl.logging import get_absl_handler
        from nltk.stem.porter import PorterStemmer
        from rouge_score.rouge_scorer import RougeScorer

        # absl takes what is stderr now for its log, and closes it when logging is set up anew
        get_absl_handler().python_handler.stream = sys.__stderr__
        stem = PorterStemmer().stem
        names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
        scorer = RougeScorer(names, tokenizer=_Words(stem))
        lined = (
            ["\n".join(sentences(text)) for text in self.references],
            ["\n".join(sentences(t)) for t in self.written],
        )
        found = [scorer.score(reference, written) for reference, written in zip(*lined, strict=True)]
        return {name: np.array([row[name].fmeasure for row in found]) for name in names}

    @cached_property
    def chrf_of_rows(self) -> np.ndarray:
        """(rows,) chrF of each row alone, 0 to 100."""
        metric, counts = self.sacre("chrf")
        return np.array([metric._compute_score_from_stats(row.tolist()).score for row in counts])

    @cached_property
    def copied(self) -> np.ndarray:
        """(rows,) bool: whether the source was written as it is."""
        return np.array([a.split() == b.split() for a, b in zip(self.sources, self.written, strict=True)])

    @cached_property
    def new_bigrams(self) -> np.ndarray:
        """(rows, 2): pairs of words of what was written that the source has not, and all of them."""
        return np.array([_new_bigrams(a, b) for a, b in zip(self.sources, self.written, strict=True)])

    @cached_property
    def sentence_counts(self) -> np.ndarray:
        """(rows, 2): sentences of the reference and of what was written."""
        return np.array(
            [(len(sentences(a)), len(sentences(b))) for a, b in zip(self.references, self.written, strict=True)]
        )

    @cached_property
    def word_counts(self) -> np.ndarray:
        """(rows, 2): words of what was written and of the reference."""
        return np.array([(len(words(a)), len(words(b))) for a, b in zip(self.written, self.references, strict=True)])


class _Lazy(dict[str, Any]):
    """Metrics of sacreBLEU with the counts of each row, made when asked for."""

    def __init__(self, texts: Compared) -> None:
        self.texts = texts

    def __missing__(self, name: str) -> Any:
        from sacrebleu.metrics import BLEU, CHRF, TER

        bleu = partial(BLEU, tokenize=self.texts.tokenize, lowercase=self.texts.lowercase)
        split = self.texts.tokenize in UNSPACED
        ter = partial(TER, normalized=split, asian_support=split)
        makers: dict[str, Any] = {"bleu": bleu, "chrf": CHRF, "ter": ter}
        made = makers[name]()
        counts = made._extract_corpus_statistics(list(self.texts.written), [list(self.texts.references)])
        self[name] = made, np.array(counts, dtype=float)
        return self[name]


class _Words:
    """rouge-score's tokenizer, with the letters of all scripts."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self.stem = stem

    def tokenize(self, text: str) -> list[str]:
        """Return the words, their English endings off where they have more than three letters."""
        return [self.stem(word) if len(word) > 3 and word.isascii() else word for word in words(text)]


def _new_bigrams(source: str, written: str) -> tuple[int, int]:
    known, given = words(source), words(written)
    pairs = list(zip(given, given[1:], strict=False))
    there = set(zip(known, known[1:], strict=False))
    return sum(pair not in there for pair in pairs), len(pairs)


def of_sacre(name: str, texts: Compared) -> Score:
    """Return BLEU, chrF or TER of rows, from the counts summed over them."""
    metric, counts = texts.sacre(name)

    def score(rows: np.ndarray) -> float:
        summed = counts[rows].sum(0)
        summed = summed.astype(int) if name != "ter" else summed
        return float(metric._compute_score_from_stats(summed.tolist()).score)

    return score


def mean_of(values: np.ndarray) -> Score:
    """Return the mean of a value of each row."""
    return lambda rows: float(values[rows].mean())


def ratio_of(pairs: np.ndarray) -> Score:
    """Return the ratio of two sums; not a number where the second is 0."""

    def score(rows: np.ndarray) -> float:
        over, under = pairs[rows].sum(0)
        return float(over / under) if under else float("nan")

    return score


SCORES: dict[str, Callable[[Compared], Score]] = {
    "bleu": lambda texts: of_sacre("bleu", texts),
    "chrf": lambda texts: of_sacre("chrf", texts),
    "ter": lambda texts: of_sacre("ter", texts),
    "rouge1": lambda texts: mean_of(texts.rouge["rouge1"]),
    "rouge2": lambda texts: mean_of(texts.rouge["rouge2"]),
    "rougeL": lambda texts: mean_of(texts.rouge["rougeL"]),
    "rougeLsum": lambda texts: mean_of(texts.rouge["rougeLsum"]),
    "length_ratio": lambda texts: ratio_of(texts.word_counts),
    "copied": lambda texts: mean_of(texts.copied),
    "new_bigrams": lambda texts: ratio_of(texts.new_bigrams),
    "as_many_sentences": lambda texts: mean_of(texts.sentence_counts[:, 0] == texts.sentence_counts[:, 1]),
}
"""How each score is made of texts."""
METRICS = {
    "loss": ("loss", "Loss of a token, given those before it"),
    "perplexity": ("perplexity", "Perplexity"),
    "bleu": ("sacrebleu", "BLEU"),
    "chrf": ("chrf", "chrF"),
    "ter": ("ter", "TER"),
    "rouge1": ("rouge", "ROUGE-1"),
    "rouge2": ("rouge", "ROUGE-2"),
    "rougeL": ("rouge", "ROUGE-L"),
    "rougeLsum": ("rouge", "ROUGE-Lsum"),
    "length_ratio": ("length_ratio", "Length ratio (words written : words of the references)"),
    "copied": ("copied", "Share of texts that are their source"),
    "new_bigrams": ("new_bigrams", "Share of pairs of words that the source has not"),
    "as_many_sentences": ("as_many_sentences", "Share of texts with as many sentences as their reference"),
}
"""Score -> its identifier on the Hub, and its name to read."""
