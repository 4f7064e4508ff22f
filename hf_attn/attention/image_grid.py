"""Which grid of patches a vision transformer's layer sees in this call: the one that its patch embedding made.

A number of tokens is no grid: 36 patches are 6·6, 4·9 or 9·4. What the patch embedding gives says which.
"""

import inspect
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .variant import Variant

# Fields of a configuration whose layers see patches, but not one image's, row by row, as the last tokens.
NO_GRID = {
    "num_frames": "its layers see several frames",
    "num_detection_tokens": "other tokens come after the patches",
    "mask_ratio": "its patches are shuffled and masked",
    "max_image_length": "its patches are drawn",
    "window_size": "its layers see windows of the image",
    "depths": "its layers see windows or merged patches",
}


class SeenGrid:
    """A forward hook of a patch embedding, (batch, channels, height, width) to (batch, size, rows, columns).

    It keeps the grid of the image that this thread's forward pass sees. The backward pass of gradient checkpointing
    may run the layers in another thread, after further images: there the number of tokens has to tell the grid.
    """

    def __init__(self) -> None:
        self._here = threading.local()
        self._of_tokens: dict[int, set[tuple[int, int]]] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Keep the grid of a patch embedding's output."""
        self._here.grid = (output.shape[-2], output.shape[-1])

    def of(self, tokens: int) -> tuple[int, int]:
        """Return rows and columns of the patches that a layer sees among its tokens.

        Raises:
            ValueError: this call has no patch embedding, or checkpointing leaves several grids to choose from.
        """
        if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
            known = self._of_tokens.get(tokens, set())
            if len(known) != 1:
                raise ValueError(
                    f"{len(known)} grids of patches have {tokens} tokens, and gradient checkpointing does not tell "
                    "which one to compute again: train on images of one shape, or without gradient checkpointing"
                )
            return next(iter(known))
        grid: tuple[int, int] | None = getattr(self._here, "grid", None)
        if grid is None:
            raise ValueError("the grid of patches is unknown: the layers ran without their model's patch embedding")
        self._of_tokens.setdefault(tokens, set()).add(grid)
        return grid


class ToldGrid(SeenGrid):
    """A forward hook of an embedding that is told the grids of its images, ``spatial_shapes`` (batch, 2)."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor) -> None:  # type: ignore[override]
        """Keep the grid that all images of the batch have."""
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments["spatial_shapes"]
        grids = {(int(rows), int(columns)) for rows, columns in torch.as_tensor(given).tolist()}
        if len(grids) > 1:
            shapes = ", ".join(f"{rows}·{columns}" for rows, columns in sorted(grids))
            raise ValueError(f"images of one batch have grids of {shapes} patches: give images of one shape")
        self._here.grid = next(iter(grids))


def patch_embedding(model: nn.Module, layer: str) -> nn.Module | None:
    """Return the module that makes the patches which a layer sees; None if there is none that tells their grid."""
    config = _config_of(model, layer)
    sides = _pair(getattr(config, "patch_size", None))
    name = layer
    while name and sides:
        name = name.rpartition(".")[0]
        for module in model.get_submodule(name).modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == sides:
                return module
            if not isinstance(module, PreTrainedModel) and "spatial_shapes" in _arguments(module):
                return module
    return None


def watch_grid(variant: Variant, model: PreTrainedModel, layer: str) -> None:
    """Let a variant that needs patches see the grid of each image.

    Args:
        variant: the slot of the layer, whose ``seen`` is set.
        model: the model, whose patch embedding gets a hook.
        layer: the layer's name.

    Raises:
        ValueError: the layer sees no image, not its patches one by one, or its grid cannot be told.
    """
    config = _config_of(model, layer)
    reason = "" if getattr(config, "patch_size", None) else f"{type(config).__name__} has no patch_size"
    for field, words in NO_GRID.items():
        reason = reason or (words if getattr(config, field, None) else "")
    if variant.crosses:
        reason = reason or "its keys are of another sequence than its queries"
    if "image_sizes" in _arguments(model):
        reason = reason or "images of several sizes follow each other in one sequence"
    embedding = None if reason else patch_embedding(model, layer)
    if embedding is None:
        reason = reason or "no patch embedding tells the grid of an image"
        raise ValueError(
            f"{type(model).__name__.removeprefix('HfAttn')} cannot take the attention variant "
            f"{model.config.attn_variant!r} on {layer}: no grid of patches, {reason}; choose a vision "
            "transformer such as ViT or DINOv2, or the vision layers alone by attn_variant_include"
        )
    variant.seen = _hook_of(embedding)  # type: ignore[assignment]


def forget_grids(model: nn.Module) -> None:
    """Take the hooks of :func:`watch_grid` off a model."""
    for module in model.modules():
        for key in [key for key, hook in module._forward_hooks.items() if isinstance(hook, SeenGrid)]:
            del module._forward_hooks[key]
            module._forward_hooks_with_kwargs.pop(key, None)


def _hook_of(embedding: nn.Module) -> SeenGrid:
    """Return the hook on a patch embedding, put there if it is the first."""
    for hook in embedding._forward_hooks.values():
        if isinstance(hook, SeenGrid):
            return hook
    told = not isinstance(embedding, nn.Conv2d)
    seen = ToldGrid() if told else SeenGrid()
    embedding.register_forward_hook(seen, with_kwargs=told)
    return seen


def _config_of(model: nn.Module, layer: str) -> Any:
    config: Any = model.config
    return getattr(model.get_submodule(layer), "config", None) or getattr(config, "vision_config", config)


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, Sequence) and len(size) == 2:
        return (size[0], size[1])
    return (size, size) if isinstance(size, int) else None


def _arguments(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(module.forward).parameters
