"""Load the image processor of a checkpoint, and say which images a model takes."""

import inspect
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL.Image import Resampling
from torch import nn
from transformers import AutoImageProcessor, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from ..errors import InputError
from ..interface.printable import one_line
from .adapter_files import base_of, is_adapter

logger = logging.getLogger(__name__)


def load_image_processor(name: str | Path) -> Any:
    """Load the image processor of a checkpoint in the form that needs only pillow and numpy.

    Raises:
        InputError: it has none that can be loaded.
    """
    if is_adapter(name) and not (Path(name) / "preprocessor_config.json").exists():
        return load_image_processor(base_of(name))
    try:
        found = AutoImageProcessor.from_pretrained(str(name), backend="pil", trust_remote_code=False)
        return _timm_processor(found.data_config) if hasattr(found, "data_config") else found
    except ImportError as error:
        return _plain_processor(str(name), error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"model {str(name)!r}: its image processor cannot be loaded; expected a preprocessor_config.json beside "
            f"the weights. {one_line(error)}"
        ) from error


def _plain_processor(name: str, missing: ImportError) -> Any:
    """The settings of a processor that has no form for pillow (DINOv3's), in ViT's: resized as bytes, not as floats.

    Raises:
        InputError: it has none, as timm's models, or they are not those of a resize and a normalisation.
    """
    from transformers import ViTImageProcessorPil

    try:
        settings, _ = ViTImageProcessorPil.get_image_processor_dict(name)
    except OSError:
        raise InputError(f"model {name!r}: {one_line(missing)}") from missing
    known = ("size", "resample", "do_resize", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
    own = settings.get("image_processor_type", "its image processor")
    if settings.get("do_center_crop") or settings.get("do_pad") or "size" not in settings:
        raise InputError(f"model {name!r}: {own} has no form that works without torchvision, and cannot be imitated")
    logger.info("%s has no form without torchvision: ViTImageProcessorPil takes its size, mean and deviation", own)
    return ViTImageProcessorPil(**{key: settings[key] for key in known if key in settings})


def _timm_processor(settings: Mapping[str, Any]) -> Any:
    """What timm does at evaluation with an image, by a processor that leaves it in bytes until it is normalised.

    Where an odd number of rows or columns is cut, timm may cut the odd one on the other side.

    Raises:
        ValueError: it does more than resize and crop.
    """
    from transformers import BitImageProcessorPil, ViTImageProcessorPil

    (_, height, width), mode = settings["input_size"], settings["crop_mode"] or "center"
    resample = getattr(Resampling, settings["interpolation"].upper(), None)
    if resample is None or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise ValueError(f"timm's {mode!r} crop to {height} × {width}, {settings['interpolation']}, is not imitated")
    shared = {"resample": resample, "image_mean": settings["mean"], "image_std": settings["std"]}
    whole = {"height": math.floor(height / settings["crop_pct"]), "width": math.floor(width / settings["crop_pct"])}
    if mode == "squash" and settings["crop_pct"] == 1:
        return ViTImageProcessorPil(size=whole, **shared)
    size = whole if mode == "squash" else {"shortest_edge": whole["height"]}
    return BitImageProcessorPil(size=size, crop_size={"height": height, "width": width}, **shared)


def check_takes_images(model: PreTrainedModel) -> None:
    """Refuse a model that cannot be run on images, (batch, channels, height, width), alone, or that gives no logits.

    Raises:
        InputError: it takes texts, patches and their places, or images not of 3 channels, or gives something else.
    """
    signature, what = inspect.signature(model.forward), type(model).__name__
    others = [name for name in ("input_ids", "spatial_shapes") if name in signature.parameters]
    if "pixel_values" not in signature.parameters or others:
        raise InputError(f"{what} takes {' and '.join(others) or model.main_input_name}, not images alone")
    check_takes_colour(model)
    given = signature.return_annotation
    if inspect.isclass(given) and issubclass(given, ModelOutput) and not hasattr(given, "logits"):
        raise InputError(
            f"{what} gives {given.__name__}, which has no logits: give it a head, such as --head attention"
        )


def check_takes_colour(model: PreTrainedModel) -> None:
    """Refuse a model for images of another number of channels than the 3 that images are read in.

    Raises:
        InputError: it is, by its configuration, or by its first convolution where that says nothing.
    """
    parts = [getattr(model.config, name, None) for name in ("vision_config", "backbone_config")]
    said = [channels for part in (model.config, *parts) if (channels := getattr(part, "num_channels", None))]
    seen = [module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    channels = (said or seen or [3])[0]
    if channels != 3:
        raise InputError(
            f"{type(model).__name__} takes images of {channels} channel{'s' if channels > 1 else ''}, and images are "
            "read in colour (3 channels): choose a model for colour images, which may be given grey ones"
        )
