"""Another input resolution for a loaded image model, once and for good: the saved model is native to it."""

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from ...attention.backbones import encoder_options
from ...attention.modes import evaluation_mode
from ...errors import InputError
from ...interface.printable import one_line

TABLES = ("position_embeddings", "position_embedding")


def set_image_size(model: PreTrainedModel, size: int | Sequence[int]) -> PreTrainedModel:
    """Make a model one for images of another size, in place, and return it; its position embeddings are interpolated.

    The position table is what the architecture's own ``interpolate_pos_encoding`` makes of it for that size, so that
    the result computes what ``model(..., interpolate_pos_encoding=True)`` does. It saves and reloads as any model of
    its class. An architecture without a table only gets the new ``image_size``; one that takes any size stays as it
    is. For a model just loaded: its modules are new ones, so nothing may hold on to the old.

    Args:
        model: of any class with an image encoder, with an attention variant or head or without.
        size: height and width in pixels, or one number for both.

    Raises:
        InputError: a size that is no multiple of the patches, or tables that cannot be interpolated.
    """
    height, width = (size, size) if isinstance(size, int) else (int(side) for side in size)
    current = image_config(model.config)
    if current is None or _sides(current.image_size) == (height, width):
        return model
    check_size(current, height, width)
    config = copy.deepcopy(model.config)
    as_list = isinstance(current.image_size, (list, tuple)) or height != width
    image_config(config).image_size = [height, width] if as_list else height  # type: ignore[union-attr]
    resized = empty_model(type(model), config, set(model.state_dict()))
    state = model.state_dict()
    for name, table in interpolated(model, height, width, resized.state_dict()).items():
        state[name] = table
    shapes = {name: tensor.shape for name, tensor in resized.state_dict().items()}
    wrong = [name for name, shape in shapes.items() if name not in state or state[name].shape != shape]
    if wrong:
        raise InputError(
            f"{type(model).__name__} cannot be given images of {height} × {width} pixels: {_named(wrong)} made for "
            f"{' × '.join(str(side) for side in _sides(current.image_size))}; keep that size, or choose an "
            "architecture with interpolated positions, such as ViT, DeiT, DINOv2 or SigLIP"
        )
    resized.load_state_dict(state, assign=True)
    trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in resized.named_parameters():
        parameter.requires_grad_(trained[name])
    resized.name_or_path = model.name_or_path
    resized.to(model.device)  # type: ignore[arg-type]
    resized.train(model.training)
    own = " × ".join(str(side) for side in _sides(current.image_size))
    try_image(resized, height, width, f"a larger size, or its own, {own}")
    vars(model).update(vars(resized))
    return model


def image_config(config: PreTrainedConfig) -> PreTrainedConfig | None:
    """Return the configuration that has the image size: the model's own, or that of its encoder; None if none has."""
    parts = (config, getattr(config, "backbone_config", None), getattr(config, "vision_config", None))
    return next((part for part in parts if part is not None and vars(part).get("image_size") is not None), None)


def check_size(config: PreTrainedConfig, height: int, width: int) -> None:
    """Refuse a size that does not fit.

    Raises:
        InputError: the sides are no multiples of those of a patch, or an attention variant has another grid.
    """
    wrong = [fault] if (fault := _grid_fault(config, height, width)) else []
    for side, step in zip((height, width), _patch(config), strict=True):
        if side < 1 or side % step:
            below = side // step * step
            nearest = f"{below} or {below + step}" if below > 0 else str(step)
            wrong.append(f"{side} pixels are no multiple of its patches of {step}: the nearest that fit are {nearest}")
    if wrong:
        raise InputError(f"{config.model_type}: {'; '.join(dict.fromkeys(wrong))}")


def _patch(config: PreTrainedConfig) -> tuple[int, int]:
    """Height and width of a patch; 1 for stages of windows or convolutions, which pad."""
    return _sides((not hasattr(config, "depths") and getattr(config, "patch_size", None)) or 1)


def _grid_fault(config: PreTrainedConfig, height: int, width: int) -> str:
    """Return why the grid that an attention variant was given is wrong for a size; empty if it is not."""
    grid = (getattr(config, "attn_variant_kwargs", None) or {}).get("grid")
    made = [side // step for side, step in zip((height, width), _patch(config), strict=True)]
    if grid is None or list(grid) == made:
        return ""
    return f"its attention variant has grid={list(grid)}, but {height} × {width} pixels make {made} patches"


def empty_model(cls: type[PreTrainedModel], config: PreTrainedConfig, names: set[str]) -> PreTrainedModel:
    """Return a model of a class with parameters of these names, without drawing from the random state."""
    with torch.random.fork_rng(devices=[]):
        model = cls(config)
        if set(model.state_dict()) != names:
            model = cls(config, **encoder_options(cls, config))
    return model


@torch.no_grad()
def try_image(model: PreTrainedModel, height: int, width: int, instead: str = "another size or attention") -> None:
    """Run a model on one image; what fails is refused, such as Swin maps smaller than its windows, or a wrong grid.

    Raises:
        InputError: it does.
    """
    if "input_ids" in inspect.signature(model.forward).parameters:
        return
    config = image_config(model.config) or model.config
    if wrong := _grid_fault(config, height, width):
        raise InputError(f"{config.model_type}: {wrong}")
    channels = getattr(config, "num_channels", 3)
    try:
        with evaluation_mode(model):
            model(torch.zeros(1, channels, height, width, dtype=model.dtype, device=model.device))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise InputError(
            f"{type(model).__name__} does not run on images of {height} × {width} pixels "
            f"({one_line(error)}): choose {instead}"
        ) from error


@torch.no_grad()
def interpolated(model: nn.Module, height: int, width: int, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the position tables of a model for another size, by their names in its state.

    Raises:
        InputError: the architecture's own interpolation refuses.
    """
    tables = {}
    for prefix, module in model.named_modules():
        method: Any = getattr(module, "interpolate_pos_encoding", None)
        if method is None or list(inspect.signature(method).parameters) != ["embeddings", "height", "width"]:
            continue
        for name in TABLES:
            table = getattr(module, name, None)
            if table is None:
                continue
            key = f"{prefix}.{name}" + (".weight" if isinstance(table, nn.Embedding) else "")
            rows, channels = wanted[key].shape[-2:]
            weight = table.weight if isinstance(table, nn.Embedding) else table
            try:
                found = method(weight.new_empty(1, rows, channels), height, width)
            except RuntimeError as error:
                raise InputError(
                    f"{type(module).__name__} cannot interpolate its positions to {height} × {width} pixels: {error}"
                ) from error
            tables[key] = found.reshape(-1, channels) if weight.dim() == 2 else found.clone()
    return tables


def _sides(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
