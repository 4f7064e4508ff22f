"""What an attention variant is.

Notation: b batch, h heads, n queries, m keys, d head dimension. Scores and weights are ``(batch, heads, queries,
keys)``; ``s`` are scores, ``p`` weights, ``o`` the context, ``p v``. Parameters are written as differences from
softmax attention and start at zero, so that a pretrained model computes what it did before.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dropout import dropout as cheap_dropout

INITS = ("identity", "paper")
SHORT = 256
"""Keys up to which the plain path is faster on a CPU, training in bf16."""


class Variant(nn.Module):
    """Scaled dot-product attention, and the base of everything that differs from it.

    ``p = softmax(q kᵀ · scaling + bias)``, ``o = p v`` (Vaswani et al. 2017, eq. 1). A subclass overrides the step in
    which it differs, in the order in which attention happens: :meth:`scores`, :meth:`normalize`, :meth:`mix`,
    :meth:`output`. If its scores are an inner product of changed inputs it overrides :meth:`dot_form` instead, and
    keeps the fused path. Parameters are made empty in ``__init__`` and filled in :meth:`reset_parameters`, with
    ``nn.init`` functions only: ``from_pretrained`` builds the model without memory and calls it afterwards.

    Args:
        num_heads: h, the number of query heads of the layer.
        head_dim: d, the size of a head.
        init: ``"identity"``: the pretrained model's function at the start. ``"paper"``: the mechanism as published,
            which needs longer training.
    """

    name: ClassVar[str] = "dot_product"
    equation: ClassVar[str] = "p = softmax(s), s = q·k/√d"
    source: ClassVar[str] = "Vaswani et al. 2017, eq. 1"
    parameters_per_layer: ClassVar[str] = "0"
    cost: ClassVar[str] = "O(n²d)"
    identity: ClassVar[bool] = True
    accepts_bias: ClassVar[bool] = True
    needs_patches: ClassVar[bool] = False
    normalized: ClassVar[bool] = True
    fused_path: ClassVar[str] = "sdpa"
    # Whether the layer is causal, so that its last query stands at its last key.
    causal: bool = False

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__()
        if init not in INITS:
            raise ValueError(f"init={init!r}: expected one of {', '.join(INITS)}")
        self.num_heads, self.head_dim, self.init = num_heads, head_dim, init

    def reset_parameters(self) -> None:
        """Fill the parameters with their start values."""

    def dot_form(self, query: Tensor, key: Tensor, scaling: float) -> tuple[Tensor, Tensor] | None:
        """Return query and key whose plain inner product, without scaling, gives the scores; None if there are none."""
        return query * scaling, key

    def scores(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """Return the scores, (batch, heads, queries, keys), before bias and mask."""
        return query @ key.transpose(-1, -2) * scaling

    def normalize(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        """Turn masked scores into weights of the same shape. Masked scores are the most negative finite number."""
        return scores.softmax(-1)

    def mix(self, weights: Tensor) -> Tensor:
        """Change the weights after normalisation, same shape."""
        return weights

    def output(self, context: Tensor, query: Tensor) -> Tensor:
        """Change the context, (batch, heads, queries, d)."""
        return context

    def weights(
        self,
        query: Tensor,
        key: Tensor,
        bias: Tensor | None = None,
        keep: Tensor | None = None,
        scaling: float | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Return the weights, (batch, heads, queries, keys), in at least fp32 and before dropout.

        This is the definition of the variant; every fused path is held against it.

        Args:
            rows: indices of the queries that are wanted, shape (rows,); the others are not computed.
        """
        scores, keep = self.masked_scores(query, key, bias, keep, scaling, rows)
        weights = self.normalize(scores, keep)
        return self.mix(weights if keep is None else weights * keep)

    def masked_scores(
        self,
        query: Tensor,
        key: Tensor,
        bias: Tensor | None,
        keep: Tensor | None,
        scaling: float | None,
        rows: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the scores with bias and mask, in at least fp32, and ``keep``, both of the asked rows alone."""
        query, bias, keep = (select_rows(x, rows) for x in (query, bias, keep))
        scores = self.scores(query, key, self.head_dim**-0.5 if scaling is None else scaling)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if bias is not None:
            scores = scores + bias
        if keep is None:
            return scores, None
        return scores + mask_as_sum(keep, scores.dtype), keep

    def fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        keep: Tensor | None,
        scaling: float,
        dropout: float,
    ) -> Tensor | None:
        """Return the context without making the weights, or None where only the plain path is right."""
        form = self.dot_form(query, key, scaling)
        return None if form is None else softmax_context(*form, value, bias, keep, dropout)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None = None,
        keep: Tensor | None = None,
        scaling: float | None = None,
        dropout: float = 0.0,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: (batch, heads, queries, d).
            key: (batch, heads, keys, d).
            value: (batch, heads, keys, d).
            bias: added to the scores; broadcasts to (batch, heads, queries, keys).
            keep: boolean, True where a key may be attended to; broadcasts likewise. A query that may attend to
                nothing gets the context 0.
            scaling: factor of the scores; None is 1/√d.
            dropout: probability that a weight is set to 0.
            need_weights: also return the weights; takes the plain path.

        Returns:
            The context, (batch, heads, queries, d), and the weights before dropout or None.

        Raises:
            ValueError: ``bias`` is given and the variant cannot honour it.
        """
        if bias is not None and not self.accepts_bias:
            raise ValueError(
                f"attention variant {self.name!r} cannot honour a bias on the scores (relative positions): "
                "choose another variant or another architecture"
            )
        scaling = self.head_dim**-0.5 if scaling is None else scaling
        context = None if need_weights else self.fused(query, key, value, bias, keep, scaling, dropout)
        if context is not None:
            return self.output(context, query).to(value.dtype), None
        weights = self.weights(query, key, bias, keep, scaling)
        context = cheap_dropout(weights.to(value.dtype), dropout) @ value
        return self.output(context, query).to(value.dtype), weights

    def extra_repr(self) -> str:
        """Show the name and the sizes."""
        return f"{self.name}, heads={self.num_heads}, head_dim={self.head_dim}"


def plain_is_faster(query: Tensor, keys: int, dropout: float) -> bool:
    """Whether matrix products and a softmax cost less than torch's fused kernel: on a CPU, in training.

    There the kernel with dropout makes the weights as well, and draws its random numbers one by one; and in bf16 its
    backward pass takes several times as long, up to a few hundred keys (``benchmarks/attention_path.py``).
    """
    if query.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return dropout > 0 or (query.requires_grad and query.dtype == torch.bfloat16 and keys <= SHORT)


def select_rows(tensor: Any, rows: Tensor | None) -> Any:
    """Return the given queries of a tensor (…, queries, size); None and what all queries share stay as they are."""
    if tensor is None or rows is None or tensor.shape[-2] == 1:
        return tensor
    return tensor.index_select(-2, rows)


def softmax_context(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, keep: Tensor | None, dropout: float
) -> Tensor:
    """Return ``softmax(q kᵀ + bias) v`` by the faster path, 0 where nothing is kept; shapes as in `Variant`."""
    query, key = query.to(value.dtype), key.to(value.dtype)
    if plain_is_faster(query, key.shape[-2], dropout):
        return product_context(query, key, value, bias, keep, dropout)
    mask = keep
    if bias is not None:
        mask = bias.to(value.dtype)
        if keep is not None:
            mask = mask.masked_fill(~keep, -torch.inf)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=1.0)


def product_context(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, keep: Tensor | None, dropout: float
) -> Tensor:
    """:func:`softmax_context` whose scores and weights stay in the type of ``value``, which halves their memory."""
    with torch.autocast(query.device.type, enabled=False):
        scores = query @ key.transpose(-1, -2)
        if bias is not None:
            scores = scores + bias
        if keep is None:
            return cheap_dropout(scores.softmax(-1).to(value.dtype), dropout) @ value
        weights = (scores + mask_as_sum(keep, scores.dtype)).softmax(-1).to(value.dtype)
        return cheap_dropout(weights * keep.to(value.dtype), dropout) @ value


def mask_as_sum(keep: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``keep``, elsewhere the most negative number of ``dtype``, to be added to scores.

    A sum with a mask's few elements costs less than filling: nothing of it is kept for the backward pass.
    """
    return torch.zeros_like(keep, dtype=dtype).masked_fill_(~keep, torch.finfo(dtype).min)
