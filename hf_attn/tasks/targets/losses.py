"""Losses summed over a batch, with the number of items to divide by: the loop divides once, over all processes.

Mean = sum over all batches of the loss ÷ sum over all batches of :func:`item_count`, whatever the batches were.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
"""Label of an item that counts for nothing, as in torch and transformers."""


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Summed cross-entropy in fp32: Σ w_y · [(1-ε)·(1-p_y)^γ·(-log p_y)] + ε/C·Σ_c w_c·(1-p_c)^γ·(-log p_c).

    With γ = 0 this is ``torch.nn.functional.cross_entropy(reduction="sum")``; ε is label smoothing (Szegedy et al.
    2016), γ focusing on hard items (Lin et al. 2017, eq. 4).

    Args:
        logits: (…, classes).
        labels: (…), class numbers; -100 is left out. Or (…, classes), floats: probabilities q (mixup, distillation),
            for which the loss is Σ_c q_c · that of class c.
        weight: (classes,) weight of each class.
        label_smoothing: ε, from 0 to below 1.
        focal_gamma: γ; 0 is plain cross-entropy.

    Returns:
        () fp32 (or fp64 for fp64 logits).
    """
    logits = _exact(logits).flatten(0, -2)
    soft = labels.is_floating_point()
    labels = labels.to(logits).flatten(0, -2) if soft else labels.flatten()
    weight = None if weight is None else weight.to(logits)
    if not focal_gamma:
        return F.cross_entropy(
            logits, labels, weight, reduction="sum", ignore_index=IGNORED, label_smoothing=label_smoothing
        )
    log_p = logits.log_softmax(-1)
    # 1 - p as -expm1(log p), kept off 0, where the power has an infinite slope for γ < 1.
    hardness = (-torch.expm1(log_p)).clamp(min=torch.finfo(logits.dtype).eps) ** focal_gamma
    loss = -hardness * log_p if weight is None else -hardness * log_p * weight
    if soft:
        return (loss * (label_smoothing / loss.shape[-1] + (1 - label_smoothing) * labels)).sum()
    kept = labels != IGNORED
    of_label = loss.gather(-1, labels.where(kept, 0).unsqueeze(-1)).squeeze(-1)
    smoothed = (1 - label_smoothing) * of_label + label_smoothing * loss.mean(-1)
    return smoothed.where(kept, 0).sum()


def binary_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> Tensor:
    """Binary cross-entropy of each class on its own (several labels at once): mean over classes, summed over items.

    Args:
        logits: (…, classes).
        labels: (…, classes), 0 or 1 (or between).
        weight: (classes,) weight of the positive labels, as torch's ``pos_weight``.
        label_smoothing: labels move this share of the way to 0.5.
        focal_gamma: γ of the focal loss (Lin et al. 2017, eq. 4); 0 is off.

    Returns:
        () fp32 (or fp64 for fp64 logits).
    """
    logits = _exact(logits)
    hard = labels.to(logits)
    labels = hard * (1 - label_smoothing) + 0.5 * label_smoothing
    pos_weight = None if weight is None else weight.to(logits)
    loss = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight, reduction="none")
    if focal_gamma:
        p = logits.sigmoid()
        miss = hard * (1 - p) + (1 - hard) * p
        loss = loss * miss.clamp(min=torch.finfo(logits.dtype).eps) ** focal_gamma
    return loss.mean(-1).sum()


def mse(predictions: Tensor, labels: Tensor) -> Tensor:
    """Summed squared error, () fp32; both (items,) or (items, 1)."""
    return F.mse_loss(_exact(predictions).flatten(), labels.flatten().to(_exact(predictions)), reduction="sum")


def item_count(labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """What a summed :func:`cross_entropy` is to be divided by, (): items that are not -100, or their weights' sum.

    Probabilities, float labels (…, classes), weigh what their classes do, Σ_c q_c w_c each; without weights each is one
    item. For :func:`binary_cross_entropy` and :func:`mse` it is the number of rows: float labels of (items,) or
    (items, classes) count as their first dimension, and there is no ``weight``.
    """
    if labels.is_floating_point():
        if weight is not None:
            return (labels.to(weight.dtype) @ weight.to(labels.device)).sum()
        return torch.tensor(float(labels[..., 0].numel() if labels.ndim > 1 else len(labels)), device=labels.device)
    kept = labels != IGNORED
    if weight is None:
        return kept.sum().float()
    return weight.to(labels.device)[labels.where(kept, 0)].where(kept, 0).sum()


def _exact(logits: Tensor) -> Tensor:
    """Half precision made fp32, as the logarithms need it."""
    return logits if logits.dtype == torch.float64 else logits.float()
