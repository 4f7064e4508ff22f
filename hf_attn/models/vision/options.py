"""Arguments of vision models."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from ...errors import InputError
from ..options import ModelOptions

if TYPE_CHECKING:
    from torch import nn

    from ..checkpoint import LabelSet

NOT_IN_A_PROBE = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob", "mixup", "cutmix"),
    *("drop_path", "grad_checkpointing", "token_merging", "tta_flip"),
)
"""What has no effect on a linear probe, whose backbone sees each image once, as it is."""
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

    def check_model(self, *, tokenizer: bool = False) -> None:
        """As :meth:`ModelOptions.check_model`, and refuse what a linear probe would ignore."""
        super().check_model(tokenizer=tokenizer)
        if self.token_merging < 0:
            raise InputError(f"token_merging is {self.token_merging}: expected the tokens a block merges, 0 or more")
        changed = {item.name for item in fields(self) if getattr(self, item.name) != item.default}
        ignored = [f"--{name}" for name in NOT_IN_A_PROBE if name in changed]
        if self.linear_probe and ignored:
            raise InputError(
                f"--linear_probe runs the backbone once over each image, as it is, so {', '.join(ignored)} would do "
                "nothing: leave that out, or train the head by --freeze encoder"
            )

    def load_image_model(
        self, labels: LabelSet, size: tuple[int, int], image_size: int | None, dtype: str = "float32"
    ) -> nn.Module:
        """Load the model and leave trainable what these options say.

        Args:
            labels: what is predicted.
            size: height and width in pixels of an image that it is tried on.
            image_size: pixels a side that it is adapted to; None leaves it as it is.
            dtype: of the weights, as for :meth:`load_model`.

        Raises:
            InputError: whatever ``models.load`` refuses, or an image size or option that the model cannot take.
        """
        import torch

        from ... import models
        from ..probe import Probe
        from .drop_path import add_drop_path, drop_path_options

        def adapt(loaded: Any) -> None:
            models.check_takes_images(loaded)
            if image_size is not None:
                models.set_image_size(loaded, image_size)
            with self.merging(loaded):
                models.try_image(loaded, *size)
            if self.linear_probe:
                Probe(loaded)

        model: Any = self.load_model(
            "image-classification",
            labels,
            adapt,
            head=self.head,
            head_kwargs=self.head_kwargs,
            config_options=drop_path_options(models.load_config(self.model), self.drop_path)
            if self.drop_path
            else None,
            dtype=dtype,
        )
        if self.drop_path:
            add_drop_path(model, self.drop_path)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.grad_checkpointing:
            if not getattr(model, "supports_gradient_checkpointing", False):
                raise InputError(
                    f"{type(model).__name__} has no gradient checkpointing: leave --grad_checkpointing out"
                )
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        return model

    def merging(self, model: nn.Module) -> AbstractContextManager[object]:
        """Merge ``token_merging`` tokens in each block of the model inside the block.

        Raises:
            InputError: a model whose tokens cannot be merged.
        """
        from .token_merging import merged_tokens

        return merged_tokens(model, self.token_merging) if self.token_merging else nullcontext()

    def scorer(self, model: nn.Module) -> nn.Module:
        """Return what gives the test scores: the model, or its mean over each image and its mirror image."""
        from .flipped import FlipAveraged

        return FlipAveraged(model) if self.tta_flip else model
