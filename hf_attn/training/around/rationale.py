"""A loss that asks attention to lie where people say the reason is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...attention.backbones import grid_of
from ...attention.modes import evaluation_mode
from ...attention.normalizers import sparsemax
from ...attention.watching import SeenCall, layers_in_order, seeing_attention
from ...errors import InputError
from ..step import model_inputs, to_device
from .options import RationaleLoss, RationaleOptions

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ..step import Batch, LossFn

logger = logging.getLogger(__name__)

RATIONALE = "rationale"
"""Column of a batch: (rows, tokens) the share of annotators who mark a token, or (rows, height, width) which pixels are
marked; a row of 0 has no rationale."""
TINY = 1e-6
LEAK = 0.1
"""Share of softmax in the weights of a sparse variant that ``kl``, ``mse`` and ``mass`` see."""


class _Row:
    """The first query's scores and weights of some heads of one layer, in the last forward pass."""

    def __init__(self, heads: Sequence[int] | None, scores: bool = False) -> None:
        self.heads, self.wants_scores = heads, scores
        self.found: Tensor | None = None

    def see(self, _: int, call: SeenCall) -> None:
        first = torch.zeros(1, dtype=torch.long, device=call.query.device)
        with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):
            row = (call.scores if self.wants_scores else call.weights)(first)[:, :, 0]
            if call.sparse and not self.wants_scores:  # a weight of exactly 0 has no gradient: it could never grow
                row = (1 - LEAK) * row + LEAK * call.scores(first)[:, :, 0].softmax(-1)
        self.found = row if self.heads is None else row[:, list(self.heads)]


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def with_rationales(
    loss_fn: LossFn,
    weight: float = 1.0,
    heads: Sequence[int] | Literal["all"] = "all",
    layer: int = -1,
    loss: RationaleLoss = "mass",
    mass: float = 0.8,
) -> LossFn:
    """Return ``loss_fn`` and, for each row with a rationale, ``weight`` times that of its attention.

    The attention is that of the first token, by which encoders classify, in some heads of one layer: a_hj, before
    dropout; r_j is the rationale, made to sum to 1, and R the tokens that anybody marked. Averaged over heads, it is

    - ``kl``: ``Σ_j r_j log (r_j / a_hj)`` (Liu et al. 2017; HateXplain has its cross-entropy),
    - ``mse``: ``Σ_j (a_hj - r_j)²`` (Stacey et al. 2022, eq. 4),
    - ``mass``: ``(mass - Σ_{j in R} a_hj)⁺ / mass``: a rationale that does not mark all there is costs nothing more,
    - ``sparsemax``: the Fenchel-Young loss of sparsemax at the layer's scores (Martins & Astudillo 2016, eq. 22).

    The layer computes what it computes otherwise, on its fast path. In sparsemax and entmax15 a_hj may be exactly 0 and
    without a gradient; the first three losses see 0.9 a_hj + 0.1 softmax_hj of these.

    Args:
        loss_fn: summed over rows.
        weight: of the rationale loss.
        heads: numbers of heads, from 0; or all.
        layer: number of the attention layer; -1 is the last.
        loss: which one.
        mass: share of the attention that ``mass`` asks for.
    """
    row = _Row(None if heads == "all" else heads, scores=loss == "sparsemax")  # type: ignore[arg-type]

    def summed(model: nn.Module, batch: Batch) -> Tensor:
        marked = batch.get(RATIONALE)
        if marked is None:
            return loss_fn(model, batch)
        with seeing_attention([_layer(model, layer)], row.see):
            total = loss_fn(model, {name: value for name, value in batch.items() if name != RATIONALE})
        found, row.found = row.found, None
        marked = _of_tokens(model, marked, found, layer)
        assert found is not None
        has = marked.sum(-1) > 0
        return total + weight * rationale_loss(found[has].float(), marked[has].float(), loss, mass).to(total.dtype)

    return summed


def _of_tokens(model: nn.Module, marked: Tensor, found: Tensor | None, layer: int) -> Tensor:
    """(rows, tokens) of what people mark: as it is, or the share of each patch of (rows, height, width) masks.

    Raises:
        InputError: the layer does not see all tokens, or there is none that stands for the whole image.
    """
    name = type(getattr(model, "module", model)).__name__
    tokens = 0 if found is None or len(found) != len(marked) else found.shape[-1]
    if marked.dim() == 3 and tokens:
        config = getattr(model, "module", model).config
        grid = grid_of(config, tokens, marked.shape[-2:])
        if grid is not None and tokens == grid[0] * grid[1]:
            raise InputError(f"{name} has no class token, whose attention could follow rationales")
        if grid is not None:
            patches = F.adaptive_avg_pool2d(marked[:, None].float(), grid).flatten(1)
            return F.pad(patches, (tokens - patches.shape[1], 0))
    if tokens != marked.shape[-1] or marked.dim() == 3:
        raise InputError(
            f"{name}: attention layer {layer} does not see all of an example, so it cannot follow rationales: choose "
            "another by --rationale_layer"
        )
    return marked


