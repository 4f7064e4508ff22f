"""What an attention variant is.

Notation: b batch, h heads, n queries, m keys, d head dimension. Scores and weights are ``(batch, heads, queries,
keys)``; ``s`` are scores, ``p`` weights, ``o`` the context, ``p v``. Parameters are written as differences from
softmax attention and start at zero, so that a pretrained model computes what it did before.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .call import Call
from .dropout import dropout as cheap_dropout
from .softmax_path import mask_as_sum, softmax_context, wide_products

INITS = ("identity", "paper")
AFTER_THE_WEIGHTS = {"output", "reset_parameters", "extra_repr", "__init__", "forward", "fused"}
"""What a subclass may override and still take a fused path that a class above it defines."""


class Variant(nn.Module):
    """Scaled dot-product attention, and the base of everything that differs from it.

    ``p = softmax(q kᵀ · scaling + bias)``, ``o = p v`` (Vaswani et al. 2017, eq. 1). A subclass overrides the step in
    which it differs, in the order in which attention happens: :meth:`scores`, :meth:`normalize`, :meth:`mix`,
    :meth:`output`. If its scores are an inner product of changed inputs it overrides :meth:`dot_form`, alone or beside
    :meth:`scores`, and keeps the fused path; no class below may contradict it (:func:`has_fused_path`). Parameters are
    made empty in ``__init__`` and filled in :meth:`reset_parameters`, with ``nn.init`` functions only:
    ``from_pretrained`` builds the model without memory and calls it afterwards.

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
    sparse: ClassVar[bool] = False
    normalized: ClassVar[bool] = True
    fused_path: ClassVar[str] = "sdpa"
    # What the layer is: causal, so that queries are the last of the tokens seen; between two sequences; windowed, so
    # that a cache drops the first tokens. See layer_kind.py.
    made_with: dict[str, Any] | None = None  # options; of a slot alone
    causal: bool = False
    crosses: bool = False
    windowed: bool = False

    def __init__(self, num_heads: int, head_dim: int, init: str = "identity") -> None:
        super().__init__()
        if init not in INITS:
            raise ValueError(f"init={init!r}: expected one of {', '.join(INITS)}")
        self.num_heads, self.head_dim, self.init = num_heads, head_dim, init
        self.takes_fused_path = has_fused_path(type(self))
        self.scores_by_dot_form = _defines_dot_form_alone(type(self))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a step that is replaced on this one instance leaves it the plain path alone.

        Raises:
            TypeError: a module or parameter in the place of a method, where Python would go on finding the method.
        """
        if isinstance(value, (nn.Module, nn.Parameter)) and callable(getattr(type(self), name, None)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a method, and a {type(value).__name__} of that name would never run: "
                f"give it another name and call it in {name}()"
            )
        super().__setattr__(name, value)
        if callable(getattr(type(self), name, None)) and name not in AFTER_THE_WEIGHTS:
            self.__dict__["takes_fused_path"] = False

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

    def weights(self, call: Call) -> Tensor:
        """Return the weights, (batch, heads, queries, keys), in at least fp32 and before dropout.

        This is the definition of the variant; every fused path is held against it.
        """
        scores, keep = self.masked_scores(call)
        weights = self.normalize(scores, keep)
        return self.mix(weights if keep is None else weights * keep)

    def masked_scores(self, call: Call) -> tuple[Tensor, Tensor | None]:
        """Return the scores with bias and mask, in at least fp32, and ``keep``, both of the wanted rows alone."""
        query, bias, keep = (call.of_rows(x) for x in (call.query, call.bias, call.keep))
        with wide_products(query) as wide:
            scores = self._compared(wide(query), wide(call.key), call.scale)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if bias is not None:
            scores = scores + bias
        if keep is None:
            return scores, None
        return scores + mask_as_sum(keep, scores.dtype), keep

    def _compared(self, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        """The scores: by :meth:`scores`, or by :meth:`dot_form` where a class overrides that one alone."""
        form = self.dot_form(query, key, scaling) if self.scores_by_dot_form else None
        return self.scores(query, key, scaling) if form is None else form[0] @ form[1].transpose(-1, -2)

    def fused(self, call: Call) -> Tensor | None:
        """Return the context without making the weights, or None where only the plain path is right.

        It is asked for only where no step was overridden below the class that defines it; see :func:`has_fused_path`.
        """
        form = self.dot_form(call.query, call.key, call.scale)
        if form is None or call.value is None:
            return None
        return softmax_context(*form, call.value, call.bias, call.keep, call.dropout)

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
        """Attend; the arguments are those of :class:`.call.Call`.

        Args:
            query: (batch, heads, queries, d).
            key: (batch, heads, keys, d).
            value: (batch, heads, keys, d).
            bias: added to the scores.
            keep: boolean, True where a key may be attended to.
            scaling: factor of the scores; None is 1/√d.
            dropout: probability that a weight is set to 0.
            need_weights: also return the weights; takes the plain path.

        Returns:
            The context, (batch, heads, queries, d), and the weights before dropout or None.

        Raises:
            ValueError: ``bias`` is given and the variant cannot honour it, or a step gave weights of another shape.
        """
        if bias is not None and not self.accepts_bias:
            raise ValueError(
                f"attention variant {self.name!r} cannot honour a bias on the scores (relative positions): "
                "choose another variant or another architecture"
            )
        call = Call(query, key, value, bias, keep, scaling, dropout)
        context = self.fused(call) if self.takes_fused_path and not need_weights else None
        if context is not None:
            return self.output(context, query).to(value.dtype), None
        weights = self.weights(call)
        if weights.dim() != 4 or weights.shape[-2:] != (query.shape[-2], key.shape[-2]):
            raise ValueError(
                f"{type(self).__name__} gave weights of the shape {tuple(weights.shape)}, expected (batch, heads, "
                f"queries, keys) with {query.shape[-2]} queries and {key.shape[-2]} keys"
            )
        context = cheap_dropout(weights.to(value.dtype), dropout) @ value
        return self.output(context, query).to(value.dtype), weights

    def extra_repr(self) -> str:
        """Show the name and the sizes."""
        return f"{self.name}, heads={self.num_heads}, head_dim={self.head_dim}"


def has_fused_path(cls: type[Variant]) -> bool:
    """Whether :meth:`Variant.fused` gives what the steps of a class give.

    That is promised by the class that defines ``fused``, or ``dot_form`` where ``fused`` is :class:`Variant`'s own, for
    the steps that it inherits. Whatever is overridden below it (by a subclass or a mixin), except what comes after
    the weights, may have changed them: such a class attends by its steps alone until it defines a path of its own.
    """
    order = cls.__mro__
    promised = order.index(path_owner(cls))
    inherited = {name for base in order[promised:] if issubclass(base, Variant) for name in vars(base)}
    overridden = {name for base in order[:promised] for name, value in vars(base).items() if _is_code(value)}
    return not (overridden & inherited) - AFTER_THE_WEIGHTS


def path_owner(cls: type[Variant]) -> type:
    """Return the class that defines the fused path of a class: its ``fused``, or ``dot_form`` for the general one."""
    path = "fused" if cls.fused is not Variant.fused else "dot_form"
    return next(base for base in cls.__mro__ if path in vars(base))


def _defines_dot_form_alone(cls: type[Variant]) -> bool:
    """Whether the nearest class that changes the comparison of query and key does so by ``dot_form`` alone."""
    nearest = next(base for base in cls.__mro__ if {"dot_form", "scores"} & set(vars(base)))
    return "scores" not in vars(nearest)


def _is_code(value: object) -> bool:
    """Whether an attribute of a class is a method or property, not plain data."""
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))
