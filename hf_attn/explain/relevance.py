"""Attention weighed by the gradient of the answer: of one layer, and carried through all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .attentions import of_row
from .found import Found
from .seen_layers import SeenLayer, joined, last_number, see_layers

if TYPE_CHECKING:
    from .case import Case


def grad_attention(case: Case) -> Found:
    """``w_j = Σ_i r_i · mean_h (A^h_ij · ∂y/∂A^h_ij)⁺`` of the last layer (Chefer et al. 2021a, GradCAM of attention).

    r are the queries that the answer y, a logit, is read off.

    Raises:
        InputError: attention that cannot be seen.
    """
    (last,) = see_layers(case, {last_number(case)}, gradient=True)
    return of_row(case, weighed(last))


def weighed(layer: SeenLayer) -> np.ndarray:
    """Return ``Ā = mean_h (A^h ⊙ ∂y/∂A^h)⁺``, (queries, keys) (Chefer et al. 2021b, eq. 5)."""
    assert layer.gradient is not None
    return joined((layer.weights * layer.gradient).clamp_min(0).mean(0))


def relevance(case: Case) -> Found:
    """Relevance of each token, carried through all layers by the generic rules (Chefer et al. 2021b, eq. 5 to 11).

    Self-attention: ``R ← R + Ā R``, from ``R = I``. Cross-attention of queries q to a sequence s:
    ``R_qs ← R_qs + R̄_qqᵀ Ā R̄_ss`` with ``R̄ = (R - I) / row sums + I``. The answer's own row of R is the result.

    Raises:
        InputError: attention that cannot be seen.
    """
    layers = see_layers(case, gradient=True)
    across = next((at for at, layer in enumerate(layers) if layer.crosses), None)
    if across is None:
        state = Relevance.of(layers[0].weights.shape[-1])
        for layer in layers:
            state = state.self_attended(weighed(layer))
        return of_row(case, state.qq)
    return of_row(case, _two_sequences(layers, across))


def _two_sequences(layers: list[SeenLayer], across: int) -> np.ndarray:
    """Relevance of an encoder's tokens for a decoder's queries: encoder layers first, then those of the decoder."""
    cross = layers[across]
    queries, keys = cross.weights.shape[-2:]
    first = across - 1 if across and layers[across - 1].weights.shape[-1] == queries else across
    encoder = Relevance.of(keys)
    for layer in layers[:first]:
        encoder = encoder.self_attended(weighed(layer))
    state = Relevance(np.eye(queries), encoder.qq, np.zeros((queries, keys)), np.zeros((keys, queries)))
    for layer in layers[first:]:
        state = state.cross_attended(weighed(layer)) if layer.crosses else state.self_attended(weighed(layer))
    return state.qs


@dataclass(frozen=True)
class Relevance:
    """Relevance of the tokens of a sequence q, and of one s, for themselves and for each other.

    Attributes:
        qq: (q, q).
        ss: (s, s).
        qs: (q, s), of s for q.
        sq: (s, q), of q for s.
    """

    qq: np.ndarray
    ss: np.ndarray
    qs: np.ndarray
    sq: np.ndarray

    @classmethod
    def of(cls, tokens: int, others: int = 0) -> Relevance:
        """Return what holds before the first layer: each token is relevant for itself alone."""
        return cls(np.eye(tokens), np.eye(others), np.zeros((tokens, others)), np.zeros((others, tokens)))

    def self_attended(self, weights: np.ndarray) -> Relevance:
        """Return what holds after q attended to itself by ``Ā`` (eq. 6 and 7)."""
        return Relevance(self.qq + weights @ self.qq, self.ss, self.qs + weights @ self.qs, self.sq)

    def cross_attended(self, weights: np.ndarray) -> Relevance:
        """Return what holds after q attended to s by ``Ā``, (q, s) (eq. 8 to 11)."""
        qs = self.qs + normalized(self.qq).T @ weights @ normalized(self.ss)
        return Relevance(self.qq + weights @ self.sq, self.ss, qs, self.sq)

    def swapped(self) -> Relevance:
        """Return the same with q and s changing places, for layers in which s attends."""
        return Relevance(self.ss, self.qq, self.sq, self.qs)


def normalized(relevance: np.ndarray) -> np.ndarray:
    """Return ``R̄ = (R - I) / row sums + I`` (eq. 8 and 9); a row of 0 stays 0."""
    own = relevance - np.eye(len(relevance))
    sums = own.sum(-1, keepdims=True)
    return np.divide(own, sums, out=np.zeros_like(own), where=sums != 0) + np.eye(len(relevance))