def rationale_loss(found: Tensor, marked: Tensor, loss: RationaleLoss, mass: float = 0.8) -> Tensor:
    """Return the rationale loss, summed over rows and averaged over heads, (); see :func:`with_rationales`.

    Args:
        found: (rows, heads, tokens) weights; scores for ``sparsemax``.
        marked: (rows, tokens) shares of annotators, more than 0 somewhere in each row.
        loss: which one.
        mass: of ``mass``.
    """
    wanted = (marked / marked.sum(-1, keepdim=True))[:, None]
    if loss == "mass":
        lies = (found * (marked > 0)[:, None]).sum(-1)
        each = (mass - lies).clamp_min(0) / mass
    elif loss == "mse":
        each = (found - wanted).square().sum(-1)
    elif loss == "kl":
        each = (torch.xlogy(wanted, wanted) - wanted * found.clamp_min(TINY).log()).sum(-1)
    else:
        held = found.clamp_min(found.amax(-1, keepdim=True).detach() - 1e4)  # padding: no weight, and no overflow
        given = sparsemax(held)
        # conjugate of the half squared norm on the simplex at the scores, less what the rationale reaches
        conjugate = (given * held).sum(-1) - given.square().sum(-1) / 2
        each = conjugate + wanted.square().sum(-1) / 2 - (wanted * held).sum(-1)
    return each.mean(1).sum()


def supervised(
    loss_fn: LossFn, model: nn.Module, validation: Iterable[Batch], accelerator: Accelerator, args: RationaleOptions
) -> LossFn:
    """Return the loss of a run: with rationales where its arguments name a column of them.

    Args:
        loss_fn: summed over rows.
        model: before training.
        validation: batches with rationales, by which ``auto`` chooses heads.
        accelerator: of the run.
        args: of the run, with ``rationale``, the column.

    Raises:
        InputError: a layer or heads that the model has not, or ``auto`` without validation rationales.
    """
    if getattr(args, RATIONALE) is None:
        return loss_fn
    layer, heads = args.rationale_layer, args.rationale_heads
    module = _layer(model, layer)
    if getattr(module, "is_causal", False):
        name = type(model).__name__
        raise InputError(f"{name} reads its last token, and rationales are for models that read the first")
    parameters, inside = list(model.parameters()), {id(one) for one in module.parameters()}
    last = max((at for at, one in enumerate(parameters) if id(one) in inside), default=-1)
    if not any(one.requires_grad for one in parameters[: last + 1]):
        raise InputError("rationales cannot be followed: attention and all below it are frozen; train more of it")
    agreement = agreement_of_heads(model, validation, accelerator, layer)
    count = len(agreement)
    if heads == "auto":
        if not np.isfinite(agreement).all():
            raise InputError("rationale_heads auto: no row of validation has a rationale; expected all, or numbers")
        chosen = sorted(np.argsort(-agreement, kind="stable")[: max(1, count // 2)].tolist())
    elif heads == "all":
        chosen = list(range(count))
    else:
        chosen = [int(one) for one in heads.split(",")]
        if wrong := [head for head in chosen if head >= count]:
            raise InputError(f"rationale_heads {heads}: head {wrong[0]} is not among the {count} of the layer")
    told = ", ".join(f"{head} ({agreement[head]:.3f})" for head in chosen)
    logger.info("rationales: heads (and their average precision on validation, untrained) %s", told)
    return with_rationales(loss_fn, args.rationale_weight, chosen, layer, args.rationale_loss, args.rationale_mass)


def agreement_of_heads(
    model: nn.Module, batches: Iterable[Batch], accelerator: Accelerator, layer: int = -1
) -> np.ndarray:
    """Return how well each head's attention of the first token finds rationales, (heads,): average precision.

    It is the mean over rows of the area below precision and recall of the tokens by their weight; NaN where no row
    has a rationale. Special tokens are among them, padding is not.
    """
    from sklearn.metrics import average_precision_score

    row = _Row(None)
    total = torch.zeros(0, dtype=torch.float64)
    rows = 0
    plain = accelerator.unwrap_model(model)
    with evaluation_mode(plain), torch.no_grad(), seeing_attention([_layer(plain, layer)], row.see):
        for batch in batches:
            batch = to_device(batch, accelerator.device)
            plain(**model_inputs(batch))
            assert row.found is not None
            weights = row.found.double().cpu().numpy()
            if not len(total):
                total = torch.zeros(weights.shape[1], dtype=torch.float64)
            if RATIONALE not in batch:
                continue
            marked = _of_tokens(plain, batch[RATIONALE], row.found, layer).cpu().numpy() > 0
            there = batch["attention_mask"].cpu().numpy() > 0 if "attention_mask" in batch else np.ones_like(marked)
            for found, truth, real in zip(weights, marked, there, strict=True):
                if truth.any():
                    rows += 1
                    total += torch.tensor([average_precision_score(truth[real], head[real]) for head in found])
    sums = torch.cat([total, torch.tensor([float(rows)], dtype=torch.float64)]).to(accelerator.device)
    sums = accelerator.reduce(sums, "sum").cpu()
    return (sums[:-1] / sums[-1]).numpy() if sums[-1] else np.full(len(sums) - 1, np.nan)


def _layer(model: nn.Module, layer: int) -> nn.Module:
    try:
        order = layers_in_order(model)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not -len(order) <= layer < len(order):
        raise InputError(f"rationale_layer {layer}: the model has {len(order)} attention layers, from 0")
    return order[layer]
