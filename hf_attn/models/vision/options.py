"""Arguments of vision models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..options import ModelOptions

Head = Literal["attention", "mean", "cls", "multi_query", "jetley", "se", "cbam"]


@dataclass(kw_only=True)
class ImageModelOptions(ModelOptions):
    """Vision model"""

    head: Head | None = None
    """Head over the feature map of any backbone: attention pools by learned weights; null is the architecture's own."""
    head_kwargs: dict[str, Any] | None = None
    """Options of the head, such as '{"num_queries": 4}'."""
    drop_path: float = 0.0
    """Stochastic depth: probability that the last block is skipped, falling to 0 at the first."""
    grad_checkpointing: bool = False
    """Keep less for the backward pass and compute it again: less memory, about a third slower."""
    channels_last: bool = False
    """Memory layout that convolutions like, on GPUs above all."""
    token_merging: int = 0
    """Tokens that each block of a ViT merges into like ones (ToMe), at training and for the scores; 0 is off."""
    tta_flip: bool = False
    """Score the mean of each image and its mirror image."""
