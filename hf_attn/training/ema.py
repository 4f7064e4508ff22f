"""A moving average of the weights, which often scores better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of a model's trainable parameters (Polyak & Juditsky 1992), at least in float32.

    After step t: average ← d·average + (1-d)·weights with d = min(decay, (1+t)/(10+t)), so that the random start is
    forgotten soon. Buffers and frozen parameters are the model's own.

    Args:
        model: the plain model, on its device.
        decay: d in the long run, per optimizer step; 1/(1-decay) steps are averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        trained = ((name, p.detach()) for name, p in model.named_parameters() if p.requires_grad)
        self.averages = {name: p.to(torch.promote_types(p.dtype, torch.float32), copy=True) for name, p in trained}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step ``step`` (from 1 on)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [p.to(a.dtype) for p, a in zip(self._parameters(model), self.averages.values(), strict=True)]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[nn.Module]:
        """``model`` with the averages as its weights; leaving puts its own back, to the bit."""
        own = [parameter.detach().clone() for parameter in self._parameters(model)]
        self._copy(self.averages.values(), model)
        try:
            yield model
        finally:
            self._copy(own, model)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return self.averages

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take the averages from ``state``.

        Raises:
            KeyError: one of them is missing.
        """
        for name, average in self.averages.items():
            average.copy_(state[name])

    @torch.no_grad()
    def _copy(self, values: Iterable[Tensor], model: nn.Module) -> None:
        for parameter, value in zip(self._parameters(model), values, strict=True):
            parameter.copy_(value)

    def _parameters(self, model: nn.Module) -> list[Tensor]:
        return [model.get_parameter(name) for name in self.averages]
