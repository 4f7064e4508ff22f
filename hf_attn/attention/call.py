"""What a variant is given at one call."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .softmax_path import softmax_context


@dataclass(frozen=True)
class Call:
    """One call of attention: what is compared, what may be seen, and what of the weights is wanted.

    Attributes:
        query: (batch, heads, queries, d).
        key: (batch, heads, keys, d).
        value: (batch, heads, keys, d); None where the weights alone are wanted.
        bias: added to the scores; broadcasts to (batch, heads, queries, keys).
        keep: boolean, True where a key may be attended to; broadcasts likewise. A query that may attend to nothing
            gets the context 0.
        scaling: factor of the scores; None is 1/√d.
        dropout: probability that a weight is set to 0.
        rows: indices of the queries whose weights are wanted, (rows,); None is all of them.
    """

    query: Tensor
    key: Tensor
    value: Tensor | None = None
    bias: Tensor | None = None
    keep: Tensor | None = None
    scaling: float | None = None
    dropout: float = 0.0
    rows: Tensor | None = None

    @property
    def scale(self) -> float:
        """Factor of the scores."""
        return self.query.shape[-1] ** -0.5 if self.scaling is None else self.scaling

    @property
    def mask_differs(self) -> bool:
        """Whether a key may be attended to by some queries and not by others."""
        return self.keep is not None and self.keep.shape[-2] > 1

    def of_rows(self, tensor: Any) -> Any:
        """Return the wanted queries of a tensor (…, queries, size); None, and what all share, stay as they are."""
        if tensor is None or self.rows is None or tensor.shape[-2] == 1:
            return tensor
        return tensor.index_select(-2, self.rows)

    def softmax_context(self) -> Tensor:
        """Return the context of plain softmax attention, by the faster path; (batch, heads, queries, d)."""
        assert self.value is not None
        return softmax_context(self.query * self.scale, self.key, self.value, self.bias, self.keep, self.dropout)
