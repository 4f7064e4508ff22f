"""The vision model of a run: checked, loaded, and run as its arguments say."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from .. import of_run

if TYPE_CHECKING:
    from torch import nn

    from ..checkpoint import LabelSet
    from .options import ImageModelOptions

NOT_IN_A_PROBE = (
    *("crop", "hflip", "vflip", "color_jitter", "rand_augment", "reprob", "mixup", "cutmix"),
    *("drop_path", "grad_checkpointing", "token_merging", "tta_flip"),
)
"""What has no effect on a linear probe, whose backbone sees each image once, as it is."""


def check(args: ImageModelOptions) -> None:
    """As :func:`hf_attn.models.of_run.check`, and refuse what a linear probe would ignore."""
    of_run.check(args)
    if args.token_merging < 0:
        raise InputError(f"token_merging is {args.token_merging}: expected the tokens a block merges, 0 or more")
    changed = {item.name for item in fields(args) if getattr(args, item.name) != item.default}
    ignored = [f"--{name}" for name in NOT_IN_A_PROBE if name in changed]
    if args.linear_probe and ignored:
        raise InputError(
            f"--linear_probe runs the backbone once over each image, as it is, so {', '.join(ignored)} would do "
            "nothing: leave that out, or train the head by --freeze encoder"
        )


def load_for(
    task: str, args: ImageModelOptions, target: LabelSet, size: tuple[int, int], image_size: int | None = None
) -> nn.Module:
    """Load the model for ``task`` and leave trainable what the arguments say.

    Args:
        task: as in ``models.load``.
        args: of the run.
        target: what is predicted.
        size: height and width in pixels of an image that it is tried on.
        image_size: pixels a side that it is adapted to; None leaves it as it is.

    Raises:
        InputError: whatever ``models.load`` refuses, or an image size or option that the model cannot take.
    """
    import torch

    from ..configuration import load_config
    from ..image_processor import check_takes_images
    from ..probe import Probe
    from .drop_path import add_drop_path, drop_path_options
    from .resolution import set_image_size, try_image

    def adapt(loaded: Any) -> None:
        check_takes_images(loaded)
        if image_size is not None:
            set_image_size(loaded, image_size)
        with merging(args, loaded):
            try_image(loaded, *size)
        if args.linear_probe:
            Probe(loaded)

    options = drop_path_options(load_config(args.model), args.drop_path) if args.drop_path else None
    head = {"head": args.head, "head_kwargs": args.head_kwargs}
    model: Any = of_run.load_for(task, args, target, adapt, config_options=options, **head)
    if args.drop_path:
        add_drop_path(model, args.drop_path)
    if args.channels_last:
        model.to(memory_format=torch.channels_last)
    if args.grad_checkpointing:
        if not getattr(model, "supports_gradient_checkpointing", False):
            raise InputError(f"{type(model).__name__} has no gradient checkpointing: leave --grad_checkpointing out")
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    return model


def merging(args: ImageModelOptions, model: nn.Module) -> AbstractContextManager[object]:
    """Merge ``token_merging`` tokens in each block of the model inside the block.

    Raises:
        InputError: a model whose tokens cannot be merged.
    """
    from .token_merging import merged_tokens

    return merged_tokens(model, args.token_merging) if args.token_merging else nullcontext()


def scorer(args: ImageModelOptions, model: nn.Module) -> nn.Module:
    """Return what gives the test scores: the model, or its mean over each image and its mirror image."""
    from .flipped import FlipAveraged

    return FlipAveraged(model) if args.tta_flip else model


def scored_with(args: ImageModelOptions) -> str:
    """Say what is done for the test scores that the saved model does not do by itself."""
    how = ["its mean over each image and its mirror image"] if args.tta_flip else []
    if args.token_merging:
        how.append(f"{args.token_merging} tokens merged in each block")
    return " and ".join(how)
