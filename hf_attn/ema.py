"""A moving average of the weights, which often scores better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of a model's trainable parameters (Polyak & Juditsky 1992), in their own precision.

    After step t: average ← d·average + (1-d)·weights with d = min(decay, (1+t)/(10+t)), so that the random start is
    forgotten soon. Buffers and frozen parameters are the model's own.

    Args:
        model: the plain model, on its device.
        decay: d in the long run, per optimizer step; 1/(1-decay) steps are averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.averages = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimizer step ``step`` (from 1 on)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.averages.values()), self._parameters(model), 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[nn.Module]:
        """``model`` with the averages as its weights; leaving puts its own back, to the bit."""
        self._exchange(model)
        try:
            yield model
        finally:
            self._exchange(model)

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
    def _exchange(self, model: nn.Module) -> None:
        for parameter, average in zip(self._parameters(model), self.averages.values(), strict=True):
            own = parameter.clone()
            parameter.copy_(average)
            average.copy_(own)

    def _parameters(self, model: nn.Module) -> list[Tensor]:
        return [model.get_parameter(name) for name in self.averages]
