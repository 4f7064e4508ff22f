"""Attributions by the gradient of the answer at the input: embeddings of tokens, or pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..attention import attention_layers
from ..attention.modes import evaluation_mode
from ..errors import InputError
from .found import Found
from .seen_layers import joined

if TYPE_CHECKING:
    from .case import Case

STEPS = 8
"""Level of the rule of integrated gradients at first: it has a place more."""
MOST_STEPS = 512
"""Level at which it gives up to come nearer."""
COMPLETE = 0.01
"""Completeness error that is good enough: a share of the difference that is to be explained."""


def saliency(case: Case) -> Found:
    """``w = Σ |∂y/∂x|`` over what belongs to a part (Simonyan et al. 2014, section 3), y being a logit."""
    leaf = case.leaf()
    gradient = _gradients(case, leaf.forward, leaf.value)
    return Found(joined(leaf.by_part(gradient.abs()))[0])


def input_x_gradient(case: Case) -> Found:
    """``w = Σ x · ∂y/∂x`` over what belongs to a part (Shrikumar et al. 2016)."""
    leaf = case.leaf()
    return Found(joined(leaf.by_part(leaf.value * _gradients(case, leaf.forward, leaf.value)))[0])


def integrated_gradients(case: Case, steps: int | None = None) -> Found:
    """``w = Σ (x - x') ∫ ∂y/∂x(x' + a (x - x')) da`` (Sundararajan et al. 2017, eq. 1).

    The baseline x' is the input with every part removed: mask tokens, or the mean colour. The integral is summed by
    Clenshaw and Curtis' rule at 9 points, then at twice as many, of which half are known, until Σ w is y(x) - y(x') to
    1 %; the error is in ``notes``.

    Args:
        case: the example.
        steps: so many Gauss-Legendre points instead.

    Raises:
        InputError: steps below 1.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps {steps}: expected at least 1")
    leaf = case.leaf()
    ends = torch.cat([_outputs(case, leaf.forward, one) for one in (leaf.baseline, leaf.value)])
    wanted = float(ends[1] - ends[0])

    def at(places: np.ndarray) -> np.ndarray:
        """(places, parts): what the parts have at places of the path, from 0 to 1."""
        found = []
        for start in range(0, len(places), case.rows):
            some = leaf.value.new_tensor(places[start : start + case.rows])
            across = some.view(-1, *[1] * (leaf.value.dim() - 1))
            gradient = _gradients(case, leaf.forward, leaf.baseline + across * (leaf.value - leaf.baseline))
            found.append(joined(leaf.by_part((leaf.value - leaf.baseline) * gradient)))
        return np.concatenate(found)

    if steps is not None:
        places, shares = np.polynomial.legendre.leggauss(steps)
        weights = shares / 2 @ at((places + 1) / 2)
        return Found(weights, notes={"completeness_error": completeness_error(weights, wanted), "steps": steps})
    level, known = STEPS, at(_path(STEPS))
    while True:
        weights = clenshaw_curtis(level) @ known
        error = completeness_error(weights, wanted)
        if error <= COMPLETE or level >= MOST_STEPS:
            return Found(weights, notes={"completeness_error": error, "steps": level + 1})
        level *= 2
        finer = np.empty((level + 1, known.shape[1]))
        finer[::2], finer[1::2] = known, at(_path(level)[1::2])
        known = finer


def _path(level: int) -> np.ndarray:
    """The places of Clenshaw and Curtis' rule between 0 and 1; every second one is of half the level."""
    return (1 - np.cos(np.arange(level + 1) * np.pi / level)) / 2


def clenshaw_curtis(level: int) -> np.ndarray:
    """Return the shares of the places of an integral from 0 to 1, (level + 1,); level is even."""
    number, half = np.arange(level + 1)[:, None], np.arange(1, level // 2 + 1)[None]
    cosine = np.cos(2 * half * number * np.pi / level) / (4 * half**2 - 1)
    sums = (np.where(half == level // 2, 1, 2) * cosine).sum(1)
    ends = np.where(np.isin(np.arange(level + 1), (0, level)), 1, 2)
    return ends / level * (1 - sums) / 2


def smooth_grad(case: Case, samples: int = 32, noise: float = 0.15, seed: int = 0) -> Found:
    """``w = Σ |mean ∂y/∂x(x + e)|``, e normal with a deviation of ``noise`` of x's range (Smilkov et al. 2017).

    Args:
        case: the example.
        samples: noisy inputs.
        noise: share of the range of the input's values.
        seed: of the noise.

    Raises:
        InputError: no sample, or noise below 0.
    """
    if samples < 1 or noise < 0:
        raise InputError(f"samples {samples}, noise {noise}: expected at least 1 sample, and noise of 0 or more")
    leaf = case.leaf()
    deviation = noise * (leaf.value.max() - leaf.value.min())
    random = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(leaf.value)
    for start in range(0, samples, case.rows):
        rows = min(case.rows, samples - start)
        added = torch.randn((rows, *leaf.value.shape[1:]), generator=random).to(leaf.value) * deviation
        total = total + _gradients(case, leaf.forward, leaf.value + added).sum(0, keepdim=True)
    return Found(joined(leaf.by_part((total / samples).abs()))[0])


def deep_lift(case: Case) -> Found:
    """DeepLIFT's rescale rule (Shrikumar et al. 2017, section 3.5.1), by Captum, from the baseline of IG.

    It holds for networks whose steps are modules; products of activations, as in attention, break it.

    Raises:
        InputError: the model attends or multiplies activations otherwise, or Captum is not installed.
    """
    if attention_layers(case.model):
        raise InputError(
            f"deep_lift: {type(case.model).__name__} multiplies activations, which DeepLIFT has no rule for: choose "
            "integrated_gradients"
        )
    try:
        from captum.attr import DeepLift
    except ImportError:
        raise InputError("deep_lift needs captum: pip install 'hf_attn[explain]'") from None
    leaf = case.leaf()

    class Answer(nn.Module):
        """The model as a function of what gradients are taken at."""

        def __init__(self) -> None:
            super().__init__()
            self.model = case.model

        def forward(self, values: Tensor) -> Tensor:
            return case.asked.logit(leaf.forward(values).float())[:, None]

    with evaluation_mode(case.model), torch.enable_grad():
        value = leaf.value.detach().requires_grad_()
        found = DeepLift(Answer()).attribute(value, leaf.baseline, target=0)
    ends = _outputs(case, leaf.forward, torch.cat([leaf.baseline, leaf.value]))
    weights = joined(leaf.by_part(found.detach()))[0]
    error = completeness_error(weights, float(ends[1] - ends[0]))
    if error > COMPLETE:
        raise InputError(
            f"deep_lift: its rule does not hold for {type(case.model).__name__}, whose weights miss their sum by "
            f"{error:.0%}: choose integrated_gradients"
        )
    return Found(weights, notes={"completeness_error": error})


def grad_cam(case: Case) -> Found:
    """``w = (Σ_c mean(∂y/∂F_c) F_c)⁺`` of the last feature map F (Selvaraju et al. 2017, eq. 1 and 2).

    Raises:
        InputError: a model that attends, or one without a feature map.
    """
    name = type(case.model).__name__
    if attention_layers(case.model):
        raise InputError(f"grad_cam: {name} attends to tokens and ends in no feature map: choose relevance")
    maps: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and min(output.shape[-2:]) > 1 and output.requires_grad:
            maps.append(output)

    leaf = case.leaf()
    leaves = [module for module in case.model.modules() if not list(module.children())]
    handles = [module.register_forward_hook(keep) for module in leaves]
    try:
        with evaluation_mode(case.model), torch.enable_grad():
            output = case.asked.logit(leaf.forward(leaf.value.detach().requires_grad_()).float())[0]
            reached = torch.autograd.grad(output, maps, allow_unused=True) if maps else ()
    finally:
        for handle in handles:
            handle.remove()
    last = next((pair for pair in reversed(list(zip(maps, reached, strict=True))) if pair[1] is not None), None)
    if last is None:
        raise InputError(f"grad_cam: {name} has no feature map that its answer depends on")
    features, gradient = last
    cam = (gradient.mean((2, 3), keepdim=True) * features).sum(1).clamp_min(0)
    weights = case.parted.of_map(joined(cam.detach()[0]))
    if weights is None:
        raise InputError("grad_cam: this input has no places that a feature map could stand for")
    return Found(weights)


def completeness_error(weights: np.ndarray, wanted: float) -> float:
    """Return how far the sum of the weights is from what they are to explain, as a share of it.

    Where weights for and against cancel, it is a share of a hundredth of their sizes instead.
    """
    return float(abs(weights.sum() - wanted) / max(abs(wanted), 0.01 * np.abs(weights).sum(), 1e-12))


def _gradients(case: Case, forward: Any, values: Tensor) -> Tensor:
    """Gradients of the answer, (rows, …), at rows of the input."""
    with evaluation_mode(case.model), torch.enable_grad():
        values = values.detach().requires_grad_()
        output = case.asked.logit(forward(values).float()).sum()
        (found,) = torch.autograd.grad(output, values)
    return found


def _outputs(case: Case, forward: Any, values: Tensor) -> Tensor:
    with evaluation_mode(case.model), torch.no_grad():
        return case.asked.logit(forward(values).float()).double()
